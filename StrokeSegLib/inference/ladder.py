"""Out of memory: the steps down from the fastest way to the one that always fits, and on which of them a run stood."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Rung:
    """One way to run; on a GPU each rung of ``RUNGS`` keeps the savings of those before it.

    Attributes:
        name: ``memory_rung`` of measurements.json.
        empties_cache: What torch holds in reserve is given back first.
        one_at_a_time: One window or slice at once.
        stitch_on_cpu: The volume and the blend lie in the computer's memory, the device holds the network alone.
        half: Half precision, where the card permits it.
        on_cpu: The network runs on the CPU.
    """

    name: str
    empties_cache: bool = False
    one_at_a_time: bool = False
    stitch_on_cpu: bool = False
    half: bool = False
    on_cpu: bool = False


FULL = Rung("full")
RUNGS = (
    FULL,
    Rung("empty cache", empties_cache=True),
    Rung("smaller batch", empties_cache=True, one_at_a_time=True),
    Rung("stitch on the CPU", empties_cache=True, one_at_a_time=True, stitch_on_cpu=True),
    Rung("half precision", empties_cache=True, one_at_a_time=True, stitch_on_cpu=True, half=True),
    Rung("CPU", stitch_on_cpu=True, on_cpu=True),
)
#: How libraries say it whose error has no type of its own: torch's CPU and MPS, cuDNN, cuBLAS, OpenVINO.
PHRASES = ("out of memory", "can't allocate memory", "alloc_failed", "bad_alloc", "not enough memory")


def walk(backends: Mapping[str, Any], attempt: Callable[[Mapping[str, Any], Rung], T]) -> tuple[T, Rung]:
    """Runs ``attempt`` on the first rung that does not run out of memory.

    Args:
        backends: By name. Those with a method ``on_rung`` are changed by it; None from it skips the rung.
        attempt: Called with the backends as the rung wants them; starts from the beginning each time.

    Returns:
        What ``attempt`` returned, and the rung.

    Raises:
        MemoryError: The last rung did not do either; other errors of ``attempt`` as they are.
    """
    message = ""
    for rung in RUNGS:
        standing = _on(backends, rung)
        if standing is None:
            continue
        try:
            return attempt(standing, rung), rung
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            message = str(error)
        # Here the error is gone, and with it the frames that held the arrays of the failed attempt.
    raise MemoryError(message)


def _on(backends: Mapping[str, Any], rung: Rung) -> dict[str, Any] | None:
    """The backends on a rung; None where it would change nothing for any of them."""
    result = {}
    same: dict[int, Any] = {}  # names may share a network
    for name, backend in backends.items():
        if id(backend) not in same:
            same[id(backend)] = _one(backend, rung)
        if same[id(backend)] is None:
            return None
        result[name] = same[id(backend)]
    return result


def _one(backend: Any, rung: Rung) -> Any:
    if hasattr(backend, "on_rung"):
        return backend.on_rung(rung)
    return backend if changes_a_cpu(rung) else None


def changes_a_cpu(rung: Rung) -> bool:
    """Whether a network on the CPU runs on this rung: as ever, or with a smaller batch; the rest is about GPUs."""
    return rung == FULL or (rung.one_at_a_time and not rung.stitch_on_cpu)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, the computer's or a device's."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in PHRASES)

"""Compiled OpenVINO networks, kept in a cache folder: a later process starts without compiling.

A file's name is a hash of everything that decides its content: graph, weights, OpenVINO's version, precision and
processor. It begins with the SHA-256 of the rest, so that a broken file is known as such, thrown away and made again.
Files are written beside and renamed: two processes never see half of one. A folder that can not be written to only
costs the time to compile.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import sys
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError
from StrokeSegLib.models import ModelNetwork

#: Files kept, the latest used: a handful of models with up to ten networks each.
KEEP_FILES = 24
SUFFIX = ".openvino"
_DIGEST_BYTES = 32


def openvino() -> Any:
    """The package, without its telemetry: that is imported, though never asked, where it is installed."""
    if "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        try:
            import openvino as ov
        finally:
            del sys.modules["openvino_telemetry"]
        return ov
    import openvino as ov

    return ov


def processor_has_bf16() -> bool:
    """Whether OpenVINO computes in bf16 on this processor."""
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def compiled_network(network: ModelNetwork, precision: str, cache: Path | None) -> Any:
    """A network ready to run on the CPU, from the cache where it is there.

    Args:
        network: Its weights' SHA-256 must have been checked.
        precision: ``fp32`` or ``bf16``.
        cache: Folder, made when needed; None compiles anew.
    """
    core = openvino().Core()
    # One case at a time, all cores on it: OpenVINO's own choice for latency.
    settings = {"INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision], "PERFORMANCE_HINT": "LATENCY"}
    file = None if cache is None else cache / f"{_key(core, network, precision)}{SUFFIX}"
    kept = None if file is None else _read(file)
    if kept is not None:
        try:
            return core.import_model(io.BytesIO(kept), "CPU", settings)
        except RuntimeError:  # whole, but not what this OpenVINO takes
            pass
    compiled = core.compile_model(core.read_model(str(network.graph)), "CPU", settings)
    if file is not None:
        _write(file, compiled.export_model().getvalue())
    return compiled


def _key(core: Any, network: ModelNetwork, precision: str) -> str:
    try:
        graph = network.graph.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {network.graph}: {error.strerror}; install the model again") from error
    parts = (
        hashlib.sha256(graph).hexdigest(),
        network.sha256,
        openvino().__version__,
        precision,
        core.get_property("CPU", "FULL_DEVICE_NAME"),
        *sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def _read(file: Path) -> bytes | None:
    """The content of a whole file, None where it is missing or broken."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.utime(file)  # the latest used are kept
    digest, kept = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return kept if hashlib.sha256(kept).digest() == digest else None


def _write(file: Path, content: bytes) -> None:
    """Puts a file into the cache, and the ones not used for longest out of it; not at all where that is impossible."""
    beside = file.with_name(f".{file.stem}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(hashlib.sha256(content).digest() + content)
        beside.replace(file)
        by_use = sorted(file.parent.glob(f"*{SUFFIX}"), key=lambda each: -each.stat().st_mtime)
        for old in by_use[KEEP_FILES:]:
            old.unlink(missing_ok=True)
    except OSError:  # no room, no permission, another process was quicker
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)

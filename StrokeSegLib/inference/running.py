"""From a batch to probabilities: the members of a model averaged, its activation and temperature; and the progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from StrokeSegLib.inference.arrays import Arrays, HostArrays, probabilities
from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.inference.ladder import FULL, Rung
from StrokeSegLib.inference.projections import mean_probability
from StrokeSegLib.systems.base import Activation

__all__ = ["Counter", "Members", "Progress", "probabilities"]

#: Called with (stage, done, total) as the work goes on.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Members:
    """Networks that look at the same thing and are averaged.

    Attributes:
        backends: One or more.
        temperature: The logits are divided by it.
        activation: See ``systems.base``.
        mirror: Whether the image and its two mirror images within the slice are averaged (test-time augmentation).
        rung: How to save memory, see ``ladder``.
    """

    backends: Sequence[Backend]
    temperature: float
    activation: Activation
    mirror: bool = False
    rung: Rung = FULL

    @property
    def on_cpu(self) -> bool:
        """Whether they run on the CPU, where larger batches gain nothing."""
        return self.backends[0].device == "cpu"

    @property
    def arrays(self) -> Arrays:
        """Where windows are cut and blended: the network's own device, unless that is the CPU or has no room."""
        own: Arrays | None = getattr(self.backends[0], "arrays", None)
        return HostArrays() if own is None or self.rung.stitch_on_cpu else own

    def probability(self, batch: Any) -> Any:
        """Probability of each label: ``(B, C, ..., H, W) -> (B, labels, ..., H, W)``, arrays of ``arrays``."""
        if not self.mirror:
            return self._as_it_is(batch)
        flip = self.arrays.flip
        mirrored = (flip(self._as_it_is(flip(batch, axis)), axis) for axis in (-1, -2))
        return mean_probability([self._as_it_is(batch), *mirrored])

    def _as_it_is(self, batch: Any) -> Any:
        arrays = self.arrays
        return mean_probability(
            arrays.probabilities(_logits(backend, batch), self.temperature, self.activation)
            for backend in self.backends
        )


def _logits(backend: Any, batch: Any) -> Any:
    return backend.run(batch) if isinstance(batch, np.ndarray) else backend.run_on_device(batch)


class Counter:
    """Tells the progress of the stage ``network``, over several planes if need be."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0
        progress("network", 0, total)

    def advance(self, count: int) -> None:
        """So many more slices or windows are done."""
        self._done += count
        self._progress("network", self._done, self._total)

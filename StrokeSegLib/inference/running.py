"""From a batch to probabilities: the members of a model averaged, its activation and temperature; and the progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.inference.projections import mean_probability
from StrokeSegLib.systems.base import Activation

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
    """

    backends: Sequence[Backend]
    temperature: float
    activation: Activation
    mirror: bool = False

    @property
    def on_cpu(self) -> bool:
        """Whether they run on the CPU, where larger batches gain nothing."""
        return self.backends[0].device == "cpu"

    def probability(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of each label: ``(B, C, ..., H, W) -> (B, labels, ..., H, W)``."""
        if not self.mirror:
            return self._as_it_is(batch)
        mirrored = (np.flip(self._as_it_is(np.ascontiguousarray(np.flip(batch, axis))), axis) for axis in (-1, -2))
        return mean_probability([self._as_it_is(batch), *mirrored])

    def _as_it_is(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return mean_probability(
            probabilities(backend.run(batch), self.temperature, self.activation) for backend in self.backends
        )


def probabilities(logits: NDArray[np.float32], temperature: float, activation: Activation) -> NDArray[np.float32]:
    """Probability of each label from logits; of a softmax, the background's plane is dropped.

    Shape: ``(B, 1 + labels, ...)`` for softmax, ``(B, labels, ...)`` for sigmoid ``-> (B, labels, ...)``.
    """
    cooled = logits / np.float32(temperature)
    result: NDArray[np.float32]
    if activation == "sigmoid":
        # exp of minus the magnitude never overflows.
        e = np.exp(-np.abs(cooled))
        result = np.where(cooled >= 0, 1, e) / (1 + e)
        return result
    e = np.exp(cooled - cooled.max(axis=1, keepdims=True))
    result = (e / e.sum(axis=1, keepdims=True))[:, 1:]
    return result


class Counter:
    """Tells the progress of the stage ``network``, over several planes if need be."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0
        progress("network", 0, total)

    def advance(self, count: int) -> None:
        """So many more slices or windows are done."""
        self._done += count
        self._progress("network", self._done, self._total)

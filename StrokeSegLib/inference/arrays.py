"""Where volumes are cut into windows and blended again: in NumPy's memory, or beside the network on its device.

The same few operations for both, so that ``run_windows`` and ``run_slices`` are written once. On a device nothing
waits for it until ``take``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.systems.base import Activation


class Arrays(Protocol):
    """Arrays of one place. What it gives out can be sliced, added and multiplied in place, as NumPy's can."""

    def put(self, array: NDArray[np.float32]) -> Any:
        """A NumPy array, there."""
        ...

    def take(self, array: Any) -> NDArray[np.float32]:
        """An array from there as NumPy's."""
        ...

    def zeros(self, shape: Sequence[int]) -> Any:
        """float32 zeros."""
        ...

    def stack(self, arrays: Sequence[Any]) -> Any:
        """Arrays of one shape along a new first axis."""
        ...

    def flip(self, array: Any, axis: int) -> Any:
        """A mirrored copy."""
        ...

    def probabilities(self, logits: Any, temperature: float, activation: Activation) -> Any:
        """As ``running.probabilities``."""
        ...


class HostArrays:
    """NumPy's."""

    def put(self, array: NDArray[np.float32]) -> Any:
        """See ``Arrays``."""
        return array

    def take(self, array: Any) -> NDArray[np.float32]:
        """See ``Arrays``."""
        return np.asarray(array, np.float32)

    def zeros(self, shape: Sequence[int]) -> Any:
        """See ``Arrays``."""
        return np.zeros(tuple(shape), np.float32)

    def stack(self, arrays: Sequence[Any]) -> Any:
        """See ``Arrays``."""
        return np.stack(arrays)

    def flip(self, array: Any, axis: int) -> Any:
        """See ``Arrays``."""
        return np.ascontiguousarray(np.flip(array, axis))

    def probabilities(self, logits: Any, temperature: float, activation: Activation) -> Any:
        """See ``Arrays``."""
        return probabilities(logits, temperature, activation)


def probabilities(logits: NDArray[np.float32], temperature: float, activation: Activation) -> NDArray[np.float32]:
    """Probability of each label from logits; of a softmax, the background's plane is dropped.

    Shape: ``(B, 1 + labels, ...)`` for softmax, ``(B, labels, ...)`` for sigmoid ``-> (B, labels, ...)``.
    """
    cooled = logits / np.float32(temperature)
    result: NDArray[np.float32]
    if activation == "sigmoid" or cooled.shape[1] == 2:
        # Of two classes, softmax is the sigmoid of their difference.
        score = cooled if activation == "sigmoid" else cooled[:, 1:] - cooled[:, :1]
        # exp of minus the magnitude never overflows.
        e = np.exp(-np.abs(score))
        result = np.where(score >= 0, 1, e) / (1 + e)
        return result
    e = np.exp(cooled - cooled.max(axis=1, keepdims=True))
    result = (e / e.sum(axis=1, keepdims=True))[:, 1:]
    return result

"""What part of a volume a network looks at: slices with their neighbors, boxes that cover the brain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def slice_stack(channels: NDArray[Any], k: int, neighbors: int = 1) -> NDArray[Any]:
    """Slice ``k`` of every channel with its neighbors, the edge slices repeated.

    Shape: ``(C, K, J, I) -> (C * (2 * neighbors + 1), J, I)``, the slices of one channel together, in order of ``k``.
    """
    last = channels.shape[1] - 1
    near = channels[:, [min(max(k + step, 0), last) for step in range(-neighbors, neighbors + 1)]]
    return near.reshape(-1, *near.shape[2:])


def brain_box(mask: NDArray[np.bool_], margin: int, divisor: int) -> tuple[slice, slice, slice] | None:
    """The box around a mask: its slices, and in the plane ``margin`` more voxels, the size a multiple of ``divisor``.

    The box may reach beyond the volume (the caller pads), so that every size is allowed. None for an empty mask.

    Args:
        mask: ``(K, J, I)``.
    """
    box = []
    for axis, grow in ((0, 0), (1, margin), (2, margin)):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if len(hit) == 0:
            return None
        low, high = int(hit[0]) - grow, int(hit[-1]) + 1 + grow
        if axis:
            size = -(-(high - low) // divisor) * divisor
            low -= (size - (high - low)) // 2
            high = low + size
        box.append(slice(low, high))
    return box[0], box[1], box[2]


def batches(count: int, size: int) -> Iterator[range]:
    """Ranges of at most ``size`` that cover ``0 .. count - 1``."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))

"""The grid of overlapping windows that covers a volume, and how many there are, which is what a prediction costs.

``overlap`` is the part of a window, 0 to below 1, that it shares with the next: a window of 128 at 0.25 moves by 96.
The last window of an axis is moved back inside, so that it overlaps more. An axis shorter than the window has one
window, at 0, and the caller pads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from StrokeSegLib.errors import InputError


def window_starts(shape: Sequence[int], window: Sequence[int], overlap: float) -> list[tuple[int, ...]]:
    """First voxels of all windows, the last axis running fastest. Every voxel lies in at least one window.

    Raises:
        InputError: As ``window_count``.
    """
    _check_axes(shape, window)
    axes = [axis_starts(n, w, overlap) for n, w in zip(shape, window, strict=True)]
    return list(itertools.product(*axes))


def window_count(shape: Sequence[int], window: Sequence[int], overlap: float) -> int:
    """Number of windows, without making them: the product of ``ceil((n - w) / step) + 1`` over the axes.

    Raises:
        InputError: A size is below 1, the axes differ in number, or the overlap is not in 0 to below 1.
    """
    _check_axes(shape, window)
    return math.prod(_axis_count(n, w, _step(w, overlap)) for n, w in zip(shape, window, strict=True))


def axis_starts(size: int, window: int, overlap: float) -> list[int]:
    """First voxels of the windows along one axis, rising, the first 0 and the last ``size - window`` (or 0)."""
    step = _step(window, overlap)
    last = max(size - window, 0)
    return [min(n * step, last) for n in range(_axis_count(size, window, step))]


def _axis_count(size: int, window: int, step: int) -> int:
    return max(math.ceil((size - window) / step), 0) + 1


def _step(window: int, overlap: float) -> int:
    """Voxels from one window to the next, at least 1."""
    if not 0 <= overlap < 1:
        raise InputError(f"overlap of windows is {overlap}, needed 0 to below 1; give 0.25 for 25%")
    return max(1, window - round(overlap * window))


def _check_axes(shape: Sequence[int], window: Sequence[int]) -> None:
    if len(shape) != len(window) or min(*shape, *window) < 1:
        raise InputError(
            f"a window of {tuple(window)} voxels cannot cover a volume of {tuple(shape)}; "
            "needed a size of at least 1 for each axis of both"
        )

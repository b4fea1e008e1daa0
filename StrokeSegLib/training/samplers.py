"""Where training looks: windows around lesion and healthy brain, slices with and without stroke.

Each function draws from a given random generator and nothing else. Windows are given by their first voxel ``(k, j, i)``
and lie inside the volume; where a window is larger than the volume along an axis it starts at 0, and the caller pads
the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError

Mask = NDArray[Any]


def labeled_windows(
    rng: np.random.Generator,
    lesion: Mask,
    brain: Mask,
    window: Sequence[int],
    count: int,
    *,
    lesion_chance: float = 0.5,
) -> NDArray[np.int64]:
    """Windows centered in the lesion, each with ``lesion_chance``, or else in healthy brain; never in the background.

    Every voxel of a class is as likely as the others. Windows that would leave the volume are pushed inside, and then
    still hold the voxel they were drawn for. Without a lesion all centers lie in brain, without healthy brain all in
    the lesion.

    Args:
        lesion: ``(K, J, I)``, non-zero is lesion, inside the brain or not.
        brain: The same shape; healthy brain is what is not lesion.
        window: Size of a window along ``(k, j, i)``, voxels.
        count: Number of windows.

    Returns:
        First voxels, ``(count, 3)``.

    Raises:
        InputError: The shapes differ, or both masks are empty.
    """
    if lesion.shape != brain.shape:
        raise InputError(f"lesion and brain need one shape, got {lesion.shape} and {brain.shape}; resample one of them")
    in_lesion, in_brain = np.flatnonzero(lesion), np.flatnonzero((brain != 0) & (lesion == 0))
    if not in_lesion.size and not in_brain.size:
        raise InputError("a case holds neither lesion nor brain to train on; needed one of them; leave the case out")
    from_lesion = rng.random(count) < lesion_chance
    if not in_lesion.size or not in_brain.size:
        from_lesion[:] = in_lesion.size > 0
    chosen = np.empty(count, np.int64)
    for pool, wanted in ((in_lesion, from_lesion), (in_brain, ~from_lesion)):
        chosen[wanted] = rng.choice(pool, int(wanted.sum()))
    centers = np.stack(np.unravel_index(chosen, lesion.shape), axis=1)  # (count, 3)
    starts: NDArray[np.int64] = np.clip(centers - np.array(window) // 2, 0, _last_starts(lesion.shape, window))
    return starts


def uniform_windows(
    rng: np.random.Generator, shape: Sequence[int], window: Sequence[int], count: int
) -> NDArray[np.int64]:
    """Windows anywhere, every place that fits as likely as the others: what the ablation compares with.

    Returns:
        First voxels, ``(count, 3)``.
    """
    return rng.integers(0, _last_starts(shape, window), (count, len(shape)), endpoint=True)


def stroke_slices(
    rng: np.random.Generator, has_stroke: NDArray[np.bool_], count: int, *, stroke_chance: float = 0.5
) -> NDArray[np.int64]:
    """Numbers of slices, each drawn with ``stroke_chance`` among those with stroke, or else among all.

    With stroke in a part ``f`` of the slices, a part ``0.5 + 0.5 f`` of the drawn ones shows it. Without any, all are
    drawn among all.

    Args:
        has_stroke: ``(S,)``, the slices of all cases one after the other.
        count: Number of slices.

    Returns:
        Indices into ``has_stroke``, ``(count,)``.

    Raises:
        InputError: There is no slice.
    """
    if not has_stroke.size:
        raise InputError("there is no slice to draw from; needed at least one; check the case table")
    stroke = np.flatnonzero(has_stroke)
    chosen = rng.integers(0, has_stroke.size, count)
    if stroke.size:
        from_stroke = rng.random(count) < stroke_chance
        chosen[from_stroke] = rng.choice(stroke, int(from_stroke.sum()))
    return chosen


def _last_starts(shape: Sequence[int], window: Sequence[int]) -> NDArray[np.int64]:
    """The last first voxel of a window that still lies inside."""
    return np.maximum(np.array(shape, np.int64) - np.array(window, np.int64), 0)

"""3D networks: overlapping windows over the brain's box, their probabilities averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.grid import window_starts
from StrokeSegLib.inference.running import Counter, Members, Progress
from StrokeSegLib.inference.settings import Blend
from StrokeSegLib.inference.slices import near_brain
from StrokeSegLib.inference.windows import batches, brain_box

#: Windows that go through the network at once on a GPU; on a CPU one, since more gain nothing and take memory.
WINDOWS_PER_BATCH = 4
#: SD of the gaussian weights, as a part of the window; and the least weight, so that a corner that no other window
#: covers still counts in float32.
GAUSSIAN_SD, LEAST_WEIGHT = 0.125, 1e-3


def run_windows(
    channels: NDArray[np.float32],
    brain: NDArray[np.bool_],
    members: Members,
    window: Sequence[int],
    overlap: float,
    blend: Blend,
    labels: int,
    progress: Progress,
) -> NDArray[np.float32]:
    """Probability of each label, ``(labels, K, J, I)``; 0 where there is no brain.

    Windows cover the box around the brain, those without brain are left out. A box smaller than the window is padded
    with 0 behind its end, and the result cut back.

    Args:
        channels: ``(C, K, J, I)``.
        brain: ``(K, J, I)``.
        members: Each takes ``(B, C, *window)``.
        window: Size ``(k, j, i)``, voxels.
        overlap: Part of a window that it shares with the next, 0 to below 1.
        blend: How windows are weighted.
        labels: How many.
        progress: Told of each batch.

    Raises:
        InputError: There is no brain at all.
    """
    box = brain_box(brain, 0, 1)
    if box is None:
        raise InputError("no brain found in the images; needed a scan that shows the brain; check the inputs and roles")
    inside = brain[box]
    windows = [_window(start, window) for start in window_starts(inside.shape, window, overlap)]
    windows = [where for where in windows if inside[where].any()]
    arrays = members.arrays
    seen = arrays.put(_at_least(channels[:, *box], window))
    weights = arrays.put(window_weights(window, blend))
    total = arrays.zeros((labels, *seen.shape[1:]))
    weight = arrays.zeros(seen.shape[1:])
    counter = Counter(progress, len(windows))
    at_once = 1 if members.on_cpu or members.rung.one_at_a_time else WINDOWS_PER_BATCH
    for batch in batches(len(windows), at_once):
        patches = arrays.stack([seen[:, *windows[n]] for n in batch])
        for n, p in zip(batch, members.probability(patches), strict=True):
            total[:, *windows[n]] += p * weights
            weight[windows[n]] += weights
        counter.advance(len(batch))
    total /= weight.clip(LEAST_WEIGHT / 2)
    blended = arrays.take(total)[:, *[slice(size) for size in inside.shape]]
    blended *= near_brain(brain)[box]
    result = np.zeros((labels, *brain.shape), np.float32)
    result[:, *box] = blended
    return result


def window_weights(window: Sequence[int], blend: Blend) -> NDArray[np.float32]:
    """Weight of each voxel of a window, 1 at most."""
    if blend == "constant":
        return np.ones(tuple(window), np.float32)
    axes = []
    for size in window:
        away = (np.arange(size) - (size - 1) / 2) / (GAUSSIAN_SD * size)
        axes.append(np.exp(-(away**2) / 2))
    product = math.prod(np.ix_(*axes), start=np.ones(1))
    return np.asarray(np.maximum(product / product.max(), LEAST_WEIGHT), np.float32)


def _at_least(channels: NDArray[np.float32], window: Sequence[int]) -> NDArray[np.float32]:
    """Channels padded with 0 behind their end where they are smaller than the window."""
    short = [(0, max(0, w - n)) for w, n in zip(window, channels.shape[1:], strict=True)]
    return np.pad(channels, [(0, 0), *short]) if any(after for _, after in short) else channels


def _window(start: Sequence[int], window: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(first, first + size) for first, size in zip(start, window, strict=True))

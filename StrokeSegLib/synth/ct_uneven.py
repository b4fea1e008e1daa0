"""Stacks whose upper slices are thicker than the lower ones, as heads are often scanned, read onto one even grid.

Between two thick slices reading can only interpolate, so that near the vertex bone and brain, or a lesion and what lies
above it, blend in slices that no scanner has taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.ct_ranges import CtRanges
from StrokeSegLib.synth.fields import Float

#: A label needs more than this of what is blended: half, and what rounding differs by from machine to machine.
MOST = 0.5 + 1e-4
#: Under so many slices above the change there is nothing to interpolate between.
FEWEST = 4


def thicken_upper_slices(
    rng: np.random.Generator, hu: Float, labels: NDArray[np.uint8], ranges: CtRanges
) -> tuple[Float, NDArray[np.uint8]]:
    """HU and labels of ``(K, J, I)``, feet first, as if the slices of the upper part had been some times as thick.

    A label is where more than half of what is blended has it.
    """
    first = int(hu.shape[0] * rng.uniform(*ranges.uneven_from))
    weights = blending(hu.shape[0] - first, rng.uniform(*ranges.uneven_ratio))
    if len(weights) < FEWEST:
        return hu, labels
    blended, upper = hu.copy(), labels[first:]
    blended[first:] = np.rint(_mixed(weights, hu[first:]))
    again = labels.copy()
    again[first:] = 0
    for label in np.unique(upper[upper > 0]):
        again[first:][_mixed(weights, (upper == label).astype(np.float32)) > MOST] = label
    return blended, again


def blending(count: int, ratio: float) -> Float:
    """``(count, count)``: how much of each even slice is in each one read between slices ``ratio`` times as thick.

    A thick slice is the mean of what lies within it; beyond the centers of the outermost ones these go on.
    """
    edges = np.arange(count + 1.0)
    starts = np.arange(0.0, max(count - ratio, 0.0) + 1e-6, ratio)
    taken = np.stack([np.clip(np.minimum(edges[1:], s + ratio) - np.maximum(edges[:-1], s), 0, None) for s in starts])
    taken /= taken.sum(axis=1, keepdims=True)
    at = np.clip((edges[:-1] + 0.5 - starts[0] - ratio / 2) / ratio, 0, len(starts) - 1)
    below = np.minimum(at.astype(int), max(len(starts) - 2, 0))
    above = np.minimum(below + 1, len(starts) - 1)
    part = (at - below)[:, None]
    between: Float = (taken[below] * (1 - part) + taken[above] * part).astype(np.float32)
    return between


def _mixed(weights: Float, slices: Float) -> Float:
    return (weights @ slices.reshape(len(slices), -1)).reshape(slices.shape)

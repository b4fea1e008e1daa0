"""From the grid that a head is composed on to the scan's own voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.fields import Float
from StrokeSegLib.synth.placement import ScanGrid


def final_shape(grid: ScanGrid, final_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    """Voxels ``(K, J, I)`` of a scan of ``final_mm`` that covers what ``grid`` covers."""
    k, j, i = (
        int(np.floor((n - 1) * work / final + 1e-6)) + 1
        for n, work, final in zip(grid.shape, grid.spacing_mm[::-1], final_mm[::-1], strict=True)
    )
    return (k, j, i)


def resampled(
    image: Float,
    grid: ScanGrid,
    final_mm: tuple[float, float, float],
    shape: tuple[int, int, int],
    dtype: type[np.floating[Any]] = np.float32,
) -> Float:
    """Linear values at the final voxels, a few slices at a time; both grids share voxel 0."""
    out = np.empty(shape, dtype)
    slab = max(1, 4_000_000 // (shape[1] * shape[2]))
    ratio = [final / work for work, final in zip(grid.spacing_mm[::-1], final_mm[::-1], strict=True)]
    for start in range(0, shape[0], slab):
        stop = min(start + slab, shape[0])
        part = image
        for axis, (first, last) in enumerate(((start, stop), (0, shape[1]), (0, shape[2]))):
            part = _linear(part, axis, np.arange(first, last, dtype=np.float32) * np.float32(ratio[axis]), ratio[axis])
        out[start:stop] = part
    return out


def _linear(image: Float, axis: int, position: NDArray[np.float32], step: float) -> Float:
    """Values between samples along an axis; the samples themselves where the step is one."""
    low = np.minimum(position.astype(np.intp), max(image.shape[axis] - 2, 0))
    if step == 1:
        return np.take(image, np.rint(position).astype(np.intp), axis)
    weight = (position - low).reshape([-1 if a == axis else 1 for a in range(3)])
    result: Float = np.take(image, low, axis) * (1 - weight) + np.take(image, low + 1, axis) * weight
    return result

"""From the grid that a head is composed on to the scan's own voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.compute import Axis, Float, compute
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
        spans = ((start, stop), (0, shape[1]), (0, shape[2]))
        axes = [
            _axis(np.arange(*span, dtype=np.float32) * np.float32(step), step, size)
            for span, step, size in zip(spans, ratio, image.shape, strict=True)
        ]
        out[start:stop] = compute().linear(image, axes, dtype)
    return out


def _axis(position: NDArray[np.float32], step: float, size: int) -> Axis:
    """Where values between samples come from along an axis; the samples themselves where the step is one."""
    if step == 1:
        return np.rint(position).astype(np.intp), None
    low = np.minimum(position.astype(np.intp), max(size - 2, 0))
    return low, position - low

"""From the working grid back to the image's own, linear, by physical position.

Both grids have the same axes up to their order and direction, because the working grid is cut along the image's. Linear
interpolation then goes along one axis after the other, which is faster than voxel by voxel and gives the same numbers.
A scan of 500 slices is restored slice by slice, so that little memory is needed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.preprocess.geometry import AVERAGE_ABOVE, Grid, grid_of, resample
from StrokeSegLib.volume import Volume

#: Axes agree where the cosine between them is this near to 0 or 1.
ALIGNED = 1e-6


def restore(array: NDArray[np.float32], grid: Grid, reference: Volume) -> Volume:
    """An array on the working grid on the reference's grid, linear; 0 where the working grid does not reach.

    Args:
        array: ``(K, J, I)`` on ``grid``.

    Returns:
        float32.
    """
    axes = _axes(grid, reference)
    if axes is None:
        return resample(Volume(array, grid.spacing_mm, grid.origin, grid.direction), grid_of(reference))
    result = np.zeros(reference.array.shape, np.float32)
    for k, box, plane in _planes(array, axes):
        result[k, box[0], box[1]] = plane
    return reference.with_array(result)


def restore_mask(mask: NDArray[np.bool_], grid: Grid, reference: Volume) -> Volume:
    """A mask on the reference's grid: where more than half of it is left."""
    axes = _axes(grid, reference)
    if axes is None:
        fraction = restore(mask.astype(np.float32), grid, reference)
        return reference.with_array(fraction.array > 0.5)
    result = np.zeros(reference.array.shape, np.bool_)
    for k, box, plane in _planes(mask.astype(np.float32), axes):
        result[k, box[0], box[1]] = plane > 0.5
    return reference.with_array(result)


class _Axis:
    """One axis of the reference: where its voxels lie along the axis of the working grid that runs beside it."""

    def __init__(self, source: int, position: NDArray[np.float64], size: int) -> None:
        self.source = source  # 0, 1, 2: i, j, k of the working grid
        # A voxel reaches half its size beyond its center; there its value counts.
        inside = np.flatnonzero((position >= -0.5) & (position <= size - 0.5))
        self.reached = slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)
        at = np.clip(position[self.reached], 0, size - 1)
        self.low = np.minimum(np.floor(at).astype(int), max(size - 2, 0))
        self.high = np.minimum(self.low + 1, size - 1)
        self.part = (at - self.low).astype(np.float32)  # of the higher neighbor

    def along(self, plane: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        """A plane of the working grid, its ``axis`` sampled where this axis has voxels."""
        part = self.part[:, None] if axis == 0 else self.part
        return np.asarray(plane.take(self.low, axis) * (1 - part) + plane.take(self.high, axis) * part)


def _axes(grid: Grid, reference: Volume) -> tuple[_Axis, _Axis, _Axis] | None:
    """The reference's axes i, j, k; None where grids are turned, or the image is so coarse that voxels are averaged."""
    cosines = np.asarray(grid.direction).T @ reference.direction  # (grid's axis, reference's axis)
    rounded = np.rint(cosines)
    if np.abs(cosines - rounded).max() > ALIGNED or not (np.abs(rounded).sum(axis=0) == 1).all():
        return None
    first = np.asarray(grid.direction).T @ (np.array(reference.origin) - np.array(grid.origin)) / grid.spacing_mm
    axes = []
    for axis in range(3):
        source = int(np.abs(rounded[:, axis]).argmax())
        step = rounded[source, axis] * reference.spacing_mm[axis] / grid.spacing_mm[source]
        if abs(step) >= AVERAGE_ABOVE:
            return None
        position = first[source] + step * np.arange(reference.size_ijk[axis])
        # What the arithmetic of origins rounds off must not move a voxel out of the grid.
        axes.append(_Axis(source, np.round(position, 9), grid.size_ijk[source]))
    return axes[0], axes[1], axes[2]


def _planes(
    array: NDArray[np.float32], axes: tuple[_Axis, _Axis, _Axis]
) -> Iterator[tuple[int, tuple[slice, slice], NDArray[np.float32]]]:
    """Each slice of the reference that the working grid reaches: its number, the rows and columns reached, values."""
    i, j, k = axes
    turned = np.transpose(array, [2 - axis.source for axis in (k, j, i)])
    for n, number in enumerate(range(k.reached.start, k.reached.stop)):
        near = turned[k.low[n]] * (1 - k.part[n]) + turned[k.high[n]] * k.part[n]
        yield number, (j.reached, i.reached), j.along(i.along(near, 1), 0)  # rows last: whole ones are copied quickly

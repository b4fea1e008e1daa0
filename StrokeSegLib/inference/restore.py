"""From the working grid back to the image's own, linear, by physical position.

Both grids have the same axes up to their order and direction, because the working grid is cut along the image's. Linear
interpolation then goes along one axis after the other, which is faster than voxel by voxel and gives the same numbers.
A scan of 500 slices is restored slice by slice, so that little memory is needed; what can only be 0 is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.io.box import box_of
from StrokeSegLib.preprocess.geometry import AVERAGE_ABOVE, Grid, grid_of, resample
from StrokeSegLib.volume import Volume

#: Axes agree where the cosine between them is this near to 0 or 1.
ALIGNED = 1e-6
_THREADS = 2
#: Called with the number of a slice, its rows and columns that were interpolated, and their values.
_Use: TypeAlias = Callable[[int, tuple[slice, slice], NDArray[np.float32]], None]


def restore(array: NDArray[np.float32], grid: Grid, reference: Volume) -> Volume:
    """An array on the working grid on the reference's grid, linear; 0 where the working grid does not reach.

    Args:
        array: ``(K, J, I)`` on ``grid``.

    Returns:
        float32.
    """
    lines = _lines(grid, reference)
    if lines is None:
        return resample(Volume(array, grid.spacing_mm, grid.origin, grid.direction), grid_of(reference))
    result = np.zeros(reference.array.shape, np.float32)

    def use(k: int, in_plane: tuple[slice, slice], values: NDArray[np.float32]) -> None:
        result[k, *in_plane] = values

    _each_slice(array, lines, use)
    return reference.with_array(result)


def restore_mask(mask: NDArray[np.bool_], grid: Grid, reference: Volume) -> Volume:
    """A mask on the reference's grid: where more than half of it is left."""
    restored = restore_labels(mask.view(np.uint8), grid, reference, [1])
    return restored.with_array(restored.array.view(np.bool_))


def restore_labels(labels: NDArray[np.uint8], grid: Grid, reference: Volume, order: Sequence[int]) -> Volume:
    """A label map on the reference's grid: each label where more than half of it is left.

    Args:
        labels: ``(K, J, I)`` on ``grid``.
        order: The labels that are restored; where two meet, the later one is kept.

    Returns:
        uint8.
    """
    lines = _lines(grid, reference)
    result = np.zeros(reference.array.shape, np.uint8)
    for value in order:
        part = (labels == value).astype(np.float32)
        if lines is None:
            result[restore(part, grid, reference).array > 0.5] = value
            continue

        def use(k: int, in_plane: tuple[slice, slice], values: NDArray[np.float32], value: int = value) -> None:
            np.copyto(result[k, *in_plane], np.uint8(value), where=values > 0.5)

        _each_slice(part, lines, use)
    return reference.with_array(result)


@dataclass(frozen=True, eq=False)
class _Line:
    """An axis of the reference: the axis of the working grid that runs beside it, and where its voxels lie on that.

    Attributes:
        source: 0, 1, 2: i, j, k of the working grid.
        position: Of each voxel of the reference, in voxels of the working grid.
    """

    source: int
    position: NDArray[np.float64]


class _Axis:
    """Linear interpolation along one axis, of the voxels of the reference that can get anything other than 0."""

    def __init__(self, position: NDArray[np.float64], size: int, filled: slice) -> None:
        # A voxel reaches half its size beyond its center; there its value counts.
        reached = (position >= -0.5) & (position <= size - 0.5)
        reached &= (position > filled.start - 1) & (position < filled.stop)
        inside = np.flatnonzero(reached)
        self.reached = slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)
        at = np.clip(position[self.reached], 0, size - 1)
        self.low = np.minimum(np.floor(at).astype(int), max(size - 2, 0))
        self.high = np.minimum(self.low + 1, size - 1)
        self.part = (at - self.low).astype(np.float32)  # of the higher neighbor

    def along(self, plane: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        """A plane of the working grid, its ``axis`` sampled where this axis has voxels."""
        part = self.part[:, None] if axis == 0 else self.part
        before: tuple[Any, ...] = (slice(None),) * axis
        result: NDArray[np.float32] = plane[*before, self.low]
        result *= 1 - part
        higher = plane[*before, self.high]
        higher *= part
        result += higher
        return result


def _lines(grid: Grid, reference: Volume) -> tuple[_Line, _Line, _Line] | None:
    """The reference's axes i, j, k; None where grids are turned, or the image is so coarse that voxels are averaged."""
    cosines = np.asarray(grid.direction).T @ reference.direction  # (grid's axis, reference's axis)
    rounded = np.rint(cosines)
    if np.abs(cosines - rounded).max() > ALIGNED or not (np.abs(rounded).sum(axis=0) == 1).all():
        return None
    first = np.asarray(grid.direction).T @ (np.array(reference.origin) - np.array(grid.origin)) / grid.spacing_mm
    lines = []
    for axis in range(3):
        source = int(np.abs(rounded[:, axis]).argmax())
        step = rounded[source, axis] * reference.spacing_mm[axis] / grid.spacing_mm[source]
        if abs(step) >= AVERAGE_ABOVE:
            return None
        position = first[source] + step * np.arange(reference.size_ijk[axis])
        # What the arithmetic of origins rounds off must not move a voxel out of the grid.
        lines.append(_Line(source, np.round(position, 9)))
    return lines[0], lines[1], lines[2]


def _each_slice(array: NDArray[Any], lines: tuple[_Line, _Line, _Line], use: _Use) -> None:
    """Interpolates each slice of the reference that can get anything other than 0, and hands it on."""
    filled = box_of(array)
    if filled is None:
        return
    i, j, k = (_Axis(at.position, array.shape[2 - at.source], filled[2 - at.source]) for at in lines)
    turned = np.transpose(array, [2 - at.source for at in reversed(lines)])

    def work(n: int) -> None:
        near = turned[k.low[n]] * (1 - k.part[n]) + turned[k.high[n]] * k.part[n]
        # Rows last: whole ones are copied quickly.
        use(k.reached.start + n, (j.reached, i.reached), j.along(i.along(near, 1), 0))

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(work, range(len(k.low))):
            pass

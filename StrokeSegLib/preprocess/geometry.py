"""Grids: reorienting to axial, resampling by physical position, cropping to the head; each step can be undone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.volume import Volume, from_sitk, to_sitk

#: Sampling more than this much coarser than the source averages whole source voxels first, so that nothing is skipped.
AVERAGE_ABOVE = 2.0
_THREADS = 2


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid without data, axes as in ``Volume``."""

    size_ijk: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: NDArray[np.float64]


def grid_of(volume: Volume) -> Grid:
    """The grid that a volume lies on."""
    return Grid(volume.size_ijk, volume.spacing_mm, volume.origin, volume.direction)


def to_axial(volume: Volume) -> Volume:
    """The same voxels, axes permuted and flipped so that i, j, k run nearest to Left, Posterior, Superior.

    No interpolation; the array is a view of the original where numpy allows. Oblique axes stay oblique.
    """
    # For each patient axis the image axis that is nearest to it, each image axis used once.
    weights = np.abs(volume.direction)
    order: list[int] = [0, 0, 0]
    rows, columns = {0, 1, 2}, {0, 1, 2}
    while rows:
        row, column = max(((r, c) for r in rows for c in columns), key=lambda rc: weights[rc])
        order[row] = column
        rows.remove(row)
        columns.remove(column)
    direction = volume.direction[:, order].copy()
    flip = [bool(direction[axis, axis] < 0) for axis in range(3)]
    size = [volume.size_ijk[axis] for axis in order]
    spacing = [volume.spacing_mm[axis] for axis in order]
    array = np.transpose(volume.array, [2 - order[2], 2 - order[1], 2 - order[0]])
    origin = np.array(volume.origin)
    for axis in range(3):
        if flip[axis]:
            origin = origin + direction[:, axis] * spacing[axis] * (size[axis] - 1)
            direction[:, axis] *= -1
            array = np.flip(array, 2 - axis)
    return Volume(array, (spacing[0], spacing[1], spacing[2]), (origin[0], origin[1], origin[2]), direction)


def working_grid(axial: Volume, in_plane_mm: float, min_slice_mm: float) -> Grid:
    """A grid over the same box: square pixels of ``in_plane_mm``, the image's own slices unless thinner than the limit.

    Args:
        axial: A volume from ``to_axial``.
        min_slice_mm: Slices nearer to each other than this are averaged to about this distance.
    """
    wanted = (in_plane_mm, in_plane_mm, max(axial.spacing_mm[2], min_slice_mm))
    extent = [n * s for n, s in zip(axial.size_ijk, axial.spacing_mm, strict=True)]
    size = [max(1, round(e / w)) for e, w in zip(extent, wanted, strict=True)]
    # Both grids cover the same box from voxel edge to voxel edge.
    shift = [(w - s) / 2 for w, s in zip(wanted, axial.spacing_mm, strict=True)]
    slack = [(e - n * w) / 2 for e, n, w in zip(extent, size, wanted, strict=True)]
    offset = axial.direction @ (np.array(shift) + np.array(slack))
    origin = np.array(axial.origin) + offset
    return Grid((size[0], size[1], size[2]), wanted, (origin[0], origin[1], origin[2]), axial.direction)


def resample(volume: Volume, grid: Grid, *, outside: float = 0.0) -> Volume:
    """The volume (float32) on another grid by physical position, linear; ``outside`` where the volume has no data.

    Where the grid is much coarser than the volume, whole source voxels are averaged first.
    """
    shrink = _shrink_factors(volume, grid)
    image = to_sitk(_averaged(volume, shrink) if max(shrink) > 1 else volume)
    size = [int(n) for n in image.GetSize()]
    if min(size) == 1:
        # Linear interpolation needs neighbors: a single slice stands for its whole thickness.
        image = _thicken(image)
    resampled = sitk.Resample(
        image,
        list(grid.size_ijk),
        sitk.Transform(),
        sitk.sitkLinear,
        grid.origin,
        grid.spacing_mm,
        np.asarray(grid.direction).ravel().tolist(),
        float(outside),
        sitk.sitkFloat32,
    )
    return from_sitk(resampled)


def _shrink_factors(volume: Volume, grid: Grid) -> list[int]:
    """Whole source voxels that fit into a target voxel along each source axis, 1 where that is under the limit."""
    # Length of the target voxel's edges as seen along each source axis.
    edges = np.abs(volume.direction.T @ grid.direction) @ np.diag(grid.spacing_mm)
    factors = edges.max(axis=1) / np.array(volume.spacing_mm)
    return [max(1, min(int(f), n)) if f >= AVERAGE_ABOVE else 1 for f, n in zip(factors, volume.size_ijk, strict=True)]


def _averaged(volume: Volume, factors: list[int]) -> Volume:
    """Means of blocks of so many voxels along (i, j, k), float32; what is left over at the ends is dropped.

    Slice by slice: a copy of a thin-slice CT in float32 takes more time than all else, and memory.
    """
    i, j, k = factors
    array = volume.array
    if list(np.abs(array.strides)) != sorted(np.abs(array.strides), reverse=True):
        array = np.ascontiguousarray(array)  # turned: going along the slices would jump about in memory
    sums = np.int64 if array.dtype.kind in "iu" else np.float64
    narrow = np.int32 if array.dtype.itemsize < 4 and array.dtype.kind in "iu" else sums  # quicker, and enough
    planes, rows, columns = array.shape[0] // k, array.shape[1] // j, array.shape[2] // i
    result: NDArray[np.float32] = np.empty((planes, rows, columns), np.float32)

    def average(n: int) -> None:
        slab = array[n * k : (n + 1) * k, : rows * j, : columns * i].sum(axis=0, dtype=narrow)
        by_rows = slab.reshape(rows, j, -1).sum(axis=1, dtype=sums)
        result[n] = by_rows.reshape(rows, columns, i).sum(axis=2) / (i * j * k)

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(average, range(planes)):
            pass
    spacing = np.array(volume.spacing_mm) * factors
    x, y, z = volume.ijk_to_lps((np.array(factors) - 1) / 2)
    return Volume(result, (spacing[0], spacing[1], spacing[2]), (x, y, z), volume.direction)


def _thicken(image: sitk.Image) -> sitk.Image:
    """Repeats single slices at both ends, so that linear interpolation works across their thickness."""
    pad = [1 if n == 1 else 0 for n in image.GetSize()]
    return sitk.ZeroFluxNeumannPad(image, pad, pad)


def overlap_fraction(volume: Volume, reference: Volume) -> float:
    """Part (0..1) of the reference's box that lies inside the volume's box, sampled on 20 points an axis."""
    axes = [np.linspace(-0.5, n - 0.5, 20) for n in reference.size_ijk]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    index = volume.lps_to_ijk(reference.ijk_to_lps(points))
    inside = np.all((index >= -0.5) & (index <= np.array(volume.size_ijk) - 0.5), axis=-1)
    return float(inside.mean())


def onto_reference(volume: Volume, reference: Volume, role: str, *, outside: float = 0.0) -> Volume:
    """A further input on the grid of the first one, by physical position; unchanged when the grids agree.

    Raises:
        InputError: The two images do not overlap in space.
    """
    if volume.same_grid(reference):
        return volume
    if overlap_fraction(volume, reference) < 0.05:
        raise InputError(
            f"{role} does not overlap the first input in space (centers {_center_gap_mm(volume, reference):.0f} mm "
            "apart); needed: images of one head in one frame of reference; check that both belong to the same study"
        )
    return resample(volume, grid_of(reference), outside=outside)


def _center_gap_mm(a: Volume, b: Volume) -> float:
    centers = [v.ijk_to_lps((np.array(v.size_ijk) - 1) / 2) for v in (a, b)]
    return float(np.linalg.norm(centers[0] - centers[1]))


def resized_grid(grid: Grid, size_ijk: tuple[int, int, int]) -> Grid:
    """Another number of voxels over exactly the same box, as resizing an array does."""
    spacing = [n * s / m for n, s, m in zip(grid.size_ijk, grid.spacing_mm, size_ijk, strict=True)]
    shift = [(new - old) / 2 for new, old in zip(spacing, grid.spacing_mm, strict=True)]
    return _moved(grid, size_ijk, (spacing[0], spacing[1], spacing[2]), shift)


def isotropic_grid(grid: Grid, spacing_mm: float) -> Grid:
    """Cubes of ``spacing_mm`` over the same box, centered, to within half a voxel at its edges."""
    extent = [n * s for n, s in zip(grid.size_ijk, grid.spacing_mm, strict=True)]
    size = [max(1, round(e / spacing_mm)) for e in extent]
    shift = [
        (spacing_mm - s) / 2 + (e - n * spacing_mm) / 2 for s, e, n in zip(grid.spacing_mm, extent, size, strict=True)
    ]
    return _moved(grid, (size[0], size[1], size[2]), (spacing_mm, spacing_mm, spacing_mm), shift)


def cropped_or_padded(grid: Grid, size_ijk: tuple[int, int, int]) -> Grid:
    """The same voxels about the same middle, more or fewer of them along each axis."""
    before = [(m - n) // 2 for n, m in zip(grid.size_ijk, size_ijk, strict=True)]
    shift = [-b * s for b, s in zip(before, grid.spacing_mm, strict=True)]
    return _moved(grid, size_ijk, grid.spacing_mm, shift)


def _moved(
    grid: Grid, size_ijk: tuple[int, int, int], spacing_mm: tuple[float, float, float], shift_mm: list[float]
) -> Grid:
    """The grid with another size and spacing, its first voxel moved by ``shift_mm`` along its own axes."""
    x, y, z = np.array(grid.origin) + np.asarray(grid.direction) @ np.array(shift_mm)
    return Grid(size_ijk, spacing_mm, (float(x), float(y), float(z)), grid.direction)

"""Brings the tissue of a head CT to one level: scanners are off by some HU, and bone makes its neighborhood brighter.

Beam hardening and scatter that a scanner corrects only in part raise the outer centimeters of the brain (cupping):
such a rim looks like a layer of blood.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.io.box import box_of

#: A common level: between white and gray matter, HU.
MEDIAN_HU = 31.0
#: Brain tissue lies here, HU, even where a scanner is off by 20.
TISSUE_HU = (10.0, 90.0)
#: Borders of the layers below the brain's surface, mm; deeper than the last there is no rim.
LAYERS_MM = (0.0, 1.5, 3.0, 4.5, 6.0, 8.0, 10.0, 13.0, 17.0, 22.0, 28.0)
#: The rim is brighter toward the vertex, where the skull lies aslant: it is measured in slabs of this height, mm.
SLAB_MM = 20.0
#: Rounds of taking the rim off and looking at the median again.
PASSES = 3
#: Where the median of all of the brain is this far from the wanted one, and hardly any voxel has that, the unit's zero
#: is off: HU and part of the voxels.
FAR_OFF_HU, FAR_OFF_FRACTION = 26.0, 0.1
#: A layer of a half with fewer voxels says nothing.
FEWEST_VOXELS = 50


def median_tissue_hu(inside: NDArray[np.float32]) -> float:
    """Median of what can be tissue in the brain: neither fluid nor bone, in whatever way the scanner is off."""
    tissue = inside[(inside > TISSUE_HU[0]) & (inside < TISSUE_HU[1])]
    return float(np.median(tissue if tissue.size else inside))


def leveled(
    hu: NDArray[np.float32], brain: NDArray[np.bool_], spacing_mm: tuple[float, float, float], tissue_hu: float
) -> NDArray[np.float32]:
    """HU with the brain's tissue at the median ``tissue_hu``, and its bright rim taken down to that.

    Args:
        hu: Axial, ``(K, J, I)``.
        brain: Its mask, ``(K, J, I)``, not empty.
        spacing_mm: Along ``(i, j, k)``.
        tissue_hu: The median that is wanted.
    """
    hu = hu + np.float32(_far_off(hu[brain], tissue_hu))
    depth_mm = depths_mm(brain, spacing_mm)
    slab = _slabs(brain, spacing_mm[2])
    levels = _levels(hu, brain, depth_mm, slab)
    inside = hu[brain].astype(np.float32)
    flat, median = inside, median_tissue_hu(inside)
    for _ in range(PASSES):  # the rim had a part in the median, too
        flat = inside - _interpolated(np.clip(levels - median, 0, None), depth_mm, slab)
        median = median_tissue_hu(flat)
    result = hu + np.float32(tissue_hu - median)
    result[brain] = flat + np.float32(tissue_hu - median)
    return result


def _far_off(inside: NDArray[np.float32], tissue_hu: float) -> float:
    """HU to add first where tissue lies at the ends of ``TISSUE_HU`` or beyond; 0 on any usual scanner."""
    off = tissue_hu - float(np.median(inside))
    usual = (inside > tissue_hu - 6) if off > 0 else (inside < tissue_hu + 6)  # wide ventricles leave some tissue
    return off if abs(off) > FAR_OFF_HU and usual.mean() < FAR_OFF_FRACTION else 0.0


def _slabs(brain: NDArray[np.bool_], slice_mm: float) -> NDArray[np.float32]:
    """For each voxel of the brain, in which slab it lies: 0.5 in the middle of the lowest, 1.5 of the next."""
    per_slice = np.flatnonzero(brain.any(axis=(1, 2)))
    first, count = per_slice[0], per_slice[-1] + 1 - per_slice[0]
    slabs = max(1, round(count * slice_mm / SLAB_MM))
    place: NDArray[np.float32] = ((np.nonzero(brain)[0] - first + 0.5) * (slabs / count)).astype(np.float32)
    return place


def _levels(
    hu: NDArray[np.float32], brain: NDArray[np.bool_], depth_mm: NDArray[np.float32], slab: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Median HU of the tissue of each slab's layers, ``(slabs, layers)``; -inf where there is little.

    Of both halves of the head (left and right) the darker: a layer of blood seldom covers most of both.
    """
    inside, i = hu[brain], np.nonzero(brain)[2]
    tissue = (inside > TISSUE_HU[0]) & (inside < TISSUE_HU[1]) & (depth_mm < LAYERS_MM[-1])
    slabs, layers = int(np.ceil(slab.max())), len(LAYERS_MM) - 1
    layer = np.searchsorted(LAYERS_MM, depth_mm, side="right") - 1
    place = ((i > np.median(i)) * slabs + slab.astype(np.intp)) * layers + layer
    halves = _medians(place[tissue], inside[tissue], 2 * slabs * layers).reshape(2, slabs, layers)
    darker: NDArray[np.float32] = halves.min(axis=0)
    return darker


def _interpolated(
    excess: NDArray[np.float32], depth_mm: NDArray[np.float32], slab: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The table's values ``(slabs, layers)`` at each voxel of the brain, linear; 0 below the last layer."""
    borders = np.array(LAYERS_MM)
    at = np.interp(depth_mm, (borders[:-1] + borders[1:]) / 2, np.arange(len(borders) - 1))
    at[depth_mm >= borders[-1]] = len(borders) - 1
    table = np.pad(excess, ((0, 0), (0, 1)))
    values: NDArray[np.float32] = ndimage.map_coordinates(table, [slab - 0.5, at], order=1, mode="nearest")
    return values


def depths_mm(brain: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """Of each voxel of the mask its distance to the outside; brain that the image's border cuts goes on beyond it."""
    padded = np.pad(brain, 1, mode="edge")
    box = box_of(brain)
    if box is None:
        return np.zeros(0, np.float32)
    near = padded[tuple(slice(side.start, side.stop + 2) for side in box)]  # with the voxels just outside
    depth: NDArray[np.float32] = ndimage.distance_transform_edt(near, spacing_mm[::-1]).astype(np.float32)
    inner = np.s_[1:-1, 1:-1, 1:-1]
    return depth[inner][near[inner]]


def _medians(place: NDArray[np.intp], values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Median of the values at each place; -inf where there are too few."""
    order = np.argsort(place, kind="stable")
    ends = np.cumsum(np.bincount(place, minlength=count))
    groups = np.split(values[order], ends[:-1])
    return np.array([np.median(g) if len(g) >= FEWEST_VOXELS else -np.inf for g in groups], np.float32)

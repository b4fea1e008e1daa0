"""What CT needs to know of a head beyond its tissues: the skull's cavity, the ventricles, the orbits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.synth.anatomy import BRAIN, PARENCHYMA, Head, Tissue
from StrokeSegLib.synth.fields import Float

#: Landmarks are kept on a coarser grid than the head's, about this many mm.
STEP_MM = 2.0


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Maps of one head, float16, shape ``(K, J, I)``, ``step_mm`` apart, aligned with the head's voxel 0.

    Attributes:
        depth_mm: How deep a point lies inside the skull's cavity, negative outside it.
        ventricle: 1 in the ventricles, 0 elsewhere.
        orbit: 1 near an eye, falling to 0.
        midline_mm: x of the plane between the hemispheres, in mm from voxel 0.
        center_mm: ``(x, y, z)`` of the ventricles' center.
    """

    step_mm: float
    depth_mm: NDArray[np.float16]
    ventricle: NDArray[np.float16]
    orbit: NDArray[np.float16]
    midline_mm: float
    center_mm: tuple[float, float, float]


@lru_cache(maxsize=24)
def landmarks(head: Head) -> Landmarks:
    """The landmarks of a head; kept for the heads used last."""
    stride = max(1, round(STEP_MM / head.spacing_mm))
    tissue = np.ascontiguousarray(head.tissue[::stride, ::stride, ::stride])
    step = stride * head.spacing_mm
    cavity = _cavity(tissue)
    outside = ndimage.distance_transform_edt(~cavity)
    depth = np.where(cavity, ndimage.distance_transform_edt(cavity) - 0.5, 0.5 - outside) * step
    brain = np.argwhere(np.isin(tissue, PARENCHYMA))
    midline = float((brain[:, 2].min() + brain[:, 2].max()) / 2 * step)
    ventricle = _ventricles(tissue, depth)
    where = np.argwhere(ventricle)
    if len(where) == 0:
        where = brain
    k, j, _ = where.mean(axis=0) * step
    orbit = ndimage.gaussian_filter((tissue == Tissue.EYE).astype(np.float32), 14.0 / 2.355 / step * 2)
    orbit = np.clip(orbit / max(float(orbit.max()), 1e-6) * 2.5, 0, 1)
    return Landmarks(
        step,
        depth.astype(np.float16),
        ventricle.astype(np.float16),
        orbit.astype(np.float16),
        midline,
        (midline, float(j), float(k)),
    )


def sample(image: NDArray[np.float16], step_mm: float, position_mm: Float) -> Float:
    """Linear values of a landmark map at a scan's positions ``(3, K, J, I)`` (x, y, z in mm from the head's voxel 0).

    Looked up at every other voxel within the plane, as the maps are coarser than scans, and linear in between.
    """
    index = position_mm[::-1, :, ::2, ::2] / np.float32(step_mm)
    coarse = ndimage.map_coordinates(image.astype(np.float32), index, order=1, mode="nearest", prefilter=False)
    return _doubled(_doubled(coarse, 2, position_mm.shape[3]), 1, position_mm.shape[2])


def _doubled(coarse: Float, axis: int, size: int) -> Float:
    """Values at 0, 1, 2, ... from those at 0, 2, 4, ... along an axis."""
    even = np.moveaxis(coarse, axis, -1)
    out = np.empty((*even.shape[:-1], size), np.float32)
    out[..., ::2] = even
    between = (even[..., :-1] + even[..., 1:]) / 2
    out[..., 1 : 2 * between.shape[-1] : 2] = between
    if size % 2 == 0:
        out[..., -1] = even[..., -1]
    return np.moveaxis(out, -1, axis)


def _cavity(tissue: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Brain and CSF without the thin strands that leave the skull, holes (sinuses, arteries) closed."""
    inside = np.isin(tissue, BRAIN)
    core = ndimage.binary_opening(inside, iterations=2)
    parts, count = ndimage.label(core)
    if count > 1:
        core = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    inside &= ndimage.binary_dilation(core, iterations=2)
    closed: NDArray[np.bool_] = ndimage.binary_fill_holes(ndimage.binary_closing(inside, iterations=2))
    closed &= ~np.isin(tissue, (Tissue.BONE, Tissue.MARROW))
    return closed


def _ventricles(tissue: NDArray[np.uint8], depth_mm: Float) -> NDArray[np.bool_]:
    """CSF (and plexus) wrapped in parenchyma: the lateral and third ventricles, without cisterns and fissures."""
    fluid = np.isin(tissue, (Tissue.CSF, Tissue.CHOROID_PLEXUS))
    rows = np.flatnonzero((depth_mm > 0).any(axis=(1, 2)))
    high = np.arange(tissue.shape[0])[:, None, None] > rows[0] + 0.42 * (rows[-1] - rows[0])
    # Fissures are thin sheets between left and right; ventricles are at least three steps wide somewhere.
    wide: NDArray[np.bool_] = ndimage.binary_erosion(fluid & (depth_mm > 26) & high, np.ones((1, 1, 3), bool))
    parts, count = ndimage.label(wide, np.ones((3, 3, 3), bool))
    if count == 0:
        return wide
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    near_plexus = np.unique(parts[ndimage.binary_dilation(tissue == Tissue.CHOROID_PLEXUS, iterations=2)])
    keep = np.union1d(near_plexus[near_plexus > 0], np.flatnonzero(sizes >= 0.5 * sizes.max()))
    seed = np.isin(parts, keep)
    result: NDArray[np.bool_] = ndimage.binary_dilation(seed, iterations=3, mask=fluid & (depth_mm > 20) & high)
    return result

"""Finding the brain in one MR sequence alone, whichever it is, with or without skull."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.measure import CONNECTIVITY_26
from StrokeSegLib.preprocess.brain import foreground

#: Part of the voxels just outside a stripped brain that have one value; noise has many.
CONSTANT_FRACTION = 0.6
#: Scalp and skull together are at least this thick, mm.
SCALP_MM = 6.0
#: The brain's usual signal is read this deep in the head, mm.
DEEP_MM = 25.0
#: Brain's signal as a part of its usual one; skull and CSF of T1 lie below, CSF of T2 above any limit.
DARKEST = 0.4
#: Bridges thinner than twice this are cut between brain and scalp, mm.
BRIDGE_MM = 4.0


def mr_brain_mask(image: NDArray[np.float32], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """A rough mask of the brain in any one of DWI, ADC, FLAIR, T1, T2; empty where there is no signal.

    Args:
        image: Axial, ``(K, J, I)``, any scale, not negative.
        spacing_mm: Along ``(i, j, k)``, mm.

    Returns:
        Good enough for the crop, the scale and keeping findings inside the head; not for volumetry. Of a head with
        skull it may keep a part of the tissue around the brain.
    """
    step = (spacing_mm[1], spacing_mm[0])
    head = np.stack([ndimage.binary_fill_holes(plane) for plane in _largest(foreground(image))])
    if not head.any() or _stripped(image, head):
        return head
    depth = _depth(head, step)
    deep = image[depth > min(DEEP_MM, 0.6 * float(depth.max()))]
    level = float(np.median(deep)) if deep.size else 0.0
    tissue = (image > DARKEST * level) & (depth > SCALP_MM)
    core = _largest(_depth(tissue, step) > BRIDGE_MM)
    if not core.any():
        return head
    near = _depth(~core, step) <= BRIDGE_MM * 1.25
    return np.stack([ndimage.binary_fill_holes(plane) for plane in near & tissue])


def _stripped(image: NDArray[np.float32], head: NDArray[np.bool_]) -> bool:
    """Whether the skull is gone: just outside the foreground lies one and the same value, not noise and dim tissue."""
    cross = ndimage.generate_binary_structure(2, 1)[None]
    outside = ndimage.binary_dilation(head, cross, iterations=5) & ~ndimage.binary_dilation(head, cross, iterations=2)
    _, counts = np.unique(image[outside], return_counts=True)
    return bool(counts.size) and bool(counts.max() > CONSTANT_FRACTION * counts.sum())


def _depth(mask: NDArray[np.bool_], step: tuple[float, float]) -> NDArray[np.float32]:
    """In-plane distance to the outside of a mask, mm; the image's border is outside."""
    planes = [ndimage.distance_transform_edt(np.pad(plane, 1), step)[1:-1, 1:-1] for plane in mask]
    return np.stack(planes).astype(np.float32)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask, CONNECTIVITY_26)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(sizes[labels] > 0.02 * sizes.max(), bool) & mask

"""Finding the brain in a head CT without a network: with or without skull, tilted, partial, thin or thick slices.

The brain is the largest piece of soft tissue that sees bone in most of eight directions of its slice; scalp and muscle
see it in fewer. Where most of a piece does, all of it counts: skull may be thin, or cut by the field of view or by a
craniectomy. Where the image's border cuts the brain, it encloses as bone does; what lies a brain's height below its top
is neck and chest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.io.box import box_of
from StrokeSegLib.measure import CONNECTIVITY_26

#: Smoothed HU of brain, CSF and fresh blood; fat and air lie below, bone above.
SOFT_HU = (-15.0, 110.0)
#: HU that a voxel of the mask has at least on the image's own grid, noise included.
FINE_HU = -75.0
#: HU of bone on the coarse grid, where a thin skull is mixed with its neighbors.
BONE_HU = 120.0
#: Images may come clipped to a window of HU: its upper end is in this range, and this part of the voxels has it.
CLIPPED_HU, CLIPPED_FRACTION = (70.0, 130.0), 0.01
#: Bone is then what lies near the window's end, as a part of it.
CLIPPED_BONE = 0.92
#: Of eight directions in the slice, those in which the brain sees bone.
ENCLOSING_DIRECTIONS = 6
#: Pixel of the coarse grid that the search runs on, mm: fine enough for the skull, coarse enough to be quick and calm.
COARSE_MM = 2.0
#: The search cuts bridges thinner than twice this (canals of nerves and vessels through the skull base), mm.
BRIDGE_MM = 4.0
#: An image with less bone than this part of its soft tissue is taken as a brain without its skull.
STRIPPED_BONE_FRACTION = 0.02
#: Or more than that, up to here, where this part of the bone is bare, without scalp: rests of a sloppy stripping.
RESTS_BONE_FRACTION, BARE_FRACTION = 0.13, 0.18
#: A piece this part of the largest one is still brain: slices cut off poles of the lobes.
PIECE_FRACTION = 0.02
#: Where no side of the head shows bone, so much of the image is soft tissue at most, mL: less is no brain.
SMALLEST_BRAIN_ML = 5.0
#: An image whose lowest value lies above air's and fills this part of it has been clipped there: air and fat have
#: that value, what is soft lies this much above it, HU.
CLIPPED_LOW_FRACTION, ABOVE_CLIPPED_HU = 0.1, 2.0
#: Soft tissue from the image's border this deep inward is brain or neck that the border cuts (scalp is thinner), mm;
#: where less than this part of the border shows it, it is neck.
CUT_DEPTH_MM, CUT_FRACTION = 25.0, 0.05
#: From the brain's top to the foramen magnum, however the head is turned, mm at most; a scan higher than the other
#: shows more than a head.
BRAIN_HEIGHT_MM, LONG_SCAN_MM = 170.0, 260.0
#: A slice whose skull is widely open: its largest piece is brain when this part of it sees bone around it, when it is
#: this large beside the largest slice of brain, and when it covers the next slice's brain and is little more than it.
OPEN_ENCLOSED, OPEN_SIZE, OPEN_COVERS, OPEN_COVERED = 0.2, 0.6, 0.9, 0.6
#: A brain less than this in a scan higher than this is worth a word, mL and mm.
SMALL_BRAIN_ML, WHOLE_HEAD_MM = 400.0, 120.0
#: Vessels with contrast, HU, and the part of the brain that they fill; calcifications and rests of bone are less.
CONTRAST_HU, CONTRAST_FRACTION = (130.0, 500.0), 0.012
#: Looked for so deep in the brain, mm: at its edge lie bone and its rests.
CONTRAST_DEPTH_MM = 6.0
#: No brain with its fluid, and what of a neck may pass for it, is larger, mL.
LARGEST_BRAIN_ML = 3000.0
#: The median of a brain's tissue on any scanner, HU, with room for wide ventricles and for offsets.
PLAUSIBLE_MEDIAN_HU = (12.0, 60.0)


def ct_brain_mask(hu: NDArray[Any], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """The brain with its CSF spaces; empty when nothing looks like one.

    Args:
        hu: Axial, ``(K, J, I)``, Hounsfield units; around a brain without skull anything constant, zero or air.
        spacing_mm: Along ``(i, j, k)``, mm.

    Returns:
        A mask good enough for the crop, the intensity scale and keeping findings inside, not for volumetry.
    """
    factors = [1, *(max(1, round(COARSE_MM / mm)) for mm in (spacing_mm[1], spacing_mm[0]))]
    coarse = _block_mean(hu, factors)
    step_mm = (spacing_mm[2], spacing_mm[1] * factors[1], spacing_mm[0] * factors[2])
    least_hu = bone_hu(hu)
    soft = (coarse > SOFT_HU[0]) & (coarse < min(SOFT_HU[1], least_hu))
    bone = coarse > least_hu
    tissue = soft & (coarse != _background(coarse))
    stripped = _stripped(bone, tissue, coarse == _background(coarse))
    if stripped:
        mask = _large_pieces(tissue)
    else:
        soft &= coarse > _clipped_low_hu(hu)
        core = deeper(soft, BRIDGE_MM, step_mm)
        mask = _large_pieces(_voted(core, _enclosed(bone | _cut_border(soft & tissue, step_mm))))
        if len(hu) * step_mm[0] > LONG_SCAN_MM:
            mask = _large_pieces(_without_neck(mask, step_mm[0]))
        mask = grown(mask, BRIDGE_MM * 1.25, step_mm) & soft
    if mask.sum() * float(np.prod(step_mm)) / 1000 < SMALLEST_BRAIN_ML * min(1.0, hu.shape[0] * step_mm[0] / 10):
        return np.zeros(hu.shape, bool)
    fine = _on_fine_grid(_filled(mask), factors, hu.shape) & (hu > FINE_HU) & (hu < least_hu)
    return _filled(fine & (hu != _background(hu)) if stripped else fine)


def brain_doubts(hu: NDArray[Any], brain: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> tuple[str, ...]:
    """What speaks against a brain mask, or against the image as a head CT in Hounsfield units: sentences for the user.

    Args:
        hu: Axial, ``(K, J, I)``.
        brain: Its mask, not empty.
        spacing_mm: Along ``(i, j, k)``.
    """
    doubts = []
    ml = float(brain.sum()) * float(np.prod(spacing_mm)) / 1000
    if ml < SMALL_BRAIN_ML and len(hu) * spacing_mm[2] > WHOLE_HEAD_MM:
        doubts.append(
            f"only {ml:.0f} mL of brain were found in {len(hu) * spacing_mm[2]:.0f} mm of scan: "
            "check that it shows the whole head, and look for lesions outside of what was searched"
        )
    if ml > LARGEST_BRAIN_ML:
        doubts.append(
            f"{ml:.0f} mL were taken for brain, more than any brain has: "
            "check that this is a head CT in Hounsfield units"
        )
    bright = _contrast_fraction(hu, brain, spacing_mm)
    if bright > CONTRAST_FRACTION:
        doubts.append(
            f"{100 * bright:.1f}% of the brain is brighter than blood ({CONTRAST_HU[0]:.0f} HU and more), as after "
            "contrast, which may pass for hemorrhage: give the scan without contrast"
        )
    (low, high), median = PLAUSIBLE_MEDIAN_HU, float(np.median(hu[brain]))
    if not low <= median <= high:
        doubts.append(
            f"the brain has a median of {median:.0f} HU, expected {low:.0f} to {high:.0f}: "
            "check that this is a non-contrast head CT in Hounsfield units"
        )
    return tuple(doubts)


def _contrast_fraction(hu: NDArray[Any], brain: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float:
    """Part of the inner brain that has the HU of vessels with contrast, on every third millimeter."""
    steps = [max(1, round(CONTRAST_DEPTH_MM / 2 / mm)) for mm in (spacing_mm[1], spacing_mm[0])]
    sparse = np.s_[:, :: steps[0], :: steps[1]]
    inner = ndimage.binary_erosion(brain[sparse], np.ones((1, 3, 3), bool), iterations=2)
    inside = hu[sparse][inner]
    return float(((inside > CONTRAST_HU[0]) & (inside < CONTRAST_HU[1])).mean()) if inside.size else 0.0


def component_brain_mask(clamped_hu: NDArray[Any], saturation_hu: float = 80.0) -> NDArray[np.bool_]:
    """The brain as the paper of the non-contrast CT system finds it, slice by slice.

    The largest component of what is above 0; without the saturated voxels, which are the skull; the largest component
    again. Arxiv 2301.06793. Literal: where the skull is open or tilted out of the slice, scalp comes along.

    Args:
        clamped_hu: HU clamped to 0 to ``saturation_hu``, ``(K, J, I)``.
    """
    mask = np.zeros(clamped_hu.shape, bool)
    for k, plane in enumerate(clamped_hu):
        head = _largest(plane > 0)
        mask[k] = _largest(head & (plane < saturation_hu))
    return mask


def bone_hu(hu: NDArray[Any]) -> float:
    """HU from which a voxel of the coarse grid is bone."""
    top = float(hu.max())
    clipped = CLIPPED_HU[0] <= top <= CLIPPED_HU[1] and (hu >= top).mean() > CLIPPED_FRACTION
    return CLIPPED_BONE * top if clipped else BONE_HU


def _clipped_low_hu(hu: NDArray[Any]) -> float:
    """HU that soft tissue exceeds in an image that was clipped from below, where air and fat look like fluid."""
    low = float(hu.min())
    clipped = low > SOFT_HU[0] - ABOVE_CLIPPED_HU and (hu <= low).mean() > CLIPPED_LOW_FRACTION
    return low + ABOVE_CLIPPED_HU if clipped else -np.inf


def _block_mean(image: NDArray[Any], factors: list[int]) -> NDArray[np.float32]:
    """Means of whole blocks; the last, incomplete blocks repeat the edge."""
    pad = [(0, -n % f) for n, f in zip(image.shape, factors, strict=True)]
    # Bone's and metal's thousands of HU would drown what they share a block with.
    clipped = np.clip(image, -200, 600).astype(np.float32)
    padded = np.pad(clipped, pad, mode="edge")
    k, j, i = (n // f for n, f in zip(padded.shape, factors, strict=True))
    blocks = padded.reshape(k, factors[0], j, factors[1], i, factors[2])
    return np.asarray(blocks.mean(axis=(1, 3, 5)), np.float32)


def _background(image: NDArray[Any]) -> float:
    """The value around the head: the most frequent one on the border of the slices."""
    border = np.concatenate(
        [image[:, 0].ravel(), image[:, -1].ravel(), image[:, :, 0].ravel(), image[:, :, -1].ravel()]
    )
    values, counts = np.unique(border, return_counts=True)
    return float(values[counts.argmax()])


def _stripped(bone: NDArray[np.bool_], tissue: NDArray[np.bool_], outside: NDArray[np.bool_]) -> bool:
    """Whether the skull is gone, but for rests of bone at the edge of the brain."""
    share = float(bone.sum()) / max(int(tissue.sum()), 1)
    if share < STRIPPED_BONE_FRACTION or share > RESTS_BONE_FRACTION:
        return share < STRIPPED_BONE_FRACTION
    bare = bone & ndimage.binary_dilation(outside, np.ones((1, 3, 3), bool))
    return bool(bare.sum() > BARE_FRACTION * bone.sum())


def _cut_border(soft: NDArray[np.bool_], step_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Voxels of the slices' borders where the field of view cuts the brain: there the border stands for the skull."""
    border = np.zeros(soft.shape, bool)
    for turns in range(4):
        turned, rows_mm = np.rot90(soft, turns, (1, 2)), step_mm[1 + turns % 2]
        np.rot90(border, turns, (1, 2))[:, 0] |= turned[:, : max(1, round(CUT_DEPTH_MM / rows_mm))].all(axis=1)
    around = 2 * soft.shape[0] * (soft.shape[1] + soft.shape[2])
    return border if border.sum() > CUT_FRACTION * around else np.zeros_like(border)


def _without_neck(mask: NDArray[np.bool_], slice_mm: float) -> NDArray[np.bool_]:
    """The mask without slices too far below its top to show brain."""
    shown = np.flatnonzero(mask.any(axis=(1, 2)))
    if shown.size:
        mask[: max(0, int(np.ceil(shown[-1] + 1 - BRAIN_HEIGHT_MM / slice_mm)))] = False
    return mask


def _enclosed(bone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels that see bone in at least six of eight directions of the slice."""
    sides = np.zeros(bone.shape, np.uint8)
    for turns in range(4):
        sides += np.rot90(_seen_before(np.rot90(bone, turns, (1, 2))), -turns, (1, 2))
    return np.asarray(sides >= ENCLOSING_DIRECTIONS, bool)


def _seen_before(bone: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """In how many of two directions bone lies before a voxel: along the rows' axis, and along one diagonal."""
    straight = np.logical_or.accumulate(bone, axis=1)
    diagonal = bone.copy()
    for row in range(1, bone.shape[1]):
        diagonal[:, row, 1:] |= diagonal[:, row - 1, :-1]
    return straight.astype(np.uint8) + diagonal


def _voted(core: NDArray[np.bool_], enclosed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Enclosed voxels, and all of those pieces of a slice most of which is enclosed."""
    kept = core & enclosed
    undecided: dict[int, NDArray[np.bool_]] = {}
    for k, plane in enumerate(core):
        labels, count = ndimage.label(plane)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        votes = np.bincount(labels.ravel(), weights=enclosed[k].ravel(), minlength=count + 1)
        chosen = votes > 0.5 * sizes
        chosen[0] = False
        kept[k] |= chosen[labels]
        largest = 1 + int(sizes[1:].argmax()) if count else 0
        if largest and not chosen[largest] and votes[largest] > OPEN_ENCLOSED * sizes[largest]:
            undecided[k] = labels == largest
    _add_open_slices(kept, undecided)
    return kept


def _add_open_slices(kept: NDArray[np.bool_], undecided: dict[int, NDArray[np.bool_]]) -> None:
    """Adds pieces of slices whose skull is widely open, in place: those that go on where the slice above has brain."""
    for k in sorted(undecided, reverse=True):
        above = kept[k + 1] if k + 1 < len(kept) else np.zeros_like(kept[k])
        piece, size = undecided[k], int(undecided[k].sum())
        shared = int((piece & above).sum())
        large = size > OPEN_SIZE * kept.sum(axis=(1, 2)).max()
        if large and shared > OPEN_COVERS * above.sum() and shared > OPEN_COVERED * size:
            kept[k] |= piece


def _large_pieces(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest piece, and others that are not small beside it."""
    labels, count = ndimage.label(mask, CONNECTIVITY_26)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes > PIECE_FRACTION * sizes.max())[labels], bool)


def deeper(mask: NDArray[np.bool_], depth_mm: float, step_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """What lies deeper than this in the slices of a mask; brain that the image's border cuts goes on beyond it.

    Args:
        mask: ``(K, J, I)``.
        depth_mm: Up to three voxels, so far the mask is continued beyond the border.
        step_mm: Along ``(k, j, i)``.
    """
    padded = np.pad(mask, [(0, 0), (3, 3), (3, 3)], mode="edge")
    return ~grown(~padded, depth_mm, step_mm)[:, 3:-3, 3:-3]


def grown(mask: NDArray[np.bool_], radius_mm: float, step_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """What lies within a distance from the mask in its slice: the mask moved to each place of a disk, all together.

    For the few voxels of such a disk this takes a fraction of the time of a map of distances, and is the same.

    Args:
        mask: ``(K, J, I)``.
        radius_mm: mm.
        step_mm: Along ``(k, j, i)``.
    """
    rows, columns = (int(radius_mm // mm) for mm in step_mm[1:])
    around = np.pad(mask, [(0, 0), (rows, rows), (columns, columns)])
    result: NDArray[np.bool_] = np.zeros_like(mask)
    _, height, width = mask.shape
    for down in range(-rows, rows + 1):
        for right in range(-columns, columns + 1):
            if np.sqrt((down * step_mm[1]) ** 2 + (right * step_mm[2]) ** 2) <= radius_mm:
                first, left = rows + down, columns + right
                result |= around[:, first : first + height, left : left + width]
    return result


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each slice with what its mask encloses: that lies in the box around all of the mask."""
    filled: NDArray[np.bool_] = np.zeros_like(mask)
    box = box_of(mask)
    if box is not None:
        filled[box] = np.stack([ndimage.binary_fill_holes(plane) for plane in mask[box]])
    return filled


def _on_fine_grid(mask: NDArray[np.bool_], factors: list[int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    fine = mask
    for axis, factor in enumerate(factors):
        fine = np.repeat(fine, factor, axis=axis)
    return fine[: shape[0], : shape[1], : shape[2]]


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax(), bool)

"""Non-contrast CT of a head with known infarcts and bleeding, in Hounsfield units.

The head is composed on a grid no finer than its own detail, then brought to the scan's voxels, where noise is added:
so fine scans cost little more than coarse ones.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.synth import ct_artifacts
from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.ct_anatomy import Landmarks, landmarks
from StrokeSegLib.synth.ct_ranges import CT_RANGES, CtRanges
from StrokeSegLib.synth.ct_sampling import final_shape, resampled
from StrokeSegLib.synth.ct_scene import Composed, Scene, compose
from StrokeSegLib.synth.ct_tissues import grow_ventricles
from StrokeSegLib.synth.ct_uneven import thicken_upper_slices
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.synth.fields import Float, blur_mm
from StrokeSegLib.synth.lesions import LesionLibrary
from StrokeSegLib.synth.placement import ScanGrid, place
from StrokeSegLib.volume import Volume

#: ``parameters["kind"]`` is the index in this tuple.
KINDS = ("healthy", "ischemic", "hemorrhagic", "both")
#: The head is composed on voxels no smaller than this (in plane, slice), mm; the label maps hold little finer detail.
FINEST_MM = (0.95, 1.5)


def make_ct_case(
    rng: np.random.Generator,
    head: Head,
    library: LesionLibrary | None = None,
    *,
    ranges: CtRanges = CT_RANGES,
    kind: str | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
) -> SyntheticCase:
    """One CT of a head.

    Args:
        library: Real lesion shapes for infarcts; procedural ones when None.
        kind: ``healthy``, ``ischemic``, ``hemorrhagic`` or ``both``; drawn when None.
        spacing_mm: The scan's voxel size ``(i, j, k)``; drawn when None.

    Returns:
        Image ``ct`` in HU (float32); truth 1 where an infarct can be seen, 2 where blood can. ``parameters`` holds
        the ``kind``'s index in ``KINDS``, ``noise_sd_hu``, of an infarct ``infarct_hours``, ``infarct_gray_drop_hu``
        and ``infarct_white_drop_hu``, and of blood ``<place>_ml`` as drawn for each place that was drawn
        (``hemorrhage.PLACES``), and where there are chronic subdural collections, which are not labeled,
        ``chronic_subdural_ml``. Truth can be empty where what was drawn is too faint to be seen.

    Raises:
        InputError: ``kind`` is none of the four.
    """
    if kind is None:
        kind = KINDS[int(rng.choice(4, p=np.array(ranges.kind_shares) / sum(ranges.kind_shares)))]
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}, needed one of {', '.join(KINDS)}")
    final_mm = draw_spacing(rng, ranges) if spacing_mm is None else spacing_mm
    marks = landmarks(head)
    grid = _scan_grid(rng, head, final_mm, marks, ranges)
    sharp = rng.random() < ranges.sharp_kernel_chance
    noise_sd, noise_5mm = ct_artifacts.noise_sd_hu(rng, final_mm[2], ranges, sharp)
    parameters = {"kind": float(KINDS.index(kind)), "noise_sd_hu": noise_sd}
    composed = compose(rng, Scene(head, library, grid, marks, kind, noise_5mm, ranges, parameters))
    hu, truth = _scan(rng, composed, grid, final_mm, noise_sd, sharp, ranges)

    def volume(array: NDArray[np.generic]) -> Volume:
        return Volume(array, final_mm, grid.origin, grid.direction)

    return SyntheticCase({"ct": volume(hu)}, volume(truth), parameters)


def draw_spacing(rng: np.random.Generator, ranges: CtRanges = CT_RANGES) -> tuple[float, float, float]:
    """A voxel size ``(i, j, k)`` in mm as training sees them."""
    fine = rng.random() < ranges.fine_in_plane_chance
    thin = rng.random() < ranges.thin_slice_chance
    side = float(rng.uniform(*(ranges.fine_in_plane_mm if fine else ranges.in_plane_mm)))
    return (side, side, float(rng.uniform(*(ranges.thin_slice_mm if thin else ranges.slice_mm))))


def _scan_grid(
    rng: np.random.Generator,
    head: Head,
    final_mm: tuple[float, float, float],
    marks: Landmarks,
    ranges: CtRanges,
) -> ScanGrid:
    """The grid that the head is composed on: tilted, warped, mirrored or not, ventricles of the drawn age."""
    grid = place(
        rng,
        head,
        (max(final_mm[0], FINEST_MM[0]), max(final_mm[1], FINEST_MM[0]), max(final_mm[2], FINEST_MM[1])),
        tilt_degrees=rng.uniform(*ranges.tilt_degrees),
        scale=rng.uniform(*ranges.scale),
        warp_mm=rng.uniform(*ranges.warp_mm),
        margin_mm=rng.uniform(*ranges.margin_mm),
    )
    position = grow_ventricles(grid.head_mm, marks, rng.uniform(*ranges.ventricle_growth))
    if rng.random() < ranges.flip_chance:
        position = np.ascontiguousarray(position[..., ::-1])
    return replace(grid, head_mm=position)


def _scan(
    rng: np.random.Generator,
    composed: Composed,
    grid: ScanGrid,
    final_mm: tuple[float, float, float],
    noise_sd_hu: float,
    sharp: bool,
    ranges: CtRanges,
) -> tuple[Float, NDArray[np.uint8]]:
    """HU and labels at the scan's voxels, with all that the scanner and those who saved the scan did."""
    hu = ct_artifacts.blur_plane(rng, composed.hu, grid.spacing_mm, ranges, sharp)
    hu = ct_artifacts.before_noise(rng, hu, grid, ranges)
    shape = final_shape(grid, final_mm)
    hu = resampled(hu, grid, final_mm, shape)
    labels = np.zeros(shape, np.uint8)
    for label, plane in composed.truth.items():
        labels[resampled(plane, grid, final_mm, shape, np.float16) > 0.5] = label
    fwhm_mm = rng.uniform(*ranges.noise_fwhm_mm) * (0.7 if sharp else 1.0)
    ct_artifacts.add_noise(rng, hu, final_mm, noise_sd_hu, fwhm_mm)
    hu *= np.float32(rng.uniform(*ranges.gain))
    hu += np.float32(rng.uniform(*ranges.offset_hu))
    np.clip(np.rint(hu, out=hu), -1024, 3071, out=hu)
    if rng.random() < ranges.view_cut_chance:
        ct_artifacts.cut_view(rng, hu, final_mm)
    if rng.random() < ranges.eight_bit_chance:
        hu = ct_artifacts.eight_bits(rng, hu, ranges)
    if rng.random() < ranges.skull_stripped_chance:
        keep = (blur_mm(composed.brain, grid.spacing_mm, 4.0) > rng.uniform(0.35, 0.97)).astype(np.float32)
        hu[resampled(keep, grid, final_mm, shape, np.float16) <= 0.5] = rng.choice((0.0, -1024.0))
    elif rng.random() < ranges.uneven_chance:
        hu, labels = thicken_upper_slices(rng, hu, labels, ranges)
    return hu, labels

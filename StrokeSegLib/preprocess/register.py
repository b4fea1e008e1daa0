"""Rigid registration of two scans of one head, and how far it can be trusted.

Mattes' mutual information (IEEE TMI 2003;22:120-128) by SimpleITK, so that CT and MRI may meet; from coarse to fine, on
one thread and with every voxel of the head, so that it gives the same answer each time (to less than a micrometer).
Only voxels in and around the head count: the table does not move with the patient.

How good it is, is told by what needs no truth: the registration is made a second time the other way round, and the two
must undo each other; and the heads must cover each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.errors import InputError
from StrokeSegLib.preprocess.geometry import Grid, grid_of, isotropic_grid, resample
from StrokeSegLib.preprocess.intensity import looks_like_ct
from StrokeSegLib.volume import Volume, from_sitk, to_sitk

#: Both scans are sampled this finely: a head holds enough such voxels to be placed to a twentieth of one.
STEP_MM = 4.0
#: Shrinking and smoothing (of the samples, in mm) from coarse to fine.
SHRINK, SMOOTH_MM = (3, 2, 1), (8.0, 4.0, 1.0)
BINS, ITERATIONS = 40, 300
#: A head is more than air (HU), or than this part of a bright voxel, and at least this large.
HEAD_ABOVE_HU, HEAD_PART, MIN_HEAD_ML = -300.0, 0.12, 100.0
#: Around the head this much air counts too: it tells where the skin is.
AROUND_MM = 8.0
#: Turns (20 degrees either way, about each patient axis) that the search starts from, besides none; and how many of the
#: starts are followed to the end.
START_TURNS_RAD = (-0.35, 0.35)
FINE_STARTS = 2
#: Beyond these a registration is doubtful, and beyond those it has failed.
DOUBTFUL_INVERSE_MM, FAILED_INVERSE_MM = 2.0, 5.0
DOUBTFUL_OVERLAP, FAILED_OVERLAP = 0.92, 0.80
#: Part of the smaller head that must lie in the other scan's field of view.
FAILED_COVERAGE = 0.4


@dataclass(frozen=True, eq=False)
class RigidRegistration:
    """Where a point of the fixed scan lies in the moving one: ``rotation @ point + offset_mm``, mm, LPS.

    Attributes:
        rotation: 3x3.
        offset_mm: 3.
        inverse_error_mm: Mean distance over the head by which the registration made the other way round fails to undo
            this one.
        head_overlap: Dice of the two heads where both scans see, 0-1.
        coverage: Part of the smaller head that both scans see, 0-1.
    """

    rotation: NDArray[np.float64]
    offset_mm: NDArray[np.float64]
    inverse_error_mm: float
    head_overlap: float
    coverage: float

    @property
    def quality(self) -> str:
        """``good``, ``doubtful`` (look at the picture) or ``failed`` (places on the two scans cannot be compared)."""
        if (
            self.inverse_error_mm > FAILED_INVERSE_MM
            or self.head_overlap < FAILED_OVERLAP
            or self.coverage < FAILED_COVERAGE
        ):
            return "failed"
        doubtful = self.inverse_error_mm > DOUBTFUL_INVERSE_MM or self.head_overlap < DOUBTFUL_OVERLAP
        return "doubtful" if doubtful else "good"

    @property
    def angle_deg(self) -> float:
        """By how much the head is turned between the scans."""
        return float(np.degrees(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1, 1))))

    def to_moving(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Where points of the fixed scan lie in the moving one, ``(..., 3)``, mm, LPS."""
        return np.asarray(np.asarray(points_mm, np.float64) @ self.rotation.T + self.offset_mm)

    def to_fixed(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """The way back."""
        return np.asarray((np.asarray(points_mm, np.float64) - self.offset_mm) @ self.rotation)


@dataclass(frozen=True, eq=False)
class _Sampled:
    """A scan ready to be registered."""

    image: sitk.Image
    head: Volume
    mask: sitk.Image
    center_mm: NDArray[np.float64]


def register_rigid(fixed: Volume, moving: Volume, progress: Progress | None = None) -> RigidRegistration:
    """Finds how the moving scan's head lies to that of the fixed scan.

    Args:
        fixed, moving: Scans of one head, any modality and orientation.
        progress: Called with ("register", done, 2).

    Raises:
        InputError: A scan shows no head.
    """
    report: Progress = progress or (lambda stage, done, total: None)
    report("register", 0, 2)
    one, other = _sampled(fixed, "first"), _sampled(moving, "second")
    rotation, offset = _found(one, other)
    report("register", 1, 2)
    back_rotation, back_offset = _found(other, one)
    report("register", 2, 2)
    points = one.head.ijk_to_lps(np.argwhere(one.head.array)[::7, ::-1])
    there = points @ rotation.T + offset
    back = there @ back_rotation.T + back_offset
    inverse_error_mm = float(np.linalg.norm(back - points, axis=1).mean())
    overlap, coverage = _covering(one.head, other.head, rotation, offset)
    return RigidRegistration(rotation, offset, inverse_error_mm, overlap, coverage)


def resample_moved(moving: Volume, found: RigidRegistration, grid: Grid, *, labels: bool = False) -> Volume:
    """The moving scan (or its label map) as it lies on a grid of the fixed one.

    For pictures and for looking; volumes are measured on the map's own grid.
    """
    image = to_sitk(moving)
    outside = 0.0 if labels else float(np.nanmin(moving.array))
    kind = sitk.sitkNearestNeighbor if labels else sitk.sitkLinear
    transform = sitk.AffineTransform(found.rotation.ravel().tolist(), found.offset_mm.tolist())
    return from_sitk(
        sitk.Resample(
            image, list(grid.size_ijk), transform, kind, grid.origin, grid.spacing_mm,
            np.asarray(grid.direction).ravel().tolist(), outside, image.GetPixelID() if labels else sitk.sitkFloat32,
        )
    )  # fmt: skip


def _sampled(volume: Volume, which: str) -> _Sampled:
    array = np.nan_to_num(np.asarray(volume.array, np.float32))
    volume = volume.with_array(array)
    grid = isotropic_grid(grid_of(volume), STEP_MM)
    coarse = resample(volume, grid, outside=float(array.min()))
    head = coarse.with_array(_head(coarse.array))
    voxels = np.argwhere(head.array)[:, ::-1]
    if len(voxels) * coarse.voxel_volume_ml < MIN_HEAD_ML:
        raise InputError(
            f"the {which} scan shows no head to register ({len(voxels) * coarse.voxel_volume_ml:.0f} mL brighter than "
            f"air, needed are {MIN_HEAD_ML:.0f} mL): give scans of the whole head"
        )
    low, high = np.percentile(coarse.array[head.array], [1, 99])
    image = to_sitk(coarse.with_array(coarse.array.clip(min(low, float(coarse.array.min())), high)))
    around = ndimage.binary_dilation(head.array, iterations=round(AROUND_MM / STEP_MM))
    return _Sampled(image, head, to_sitk(head.with_array(around)), head.ijk_to_lps(voxels).mean(axis=0))


def _head(array: NDArray[Any]) -> NDArray[np.bool_]:
    """The largest piece that is brighter than air, filled slice by slice along each axis."""
    above = HEAD_ABOVE_HU if looks_like_ct(array) else HEAD_PART * float(np.percentile(array, 99.5))
    opened = ndimage.binary_opening(array > above)
    pieces, count = ndimage.label(opened)
    if not count:
        return np.zeros(array.shape, bool)
    largest = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    for axis in range(3):
        for number in range(array.shape[axis]):
            plane = [slice(None)] * 3
            plane[axis] = slice(number, number + 1)
            cut = tuple(plane)
            largest[cut] = ndimage.binary_fill_holes(largest[cut].squeeze(axis)).reshape(largest[cut].shape)
    return np.asarray(largest, bool)


def _found(fixed: _Sampled, moving: _Sampled) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rotation and offset: the search goes a coarse way from every start, and the fine way from the best few."""
    coarse = [_optimized(fixed, moving, start, slice(0, 1)) for start in _starts(fixed, moving)]
    coarse.sort(key=lambda one: one[0])
    fine = [_optimized(fixed, moving, transform, slice(1, 3)) for _, transform in coarse[:FINE_STARTS]]
    _, best = min(fine, key=lambda one: one[0])
    rotation = np.array(best.GetMatrix()).reshape(3, 3)
    center = np.array(best.GetCenter())
    return rotation, center + np.array(best.GetTranslation()) - rotation @ center


def _optimized(
    fixed: _Sampled, moving: _Sampled, start: sitk.Euler3DTransform, levels: slice
) -> tuple[float, sitk.Euler3DTransform]:
    """Negative mutual information (the best is the smallest) and the transform that gives it."""
    transform = sitk.Euler3DTransform(start)
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetMetricFixedMask(fixed.mask)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform, inPlace=True)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=4.0, minStep=1e-3, numberOfIterations=ITERATIONS, relaxationFactor=0.85,
        gradientMagnitudeTolerance=1e-8,
    )  # fmt: skip
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(SHRINK[levels])
    method.SetSmoothingSigmasPerLevel(SMOOTH_MM[levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    try:
        method.Execute(fixed.image, moving.image)
    except RuntimeError:  # the heads have no voxel in common from this start
        return 0.0, transform
    return float(method.GetMetricValue()), transform


def _starts(fixed: _Sampled, moving: _Sampled) -> list[sitk.Euler3DTransform]:
    """As the scanner says; and with the heads' centers on each other, as they lie and turned about each axis."""
    center, shift = fixed.center_mm.tolist(), (moving.center_mm - fixed.center_mm).tolist()
    turns = [(0.0, 0.0, 0.0)]
    for axis in range(3):
        for turn in START_TURNS_RAD:
            turns.append((turn * (axis == 0), turn * (axis == 1), turn * (axis == 2)))
    return [sitk.Euler3DTransform(center), *[sitk.Euler3DTransform(center, *turn, shift) for turn in turns]]


def _covering(
    fixed: Volume, moving: Volume, rotation: NDArray[np.float64], offset_mm: NDArray[np.float64]
) -> tuple[float, float]:
    """Dice of the heads where both scans see, and the part of the smaller head that both see."""
    transform = sitk.AffineTransform(rotation.ravel().tolist(), offset_mm.tolist())
    field = to_sitk(moving.with_array(np.ones(moving.array.shape, np.uint8)))
    reference = to_sitk(fixed)
    seen, other = (
        sitk.GetArrayFromImage(sitk.Resample(one, reference, transform, sitk.sitkNearestNeighbor, 0.0)) > 0
        for one in (field, to_sitk(moving))
    )
    head = fixed.array & seen
    both = np.count_nonzero(head & other)
    total = np.count_nonzero(head) + np.count_nonzero(other)
    smaller = min(np.count_nonzero(fixed.array), np.count_nonzero(moving.array))
    return (2 * both / total if total else 0.0), min(1.0, np.count_nonzero(head) / smaller)

"""Where lesions lie and what shape they have: real masks placed in a head, or procedural ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.synth.anatomy import BRAIN, Head
from StrokeSegLib.volume import from_sitk

#: Of the points at which a registration compares two brains.
SAMPLING_SEED = 1


@dataclass(frozen=True, eq=False)
class LesionShape:
    """A lesion mask cropped to its bounding box.

    Attributes:
        mask: uint8 0/1, shape ``(K, J, I)``, axes along LPS, 1 mm voxels.
        corner: Position ``(k, j, i)`` of the box in the template grid.
        volume_ml: Volume in the template.
    """

    mask: NDArray[np.uint8]
    corner: tuple[int, int, int]
    volume_ml: float


@dataclass(frozen=True, eq=False)
class LesionLibrary:
    """Lesion shapes in one template space of 1 mm voxels.

    Attributes:
        shapes: The lesions.
        brain: Blurred 0..1 map of where lesions lie at all: the template's brain, for registration.
    """

    shapes: tuple[LesionShape, ...]
    brain: NDArray[np.float32]


def load_lesions(folder: Path) -> LesionLibrary:
    """All lesion masks (``*.nii.gz``, one grid of 1 mm) of a folder.

    Raises:
        InputError: No mask there, or masks on different grids.
    """
    shapes: list[LesionShape] = []
    count: NDArray[np.int32] | None = None
    for file in sorted(folder.glob("*.nii.gz")):
        mask = (from_sitk(sitk.DICOMOrient(sitk.ReadImage(str(file)), "LPS")).array > 0).astype(np.uint8)
        if count is None:
            count = np.zeros(mask.shape, np.int32)
        if mask.shape != count.shape:
            raise InputError(f"{file.name} has shape {mask.shape}, the masks before it {count.shape}: one grid needed")
        count += mask
        where = np.argwhere(mask)
        if len(where) == 0:
            continue
        low, high = where.min(axis=0), where.max(axis=0) + 1
        crop = mask[low[0] : high[0], low[1] : high[1], low[2] : high[2]].copy()
        shapes.append(LesionShape(crop, (int(low[0]), int(low[1]), int(low[2])), len(where) / 1000.0))
    if count is None or not shapes:
        raise InputError(f"no lesion masks in {folder}: needed *.nii.gz of 1 mm; name another folder")
    # A voxel in which several of the masks lie is brain; the blur makes the edge smooth for the registration.
    brain = (count >= max(1, len(shapes) // 500)).astype(np.float32)
    return LesionLibrary(tuple(shapes), brain)


def register_to_template(head: Head, library: LesionLibrary) -> Head:
    """The head with ``to_template`` set by registering its brain to the masks' brain.

    Rotation, translation and one scale an axis: a full affine shears the brain to fit where no lesion ever lay.
    """
    inside = np.isin(head.tissue, BRAIN).astype(np.float32)
    moving = _smooth_image(library.brain, 1.0)
    fixed = _smooth_image(inside, head.spacing_mm)
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.ScaleVersor3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.2, SAMPLING_SEED)  # without one, the clock's: no two runs place lesions alike
    method.SetNumberOfThreads(1)  # threads add up in another order each time
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 100)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=False)
    transform = method.Execute(fixed, moving)
    corner = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    axes = [np.array(transform.TransformPoint(tuple(np.eye(3)[a]))) - corner for a in range(3)]
    return replace(head, to_template=np.column_stack([*axes, corner]))


def _smooth_image(mask: NDArray[np.float32], spacing_mm: float) -> sitk.Image:
    image = sitk.GetImageFromArray(mask)
    image.SetSpacing((spacing_mm,) * 3)
    small = sitk.BinShrink(image, [max(1, round(3 / spacing_mm))] * 3)
    return sitk.SmoothingRecursiveGaussian(small, 4.0)

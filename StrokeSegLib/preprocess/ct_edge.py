"""A CT on the working grid: what lies around a brain without its skull means nothing, and must not blend with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.preprocess.geometry import Grid, resample
from StrokeSegLib.preprocess.padding import border_value, evenly
from StrokeSegLib.volume import Volume

#: Value outside a scan that was rotated or moved: air.
AIR_HU = -1000.0
#: Bone, and the part of what is not the value around the head that a stripping leaves of it at most.
BONE_HU, BONE_FRACTION = 200.0, 0.02
#: The part that has the highest value where an image was clipped there: bone cannot be told then.
CLIPPED_FRACTION = 0.01
#: Looked at in about so many rows and columns of each slice: a thin-slice scan is not copied for it.
SPARSE_SIDE = 128


def resampled_ct(axial: Volume, grid: Grid) -> NDArray[np.float32]:
    """The CT on the grid, linear; at the edge of a stripped brain the mean of the brain's own voxels alone.

    Blended with the 0 or the air around it, the brain would get a rim of fluid, or lose one.
    """
    rows, columns = (max(1, size // SPARSE_SIDE) for size in axial.array.shape[1:])
    sparse = axial.array[:, ::rows, ::columns]
    around = border_value(sparse)
    if around is None or not _stripped(sparse, around):
        return resample(axial, grid, outside=AIR_HU).array
    inside = axial.array != around
    part = resample(axial.with_array(inside.astype(np.uint8)), grid).array
    values = resample(axial.with_array(np.where(inside, axial.array, axial.array.dtype.type(0))), grid).array
    return np.where(part < 0.5, np.float32(around), values / np.clip(part, 0.5, 1)).astype(np.float32, copy=False)


def _stripped(hu: NDArray[Any], around: float) -> bool:
    """Whether hardly any bone is left."""
    head = evenly(hu)
    head = head[head != around]
    clipped = head.size > 0 and (head == head.max()).mean() > CLIPPED_FRACTION
    return bool(head.size > 0 and not clipped and (head > BONE_HU).mean() < BONE_FRACTION)

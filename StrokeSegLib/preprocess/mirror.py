"""The other side of a head: each voxel's value at its mirror image in the plane between the halves of the brain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.volume import Volume


def mirrored(image: Volume, plane: NDArray[np.float64], order: int = 0) -> NDArray[np.float32]:
    """Values at the mirror images.

    Args:
        image: Any grid.
        plane: ``(a, b, c)`` of ``x = a + b*y + c*z``, mm, LPS; see ``measure.midsagittal_plane``.
        order: 0 takes the nearest voxel, 1 is linear.

    Returns:
        float32 ``(K, J, I)``; NaN where the mirror image lies outside the image.
    """
    a, b, c = plane
    normal = np.array([1.0, -b, -c])
    # A mirror image is affine in the voxel's place, and so are its indices: no list of all places is made.
    reflect = np.eye(4)
    reflect[:3, :3] -= 2 * np.outer(normal, normal) / (normal @ normal)
    reflect[:3, 3] = 2 * a * normal / (normal @ normal)
    ijk_to_mm = np.eye(4)
    ijk_to_mm[:3, :3] = image.direction * image.spacing_mm
    ijk_to_mm[:3, 3] = image.origin
    there = np.linalg.inv(ijk_to_mm) @ reflect @ ijk_to_mm
    kji = there[2::-1, 2::-1]
    values: NDArray[np.float32] = ndimage.affine_transform(
        image.array.astype(np.float32), kji, there[2::-1, 3], order=order, mode="constant", cval=np.nan
    )
    return values

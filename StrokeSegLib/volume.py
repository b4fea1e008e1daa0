"""Volume: an image with its place in the patient, and THE axis convention of the whole library.

Convention, stated once:

* ``array`` is indexed ``[k, j, i]`` (slice, row, column), as SimpleITK's ``GetArrayFromImage`` and Slicer's
  ``arrayFromVolume`` give it. ``i`` runs fastest in memory.
* ``spacing_mm``, ``origin`` and the columns of ``direction`` are in the order ``(i, j, k)``.
* ``origin`` (mm, center of voxel 0, 0, 0) and ``direction`` are in LPS (x to the patient's Left, y Posterior,
  z Superior), as in DICOM and ITK. Slicer's RAS and NIfTI's RAS are converted at the two borders only: ``io.py`` and
  the module's ``scene.py``.

So the voxel ``(i, j, k)`` lies at ``origin + direction @ (spacing_mm * (i, j, k))``, in mm, LPS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from StrokeSegLib.errors import InputError

#: Columns of a direction matrix must be unit vectors at right angles to this tolerance; looser ones are sheared.
ORTHONORMAL_TOLERANCE = 1e-3
#: Two grids count as the same when their corners differ by less than this part of a voxel.
SAME_GRID_TOLERANCE_VOXEL = 1e-2
#: Flips x and y: turns LPS into RAS and back.
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D scalar image on a regular grid; valid once built.

    Attributes:
        array: Shape ``(K, J, I)``, any real dtype.
        spacing_mm: Voxel size along ``(i, j, k)``, mm, all positive.
        origin: Center of voxel ``(0, 0, 0)``, mm, LPS.
        direction: 3x3, columns are the unit directions of ``i``, ``j``, ``k`` in LPS. Left-handed is allowed.

    Raises:
        InputError: The array is not 3D or empty, or the geometry is not that of a regular grid.
    """

    array: NDArray[Any]
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: NDArray[np.float64] = None  # type: ignore[assignment]  # None means the identity

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim != 3:
            raise InputError(f"a volume needs 3 dimensions, got {array.ndim} (shape {array.shape})")
        if array.size == 0:
            raise InputError(f"a volume needs at least one voxel, got shape {array.shape} (k, j, i)")
        spacing = _three(self.spacing_mm, "spacing_mm")
        if not all(s > 0 for s in spacing):
            raise InputError(f"voxel spacing must be positive mm, got {spacing}; repair the image header")
        direction = np.array(np.eye(3) if self.direction is None else self.direction, dtype=np.float64).reshape(3, 3)
        _check_direction(direction)
        direction.setflags(write=False)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "spacing_mm", spacing)
        object.__setattr__(self, "origin", _three(self.origin, "origin"))
        object.__setattr__(self, "direction", direction)

    @property
    def size_ijk(self) -> tuple[int, int, int]:
        """Number of voxels along ``(i, j, k)``: the order of spacing_mm, the reverse of ``array.shape``."""
        k, j, i = self.array.shape
        return (i, j, k)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL (1 mL = 1000 mm3)."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def with_array(self, array: NDArray[Any]) -> Volume:
        """The same grid with another array of the same shape.

        Raises:
            InputError: The shape differs.
        """
        if array.shape != self.array.shape:
            raise InputError(f"array of shape {array.shape} does not fit the grid {self.array.shape} (k, j, i)")
        return replace(self, array=array)

    def ijk_to_lps(self, ijk: ArrayLike) -> NDArray[np.float64]:
        """Positions in mm (LPS) of voxel indices, shape ``(..., 3)`` in and out; fractional indices are fine."""
        scaled = np.asarray(ijk, dtype=np.float64) * np.array(self.spacing_mm)
        return np.asarray(scaled @ self.direction.T + np.array(self.origin))

    def lps_to_ijk(self, lps_mm: ArrayLike) -> NDArray[np.float64]:
        """Fractional voxel indices of positions in mm (LPS), shape ``(..., 3)`` in and out."""
        offset = np.asarray(lps_mm, dtype=np.float64) - np.array(self.origin)
        return np.asarray(offset @ self.direction / np.array(self.spacing_mm))

    def ijk_to_ras(self, ijk: ArrayLike) -> NDArray[np.float64]:
        """Positions in mm (RAS, Slicer's) of voxel indices, shape ``(..., 3)`` in and out."""
        return self.ijk_to_lps(ijk) @ LPS_TO_RAS

    def same_grid(self, other: Volume) -> bool:
        """True when both have the same shape and their corners coincide within a hundredth of a voxel."""
        if self.array.shape != other.array.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.size_ijk])).reshape(3, -1).T
        return bool(np.abs(self.lps_to_ijk(other.ijk_to_lps(corners)) - corners).max() < SAME_GRID_TOLERANCE_VOXEL)


def to_sitk(volume: Volume) -> sitk.Image:
    """A SimpleITK image with the volume's data (copied) and geometry."""
    array = volume.array
    if array.dtype in (np.bool_, np.float16):
        array = array.astype(np.uint8 if array.dtype == np.bool_ else np.float32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(volume.spacing_mm)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction.ravel().tolist())
    return image


def from_sitk(image: sitk.Image) -> Volume:
    """The volume of a 3D scalar SimpleITK image.

    Raises:
        InputError: The image has vector voxels or is not 3D.
    """
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            f"a scalar image is needed, got {image.GetNumberOfComponentsPerPixel()} components a voxel "
            "(color or vector)"
        )
    if image.GetDimension() != 3:
        raise InputError(f"a 3D image is needed, got {image.GetDimension()} dimensions {image.GetSize()}")
    return Volume(sitk.GetArrayFromImage(image), image.GetSpacing(), image.GetOrigin(), np.array(image.GetDirection()))


def _three(values: ArrayLike, name: str) -> tuple[float, float, float]:
    numbers = tuple(float(v) for v in np.asarray(values, dtype=np.float64).ravel())
    if len(numbers) != 3 or not np.all(np.isfinite(numbers)):
        raise InputError(f"{name} needs three finite numbers, got {numbers}; repair the image header")
    return (numbers[0], numbers[1], numbers[2])


def _check_direction(direction: NDArray[np.float64]) -> None:
    if not np.all(np.isfinite(direction)) or abs(np.linalg.det(direction)) < ORTHONORMAL_TOLERANCE:
        raise InputError(
            f"the direction matrix is singular ({np.round(direction, 3).tolist()}); repair the image header"
        )
    if np.abs(direction.T @ direction - np.eye(3)).max() > ORTHONORMAL_TOLERANCE:
        raise InputError(
            f"the axes are not at right angles ({np.round(direction, 3).tolist()}); "
            "resample the image to a regular grid"
        )

"""The only reading and writing of image files: NIfTI, NRRD, MHA, DICOM in; NIfTI, NRRD, MHA, Slicer's .seg.nrrd out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.io.dicom import Series, files_of, list_series, read_dicom_file, read_dicom_folder, series_in_steps
from StrokeSegLib.io.dicom_header import looks_like_dicom
from StrokeSegLib.io.metaimage import check_whole
from StrokeSegLib.io.nifti import read_nifti
from StrokeSegLib.io.reading import Reading, quiet_itk, several_volumes_error
from StrokeSegLib.io.writing import Segment, write_image, write_segmentation
from StrokeSegLib.volume import Volume

__all__ = [
    "Reading",
    "Segment",
    "Series",
    "files_of",
    "list_series",
    "read_image",
    "series_in_steps",
    "without_nan",
    "write_image",
    "write_segmentation",
]

_KINDS = ".nii, .nii.gz, .nrrd, .mha, a DICOM file or a DICOM folder"
_NIFTI = (".nii", ".nii.gz")
_METAIMAGE = (".mha", ".mhd")
_NRRD = (".nrrd", ".nhdr")
#: What ITK's exceptions mean for the user; all else is a damaged file.
_ITK_REASONS = {
    "determinant is 0": "has a singular direction matrix, three independent axes are needed: repair its header",
    "ero-valued spacing": "has a voxel size of 0 or none, positive mm are needed: repair its header",
    "number of domain axes": "has four axes (several volumes), one 3D volume is needed: extract it, as with Slicer",
    "size is zero": "has an empty size, a 3D image is needed: repair its header",
}


def read_image(source: str | os.PathLike[str]) -> Reading:
    """Reads one 3D image of any kind.

    Args:
        source: An image file, a DICOM file, a folder of DICOM files, or one of its series as ``FOLDER#SERIES_UID``,
            with ``:b1000`` behind it where the series holds several b-values.

    Returns:
        The volume (at least one slice), warnings, and the modality where the file says it. Integers stay integers
        where no rescale turns them into fractions; doubles become float32; NaN and infinities become 0 with a warning.

    Raises:
        InputError: Anything that keeps it from being one whole 3D scalar image; one line: what, got, needed, cure.
    """
    path, series_uid = _split(os.fspath(source))
    try:
        return without_nan(str(path), _read(path, series_uid))
    except PermissionError as error:
        raise InputError(f"{path} can not be read (no permission): ask its owner, or run as a user who may") from error
    except OSError as error:
        raise InputError(f"{path} can not be read ({error.strerror}): check the disk and the path") from error
    except MemoryError as error:
        raise InputError(f"{path} does not fit into memory: resample it, or use a larger machine") from error


def _split(source: str) -> tuple[Path, str | None]:
    """Path and series UID of ``PATH#UID``; a ``#`` that belongs to an existing name is left alone."""
    head, mark, uid = source.rpartition("#")
    if mark and not os.path.lexists(source):
        return Path(head), uid
    return Path(source), None


def _read(path: Path, series_uid: str | None) -> Reading:
    if path.is_dir():
        if not os.access(path, os.R_OK | os.X_OK):
            raise PermissionError(path)
        return read_dicom_folder(path, series_uid)
    _check_file(path, series_uid)
    try:
        return _read_file(path)
    except InputError as error:  # Volume's own checks do not know the path
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error


def _check_file(path: Path, series_uid: str | None) -> None:
    if not path.exists():
        raise InputError(f"{path} does not exist, an image is needed ({_KINDS}): check the path")
    if series_uid is not None:
        raise InputError(f"{path} is a file, a series can only be asked for in a DICOM folder: leave out #{series_uid}")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file, an image is needed ({_KINDS}): check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is an empty file, an image is needed: copy it again")


def _read_file(path: Path) -> Reading:
    name = path.name.lower()
    if name.endswith(_NIFTI):
        return read_nifti(path)
    if name.endswith(_METAIMAGE):
        check_whole(path)
    if name.endswith((*_METAIMAGE, *_NRRD)):
        return _read_with_itk(path)
    if looks_like_dicom(path):
        return read_dicom_file(path)
    raise InputError(f"{path} is not an image that can be read, got {path.suffix or 'no suffix'}, needed {_KINDS}")


def _read_with_itk(path: Path) -> Reading:
    try:
        with quiet_itk():
            image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        found = next((text for mark, text in _ITK_REASONS.items() if mark in str(error)), None)
        kind = "NRRD" if path.name.lower().endswith(_NRRD) else "MetaImage"
        raise InputError(f"{path} {found or f'is damaged, or not a {kind} file: write or copy it again'}") from error
    components = image.GetNumberOfComponentsPerPixel()
    if components != 1:
        command = f"s.WriteImage(s.VectorIndexSelectionCast(s.ReadImage('{path}'), 0), 'component0.nii.gz')"
        raise InputError(
            f"{path} holds {components} numbers a voxel (color, vectors or several volumes), one is needed: "
            f'extract the one you need, for the first: python -c "import SimpleITK as s; {command}"'
        )
    size, array = image.GetSize(), sitk.GetArrayFromImage(image)
    if array.dtype.kind == "c":
        raise InputError(f"{path} holds complex voxels, real numbers are needed: give its magnitude image")
    if (volumes := int(np.prod(size[3:]))) > 1:
        means = array.reshape(volumes, -1).mean(axis=1, dtype=np.float64).tolist()
        raise InputError(several_volumes_error(str(path), size, means, "[:, :, :, {n}]"))
    return Reading(_volume_3d(array, image))


def _volume_3d(array: NDArray[Any], image: sitk.Image) -> Volume:
    """The volume of a 2D, 3D or 4D image of one volume: a missing k axis is the normal, 1 mm; a fourth is dropped."""
    dimension = min(image.GetDimension(), 3)
    spacing, origin, direction = np.ones(3), np.zeros(3), np.eye(3)
    spacing[:dimension] = image.GetSpacing()[:dimension]
    origin[:dimension] = image.GetOrigin()[:dimension]
    whole = np.array(image.GetDirection()).reshape(image.GetDimension(), -1)
    direction[:dimension, :dimension] = whole[:dimension, :dimension]
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):  # beyond float32 is infinite, which is reported as such
            array = array.astype(np.float32)
    shape = (1, *array.shape) if array.ndim == 2 else array.shape[-3:]
    return Volume(
        array.reshape(shape), (spacing[0], spacing[1], spacing[2]), (origin[0], origin[1], origin[2]), direction
    )


def without_nan(source: str, reading: Reading) -> Reading:
    """NaN and infinities replaced by 0, slice by slice to save memory, with a warning that counts them.

    The array that was given is left as it is where it has any.

    Raises:
        InputError: No voxel has a finite value.
    """
    array = reading.volume.array
    if array.dtype.kind != "f":
        return reading
    bad = 0
    for k in range(len(array)):
        plane = array[k]
        with np.errstate(all="ignore"):
            if np.isfinite(plane.sum()):  # quick, and never finite where a voxel is not
                continue
        wrong = ~np.isfinite(plane)
        if count := int(wrong.sum()):
            if not bad:
                array = array.copy()
            array[k][wrong] = 0
            bad += count
    if bad == array.size:
        raise InputError(f"{source} holds no finite value (all {bad} voxels are NaN or infinite): give another image")
    if not bad:
        return reading
    share = 100 * bad / array.size
    text = f"{source}: {bad} voxels ({share:.2g}%) were NaN or infinite and were set to 0"
    return Reading(reading.volume.with_array(array), (*reading.warnings, text), reading.modality)

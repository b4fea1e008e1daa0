"""Writes volumes, and label maps as Slicer's .seg.nrrd; a file counts as written when it has been read back whole."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from StrokeSegLib.disk import DISK_FULL, check_room, disk_full, flush_to_disk
from StrokeSegLib.errors import InputError
from StrokeSegLib.io.blocks import write_gzip, write_plain
from StrokeSegLib.io.box import box_of
from StrokeSegLib.io.headers import fits_nifti, nifti_header, nrrd_header
from StrokeSegLib.io.metaimage import check_whole
from StrokeSegLib.io.nifti import read_nifti
from StrokeSegLib.io.reading import quiet_itk
from StrokeSegLib.volume import LPS_TO_RAS, Volume, to_sitk

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
_NIFTI = (".nii.gz", ".nii")
_UNZIPPED = (".nii", ".mha")
#: Room for the header of an unzipped file.
_HEADER_BYTES = 1000
_BINARY_LABELMAP = "Binary labelmap"


@dataclass(frozen=True)
class Segment:
    """One label of a label map as Slicer shows it.

    Attributes:
        value: Its voxels' value, 1 to 255.
        name: Shown in Slicer's tables.
        color_rgb: 0 to 255 each.
        terminology: Slicer's terminology entry: ``context~category~type~modifier~region context~region~modifier``.
        algorithm_name: Model and version that drew it; goes into DICOM SEG.
    """

    value: int
    name: str
    color_rgb: tuple[int, int, int]
    terminology: str
    algorithm_name: str


def write_image(volume: Volume, path: str | os.PathLike[str], *, decimals: int | None = None) -> None:
    """Writes a volume in the format of the path's suffix (.nii.gz, .nii, .nrrd, .mha); masks are written as uint8.

    Args:
        volume: What is written.
        path: Its folder exists.
        decimals: Values are rounded to so many; as they are when None.

    Raises:
        InputError: Unknown suffix, no such folder, no permission, or no room; what was half written is removed.
    """
    path = Path(path)
    volume = volume.with_array(_as_stored(volume.array))
    if path.name.endswith(_NIFTI) and fits_nifti(volume):
        _write_whole(partial(_write_bytes, nifti_header(volume), b"", volume.array, decimals), path)
        return
    if decimals is not None:
        volume = volume.with_array(volume.array.round(decimals))
    _write_whole(partial(_write_with_itk, to_sitk(volume)), path)


def write_segmentation(labels: Volume, path: str | os.PathLike[str], segments: Sequence[Segment]) -> None:
    """Writes a label map as a Slicer segmentation (.seg.nrrd): all segments in one layer, algorithm tagged automatic.

    Args:
        labels: Integer volume, 0 where no segment is; values 0 to 255.
        path: Ends in ``.seg.nrrd``, by which Slicer knows it.
        segments: One for each value that may occur; a segment without voxels is kept, empty.

    Raises:
        InputError: As write_image; or a label without a segment, or a path without ``.seg.nrrd``.
    """
    path = Path(path)
    if not path.name.endswith(".seg.nrrd"):
        raise InputError(f"{path} is no name for a segmentation, Slicer needs .seg.nrrd: rename it")
    box = box_of(labels.array)
    present = set() if box is None else {int(v) for v in np.unique(labels.array[box])}
    unknown = present - {0} - {s.value for s in segments}
    if unknown:
        raise InputError(
            f"labels {sorted(unknown)} have no segment (known: {[s.value for s in segments]}): describe them"
        )
    header = nrrd_header(labels, _segmentation_fields(labels, segments))
    _write_whole(partial(_write_bytes, b"", header, labels.array.astype(np.uint8, copy=False), None), path)


def _segmentation_fields(labels: Volume, segments: Sequence[Segment]) -> dict[str, str]:
    """NRRD key/value pairs that Slicer's segmentation reader looks for."""
    i, j, k = (n - 1 for n in labels.size_ijk)
    extent = (0, i, 0, j, 0, k)
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = LPS_TO_RAS @ labels.direction * labels.spacing_mm
    ijk_to_ras[:3, 3] = LPS_TO_RAS @ np.array(labels.origin)
    geometry = "".join(f"{n};" for n in (*ijk_to_ras.ravel().tolist(), *extent))
    fields = {
        "Segmentation_MasterRepresentation": _BINARY_LABELMAP,
        "Segmentation_ContainedRepresentationNames": f"{_BINARY_LABELMAP}|",
        "Segmentation_ConversionParameters": f"Reference image geometry|{geometry}|Grid of the segmented image&",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for index, segment in enumerate(segments):
        tags = {
            "DICOM.SegmentAlgorithmName": segment.algorithm_name,
            "DICOM.SegmentAlgorithmType": "AUTOMATIC",
            "TerminologyEntry": segment.terminology,
        }
        values = {
            "ID": f"Segment_{segment.value}",
            "Name": segment.name,
            "NameAutoGenerated": "0",
            "Color": " ".join(f"{c / 255:.6g}" for c in segment.color_rgb),
            "ColorAutoGenerated": "0",
            "LabelValue": str(segment.value),
            "Layer": "0",
            "Extent": " ".join(map(str, extent)),
            "Tags": "".join(f"{key}:{value.replace('|', '/')}|" for key, value in tags.items()),
        }
        fields |= {f"Segment{index}_{key}": value for key, value in values.items()}
    return fields


def _as_stored(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype == np.bool_:
        return np.ascontiguousarray(array).view(np.uint8)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _write_whole(write: Callable[[Path], None], path: Path) -> None:
    if not path.name.endswith(_SUFFIXES):
        raise InputError(f"{path} has no suffix that can be written, needed one of {', '.join(_SUFFIXES)}: rename it")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist, an existing one is needed: create it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"{path} can not be written (no permission): choose another folder")
    try:
        write(path)
    except (RuntimeError, InputError) as error:  # ITK says no more than that, and may say nothing
        path.unlink(missing_ok=True)
        raise disk_full(path.parent) from error
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in DISK_FULL:
            raise disk_full(path.parent) from error
        raise


def _write_bytes(zipped_header: bytes, header: bytes, array: NDArray[Any], decimals: int | None, path: Path) -> None:
    """Writes the header as it is, then one gzip stream (of a .nii: plain bytes) of the zipped header and the voxels.

    Raises:
        InputError: What is on the disk is not what was written.
        OSError: There is no room.
    """
    if path.suffix == ".nii":
        with path.open("wb") as file:
            size = write_plain(file, zipped_header, array, decimals)
        flush_to_disk(path)
        whole = path.stat().st_size == size
    else:
        with path.open("wb") as file:
            file.write(header)
            checksum = write_gzip(file, zipped_header, array, decimals)
        flush_to_disk(path)
        whole = zlib.crc32(path.read_bytes()[len(header) :]) == checksum
    if not whole:
        raise InputError(f"{path} is not what was written: write it again")


def _write_with_itk(image: sitk.Image, path: Path) -> None:
    """Writes and reads the file to its last byte.

    Raises:
        InputError, RuntimeError: It is not whole.
        OSError: There is no room.
    """
    zipped = not path.name.endswith(_UNZIPPED)
    if not zipped:  # their C code prints to stderr when there is no room; the others' says it in an exception
        check_room(path, image.GetNumberOfPixels() * image.GetSizeOfPixelComponent() + _HEADER_BYTES)
    with quiet_itk():
        sitk.WriteImage(image, str(path), useCompression=zipped)
    flush_to_disk(path)
    if path.name.endswith(_NIFTI):
        read_nifti(path)
    else:
        if path.suffix == ".mha":
            check_whole(path)
        with quiet_itk():
            sitk.ReadImage(str(path))

"""The header of one DICOM file, as far as its slice's place and its series need it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from StrokeSegLib.errors import InputError
from StrokeSegLib.io.dicom_b_value import b_value_of
from StrokeSegLib.io.reading import quiet_itk

#: Storage classes without pixels of a scan, by the start of their UID: reports, presentation states, curves, RT plans,
#: documents, raw data; they lie beside images in real folders and are passed over.
_NO_IMAGE = tuple(
    f"1.2.840.10008.{end}"
    for end in ("1.3.10", *(f"5.1.4.1.1.{n}" for n in ("4.2", "9.", "11.", "66", "88.", "104.")),
                *(f"5.1.4.1.1.481.{n}" for n in range(2, 10)), "5.1.4.34", "5.1.4.43", "5.1.4.44", "5.1.4.45")
)  # fmt: skip


@dataclass(frozen=True)
class Slice:
    """One file's header, as far as geometry and grouping need it; nothing that names the patient."""

    path: Path
    study: str
    series: str
    modality: str
    description: str
    instance: str
    b_value: str
    size: tuple[int, int]
    frames: int
    position: tuple[float, ...]
    axes: tuple[float, ...]
    spacing_ij_mm: tuple[float, ...]
    thickness_mm: float
    pixel_id: int
    components: int
    mosaic: bool
    image_type: str
    contrast: str


def looks_like_dicom(path: Path) -> bool:
    """True for a DICOM file with its preamble, and for an old one without (its first group is 0008)."""
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or (start[:2] == b"\x08\x00" and start[3:4] == b"\x00")


def read_header(path: Path) -> Slice | None:
    """The header of an image, None for any other file.

    Raises:
        InputError: A DICOM image that can not be read: leaving it out would leave a hole in the scan.
    """
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} can not be read (no permission): ask its owner, or run as a user who may")
    if not path.is_file() or not looks_like_dicom(path):
        return None
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        with quiet_itk():
            reader.ReadImageInformation()
    except RuntimeError as error:
        storage = _storage_class(path)
        if storage is None or storage.startswith(_NO_IMAGE):
            return None
        raise InputError(
            f"{path} is a DICOM file that can not be decoded, a whole image is needed: "
            f"copy it again, or take it out of the folder if it is not of this scan"
        ) from error
    keys = set(reader.GetMetaDataKeys())

    def text(tag: str) -> str:
        return str(reader.GetMetaData(tag)).strip(" \0") if tag in keys else ""

    spacing = _numbers(text("0028|0030")) or _numbers(text("0018|1164"))
    return Slice(
        path=path,
        study=text("0020|000d"),
        series=text("0020|000e"),
        modality=text("0008|0060"),
        description=text("0008|103e"),
        instance=text("0008|0018"),
        b_value=b_value_of(path, text("0018|9087"), text("0008|0060")),
        size=(int(reader.GetSize()[0]), int(reader.GetSize()[1])),
        frames=int(reader.GetSize()[2]) if len(reader.GetSize()) > 2 else 1,
        position=_numbers(text("0020|0032")),
        axes=_numbers(text("0020|0037")),
        spacing_ij_mm=spacing[::-1],  # DICOM gives the distance of rows (along j) first
        thickness_mm=next((t for tag in ("0018|0088", "0018|0050") if (t := (*_numbers(text(tag)), 0.0)[0]) > 0), 0.0),
        pixel_id=reader.GetPixelID(),
        components=reader.GetNumberOfComponents(),
        mosaic="MOSAIC" in text("0008|0008").split("\\"),
        image_type=text("0008|0008"),
        contrast=text("0018|0010"),
    )


def _storage_class(path: Path) -> str | None:
    """Media storage class (0002,0002) of a file that GDCM refused; None for a file without DICOM's preamble."""
    with path.open("rb") as file:
        head = file.read(1024)
    at = head.find(b"\x02\x00\x02\x00UI")
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    found = head[at + 8 : at + 8 + length].decode("ascii", "replace").strip(" \0") if at >= 0 else ""
    return found if head[128:132] == b"DICM" else None


def _numbers(text: str) -> tuple[float, ...]:
    """Numbers of a DICOM string, none if one of them is not finite or not a number."""
    try:
        numbers = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return ()
    return numbers if np.all(np.isfinite(numbers)) else ()

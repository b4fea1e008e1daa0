"""The DICOM images that were segmented: their headers, to be referred to and to say whose they are."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import files_of, read_image
from StrokeSegLib.io.dicom_header import looks_like_dicom
from StrokeSegLib.report.optional import needed
from StrokeSegLib.volume import Volume

#: Patient and study as a report shows them when it is asked to: DICOM keyword -> words.
PATIENT_FIELDS = {
    "PatientName": "Name",
    "PatientID": "Patient ID",
    "PatientBirthDate": "Date of birth",
    "PatientSex": "Sex",
    "AccessionNumber": "Accession number",
    "StudyDate": "Study date",
}
#: A mask whose corners lie this far from those of the scan, in voxels, was drawn on another scan.
_SAME_CORNER_VOXEL = 0.5


@contextmanager
def quiet_dicom() -> Iterator[None]:
    """Keeps off stderr what highdicom and pydicom say about odd values: they quote them, a patient's name too."""
    logger = logging.getLogger("highdicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """One DICOM series.

    Attributes:
        images: Headers without pixels, one a slice, in the order of their instance numbers.
    """

    images: Sequence[Any]

    @property
    def first(self) -> Any:
        """Header of the first image; what is one for the whole series can be read there."""
        return self.images[0]

    @property
    def series_uid(self) -> str:
        return str(self.first.SeriesInstanceUID)

    def patient(self) -> dict[str, str]:
        """The patient's fields that are there, as words and text."""
        with quiet_dicom():
            found = {words: _text(getattr(self.first, key, "")) for key, words in PATIENT_FIELDS.items()}
        return {words: text for words, text in found.items() if text}


def read_source(source: str) -> SourceSeries:
    """The headers of the images behind an input path.

    Args:
        source: A DICOM file, a folder with one series, or ``FOLDER#SERIES_UID`` as ``read_image`` takes it.

    Raises:
        InputError: It is not there, holds no DICOM images or several series, or misses what a reference needs.
    """
    needed("pydicom", "reading the patient and the source images")
    with quiet_dicom():
        return _read(source)


def _read(source: str) -> SourceSeries:
    pydicom = needed("pydicom", "")
    path, series_uid = Path(source), None
    if "#" in source and not path.exists():
        head, _, series_uid = source.rpartition("#")
        path = Path(head)
    if series_uid is not None and ":" in series_uid:
        files = files_of(path, series_uid)
        series_uid = series_uid.partition(":")[0]
    else:
        files = [path] if path.is_file() else sorted(Path(r) / n for r, _, names in os.walk(path) for n in names)
    images: dict[str, Any] = {}
    for file in files:
        if not looks_like_dicom(file):
            continue
        header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        if "ImagePositionPatient" in header and series_uid in (None, header.get("SeriesInstanceUID")):
            images.setdefault(str(header.get("SOPInstanceUID", file)), header)
    if not images:
        raise InputError(
            f"{source} holds no DICOM image (is it there, and the scan that was segmented?), the series that was "
            f"segmented is needed: name its folder with --source"
        )
    series = {str(header.get("SeriesInstanceUID", "")) for header in images.values()}
    if len(series) > 1:
        raise InputError(f"{source} holds {len(series)} DICOM series, one is needed: name it with {source}#SERIES_UID")
    return SourceSeries(sorted(images.values(), key=_order))


def check_source(series: SourceSeries, source: str, labels: Volume) -> None:
    """Refuses a series that the mask was not drawn on, or that can not be referred to.

    Raises:
        InputError: The scan lies elsewhere than the mask, or misses an identifier.
    """
    keys = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
    with quiet_dicom():
        missing = [key for key in keys if not all(getattr(image, key, "") for image in series.images)]
    if missing:
        raise InputError(
            f"the images of {source} have no {', '.join(missing)}, DICOM results need it: use the original"
        )
    scan = read_image(source).volume
    corners = [_corners(volume) for volume in (scan, labels)]
    apart_mm = np.linalg.norm(corners[0][:, None] - corners[1][None], axis=-1)
    worst = max(apart_mm.min(axis=0).max(), apart_mm.min(axis=1).max())
    if sorted(scan.array.shape) != sorted(labels.array.shape) or worst > _SAME_CORNER_VOXEL * min(scan.spacing_mm):
        raise InputError(
            f"{source} is not the scan that was segmented: its grid is {scan.size_ijk}, the mask's {labels.size_ijk} "
            f"(i, j, k), and corners lie up to {worst:.1f} mm apart: name the right series with --source"
        )


def _corners(volume: Volume) -> Any:
    return volume.ijk_to_lps(np.array(np.meshgrid(*[(0, n - 1) for n in volume.size_ijk])).reshape(3, -1).T)


def _order(header: Any) -> tuple[int, str]:
    return int(header.get("InstanceNumber") or 0), str(header.get("SOPInstanceUID", ""))


def _text(value: Any) -> str:
    """A field as text; a date as year-month-day, a name as Family, Given."""
    text = str(value).strip()
    if len(text) == 8 and text.isdigit():
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    parts = [part for part in text.split("=")[0].split("^") if part] if "^" in text else []
    return ", ".join([parts[0], " ".join(parts[1:])]) if len(parts) > 1 else text.replace("^", " ").strip()

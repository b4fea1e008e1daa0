"""What the tests of reports share: a small named DICOM series, and the result folder of a mask drawn on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from dicom_phantoms import AXIAL, dicom_slice
from pydicom.uid import generate_uid

from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.measure import measure_lesions
from StrokeSegLib.report.measurements import ModelRecord, RunRecord, build_measurements, record_input
from StrokeSegLib.volume import Volume

#: Whose scan it is. None of these may be found where it was not asked for.
IDENTITY = {
    "PatientName": "PRIVACY^TEST",
    "PatientID": "ID-7319-X",
    "PatientBirthDate": "19570203",
    "PatientSex": "F",
    "AccessionNumber": "ACC998877",
    "StudyDate": "20210704",
    "StudyTime": "101500",
    "StudyID": "ST4711",
    "ReferringPhysicianName": "REFERRER^JO",
}
NAMES = {1: "ischemic lesion", 2: "hemorrhage"}
SHA256 = "0123456789abcdef" * 4


def head_series(
    folder: Path, heights: list[float], axes: tuple[float, ...] = AXIAL, fields: Mapping[str, object] = IDENTITY
) -> Path:
    """A CT of air with a box of tissue: slices of 40 x 60 pixels of 2 x 0.5 mm, one above the other at ``heights``."""
    pixels = np.full((40, 60), -1000, np.int16)
    pixels[4:36, 5:55] = 40
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    for number, z in enumerate(heights, start=1):
        place = (-15.0, -40.0, z)
        identifiers = {"StudyInstanceUID": study, "FrameOfReferenceUID": frame, "InstanceNumber": number}
        dicom_slice(folder / f"{number:02d}.dcm", pixels, place, axes=axes, series=series, **{**fields, **identifiers})
    return folder


def two_lesions(grid: Volume) -> Volume:
    """An ischemic lesion of 4 x 5 x 6 voxels (k, j, i) at its lowest indices, and a hemorrhage of 2 x 2 x 2."""
    labels = np.zeros(grid.array.shape, np.uint8)
    labels[1:5, 8:13, 10:16] = 1
    labels[2:4, 20:22, 40:42] = 2
    return grid.with_array(labels)


def write_result(folder: Path, source: Path, labels: Volume, warnings: tuple[str, ...] = ()) -> Path:
    """A result folder as a run leaves it, of a mask that is known."""
    folder.mkdir(parents=True, exist_ok=True)
    write_image(labels, folder / "lesion.nii.gz")
    measurements = build_measurements(
        ModelRecord("noncontrast-ct", "0.1.0", SHA256, "noncontrast-ct", NAMES),
        {"ct": record_input(source, labels)},
        measure_lesions(labels),
        RunRecord("cpu", "openvino", {}, warnings),
        review_reasons=[f"a warning about the input: {text}" for text in warnings],
    )
    (folder / "measurements.json").write_text(json.dumps(measurements), encoding="utf-8")
    return folder


def small_result(tmp_path: Path) -> Path:
    """A regular series of 8 slices, 4 mm apart, and its result folder with two lesions."""
    source = head_series(tmp_path / "scan", [4.0 * n for n in range(8)])
    return write_result(tmp_path / "result", source, two_lesions(read_image(source).volume))

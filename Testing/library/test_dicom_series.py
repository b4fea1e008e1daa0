"""Several series in a folder, and several b-values in a series: each is a volume that can be asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_phantoms import (
    one_line,
    ramp_series,
    two_b_values,
    worst_place_mm,
)

from StrokeSegLib.io import files_of, list_series, read_image


def test_several_series_are_listed_and_one_can_be_asked_for(tmp_path: Path) -> None:
    ramp_series(tmp_path / "one", [0.0, 5.0, 10.0], series="1.2.3")
    ramp_series(tmp_path / "two", [0.0, 5.0], series="1.2.4", SeriesDescription="DWI b1000", Modality="MR")
    one_line(
        tmp_path,
        "2 DICOM series",
        "1.2.3 (head, CT, 3 images)",
        "1.2.4 (DWI b1000, MR, 2 images)",
        f"{tmp_path}#SERIES_UID",
    )
    reading = read_image(f"{tmp_path}#1.2.4")
    assert reading.volume.array.shape[0] == 2
    assert reading.modality == "MR"
    one_line(f"{tmp_path}#1.2.5", "no DICOM series 1.2.5", "1.2.3 (head", "1.2.4 (DWI")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"0019|SIEMENS MR HEADER|0c|IS": int},
        {"0043|GEMS_PARM_01|39|IS": lambda b: [1_000_000_000 + int(b), 8, 0, 0]},
        {"2001|Philips Imaging DD 001|03|FL": lambda b: b},
    ],
    ids=["DICOM", "Siemens", "GE", "Philips"],
)
def test_each_b_value_of_a_series_is_a_volume_that_can_be_asked_for(tmp_path: Path, fields: dict[str, object]) -> None:
    two_b_values(tmp_path, **fields)
    found = list_series(tmp_path)
    assert [(one.uid, one.description, one.b_value, one.images) for one in found] == [
        ("1.2.3:b1000", "head b1000", "1000", 3),
        ("1.2.3:b0", "head b0", "0", 3),
    ]
    for more, uid in enumerate(("1.2.3:b0", "1.2.3:b1000")):
        reading = read_image(f"{tmp_path}#{uid}")
        assert reading.warnings == ()
        shifted = reading.volume.with_array(reading.volume.array - np.int16(more))
        assert worst_place_mm(shifted) < 0.05
        assert [path.name for path in files_of(tmp_path, uid)] == [f"{1000 * more}-{z}.dcm" for z in (0, 10, 5)]


@pytest.mark.parametrize("asked", ["", "#1.2.3"])
def test_a_series_of_several_b_values_is_refused_with_the_names_of_its_volumes(tmp_path: Path, asked: str) -> None:
    two_b_values(tmp_path)
    one_line(
        f"{tmp_path}{asked}",
        "6 images with 2 b-values in one series",
        "the highest",
        "1.2.3:b1000 (head b1000, MR, 3 images)",
        "1.2.3:b0 (head b0, MR, 3 images)",
        f"{tmp_path}#1.2.3:b1000",
    )
    one_line(f"{tmp_path}#1.2.3:b500", "no DICOM series 1.2.3:b500", "1.2.3:b1000 (head")


def test_a_b_value_that_changes_from_slice_to_slice_of_one_volume_divides_nothing(tmp_path: Path) -> None:
    for index, b in enumerate((0.0, 1000.0, 1000.0)):
        ramp_series(tmp_path / str(index), [5.0 * index], DiffusionBValue=b)
    assert [one.uid for one in list_series(tmp_path)] == ["1.2.3"]
    assert read_image(tmp_path).volume.array.shape[0] == 3


def test_several_volumes_of_one_b_value_are_refused(tmp_path: Path) -> None:
    for n, direction in enumerate("xyz"):
        ramp_series(tmp_path / direction, [0.0, 5.0, 10.0], DiffusionBValue=1000.0, intercept=float(n))
    one_line(tmp_path, "9 images at 3 slice positions", "3 volumes", "dcm2niix")

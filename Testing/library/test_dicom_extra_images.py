"""What lies among a scan's slices in real folders: the same slice under another name, localizers, rounded pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_phantoms import dicom_slice, one_line, ramp_series
from pydicom.uid import generate_uid

from StrokeSegLib.io import files_of, list_series, read_image

SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
LOCALIZER = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "axes": SAGITTAL}


def again(path: Path, copy: Path, change: int = 0) -> None:
    """The same slice as another instance, as exported a second time."""
    item = pydicom.dcmread(path)
    item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    pixels = item.pixel_array.copy()
    pixels[0, 0] += change
    item.PixelData = pixels.tobytes()
    item.save_as(copy)


@pytest.mark.parametrize("count", [1, 3])
def test_a_slice_that_was_exported_twice_is_left_out_once(tmp_path: Path, count: int) -> None:
    ramp_series(tmp_path, [0.0, 5.0, 10.0])
    alone = read_image(tmp_path).volume
    for path in sorted(tmp_path.iterdir())[:count]:
        again(path, tmp_path / f"again-{path.name}")
    reading = read_image(tmp_path)
    assert np.array_equal(reading.volume.array, alone.array)
    assert reading.volume.same_grid(alone)
    assert f"{count} copies" in reading.warnings[0]


def test_another_image_at_the_place_of_a_slice_is_no_copy(tmp_path: Path) -> None:
    ramp_series(tmp_path, [0.0, 5.0, 10.0])
    path = sorted(tmp_path.iterdir())[1]
    again(path, tmp_path / "again.dcm", change=1)
    one_line(tmp_path, "4 images at 3 slice positions")


@pytest.mark.parametrize("series", ["1.2.3", "1.2.9"], ids=["in the series", "in a series of its own"])
def test_localizers_are_passed_over(tmp_path: Path, series: str) -> None:
    ramp_series(tmp_path, [0.0, 5.0, 10.0])
    alone = read_image(tmp_path).volume
    dicom_slice(tmp_path / "localizer.dcm", np.zeros((8, 30), np.int16), (0, 0, 0), series=series, **LOCALIZER)
    reading = read_image(tmp_path)
    assert np.array_equal(reading.volume.array, alone.array)
    assert [each.images for each in list_series(tmp_path)] == [3]
    assert tmp_path / "localizer.dcm" not in files_of(tmp_path, "1.2.3")


def test_a_localizer_alone_is_read_as_what_it_is(tmp_path: Path) -> None:
    dicom_slice(tmp_path / "localizer.dcm", np.ones((8, 30), np.int16), (0, 0, 0), **LOCALIZER)
    assert read_image(tmp_path).volume.array.shape == (1, 8, 30)


def test_pixel_sizes_that_differ_in_their_rounding_are_one_size(tmp_path: Path) -> None:
    for index, side in enumerate((0.488281, 0.4882813, 0.48828)):
        pixels = np.full((8, 9), index, np.int16)
        dicom_slice(tmp_path / f"{index}.dcm", pixels, (0, 0, 5.0 * index), PixelSpacing=[side, side])
    assert read_image(tmp_path).volume.array.shape == (3, 8, 9)
    dicom_slice(tmp_path / "3.dcm", pixels, (0, 0, 15.0), PixelSpacing=[0.49, 0.49])
    one_line(tmp_path, "differ in size", "3 of 9 x 8", "1 of 9 x 8")

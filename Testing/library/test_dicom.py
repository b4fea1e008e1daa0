"""DICOM in: places against pydicom, tilted and uneven stacks, one clear line for each bad folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_phantoms import (
    AXIAL,
    LEANING,
    RAMP,
    TILT,
    dicom_slice,
    one_line,
    ramp,
    ramp_series,
    worst_place_mm,
)
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from StrokeSegLib.io import read_image
from StrokeSegLib.io.stack import output_step_mm


def test_slices_are_ordered_and_placed_by_their_positions(tmp_path: Path) -> None:
    ramp_series(tmp_path, [30.0, 0.0, 15.0, 5.0, 10.0, 20.0, 25.0])
    reading = read_image(tmp_path)
    assert reading.warnings == ()
    assert reading.modality == "CT"
    assert reading.volume.array.shape == (7, 12, 16)
    assert reading.volume.array.dtype == np.int16
    assert reading.volume.spacing_mm == (0.5, 2.0, 5.0)  # DICOM's pixel spacing names the distance of rows first
    assert reading.volume.origin == (10.0, -20.0, 0.0)
    assert worst_place_mm(reading.volume) < 0.05  # half a gray level is 0.04 mm


@pytest.mark.parametrize("axes", [(0, 1, 0, 0, 0, -1), (-1, 0, 0, 0, 1, 0), (0.8, 0.6, 0, 0, 0, 1)])
def test_any_plane_is_placed_right(tmp_path: Path, axes: tuple[float, ...]) -> None:
    normal = np.cross(axes[:3], axes[3:])
    for index in range(5):
        position = tuple(np.array([4.0, 5.0, 6.0]) + 3.0 * index * normal)
        dicom_slice(tmp_path / f"{index}.dcm", ramp(position, axes, (12, 16)), position, axes=axes)
    reading = read_image(tmp_path)
    assert reading.warnings == ()
    assert worst_place_mm(reading.volume) < 0.05
    assert np.linalg.det(reading.volume.direction) == pytest.approx(1)


def test_rescale_slope_and_intercept_are_applied_slice_by_slice(tmp_path: Path) -> None:
    for index, (slope, intercept) in enumerate([(1, -1024), (2, -1024), (0.5, 10)]):
        dicom_slice(
            tmp_path / f"{index}",
            np.full((4, 4), 100, np.uint16),
            (0, 0, 5.0 * index),
            slope=slope,
            intercept=intercept,
        )
    volume = read_image(tmp_path).volume
    assert volume.array[:, 0, 0].tolist() == [-924, -824, 60]
    assert volume.array.dtype == np.float32


def test_whole_number_rescales_keep_whole_numbers(tmp_path: Path) -> None:
    for index in range(3):
        dicom_slice(tmp_path / f"{index}", np.full((4, 4), 100, np.int16), (0, 0, 5.0 * index), intercept=-1024)
    assert read_image(tmp_path).volume.array.dtype.kind == "i"


def test_a_single_file_is_one_slice_with_its_thickness(tmp_path: Path) -> None:
    position = (1.0, 2.0, 3.0)
    reading = read_image(dicom_slice(tmp_path / "noname", ramp(position, AXIAL, (4, 6)), position))
    assert reading.volume.array.shape == (1, 4, 6)
    assert reading.volume.spacing_mm == (0.5, 2.0, 5.0)
    assert reading.volume.origin == position
    assert reading.warnings == ()


def test_a_single_file_of_unknown_thickness_is_told(tmp_path: Path) -> None:
    reading = read_image(dicom_slice(tmp_path / "a.dcm", np.zeros((4, 6), np.int16), (0, 0, 0), SliceThickness=None))
    assert "unknown thickness" in reading.warnings[0]


def test_files_that_are_no_images_are_passed_over_and_subfolders_are_read(tmp_path: Path) -> None:
    ramp_series(tmp_path / "a" / "b", [0.0, 5.0, 10.0])
    (tmp_path / "LICENSE").write_text("words")
    (tmp_path / "a" / "thumbs.db").write_bytes(bytes(300))
    (tmp_path / "a" / "empty.dcm").write_bytes(b"")
    report = Dataset()
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID = EnhancedSRStorage
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID = generate_uid()
    report.SeriesInstanceUID, report.Modality = "9.9", "SR"
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    reading = read_image(tmp_path)
    assert reading.volume.array.shape == (3, 12, 16)
    assert reading.warnings == ()
    one_line(tmp_path / "report.dcm", "without an image")


def test_a_file_without_preamble_is_read(tmp_path: Path) -> None:
    source = dicom_slice(tmp_path / "with.dcm", np.full((4, 6), 7, np.int16), (0, 0, 0))
    item = pydicom.dcmread(source)
    del item.file_meta
    item.preamble = None
    old = tmp_path / "old"
    item.save_as(old, implicit_vr=True, little_endian=True)
    assert old.read_bytes()[128:132] != b"DICM"
    assert ImplicitVRLittleEndian.is_implicit_VR
    assert read_image(old).volume.array.max() == 7


def test_copies_of_a_file_are_left_out_with_a_warning(tmp_path: Path) -> None:
    ramp_series(tmp_path, [0.0, 5.0, 10.0])
    for path in list(tmp_path.iterdir())[:2]:
        (tmp_path / f"copy of {path.name}").write_bytes(path.read_bytes())
    reading = read_image(tmp_path)
    assert reading.volume.array.shape[0] == 3
    assert "2 copies" in reading.warnings[0]


@pytest.mark.parametrize(
    ("heights", "axes", "words"),
    [
        ([0, 4, 8, 12, 16, 20], LEANING, ["tilted", "18.0 degrees"]),
        ([0, 1.1, 5, 9, 13, 20, 27], AXIAL, ["uneven", "1.10 to 7.00 mm"]),
        ([0, 1.1, 5, 9, 13, 20, 27], LEANING, ["tilted", "uneven"]),
        ([0, -4, -8, -15], (1, 0, 0, 0, float(np.cos(TILT)), float(np.sin(TILT))), ["tilted", "uneven"]),
    ],
    ids=["tilted", "uneven", "both", "downward"],
)
def test_a_tilted_or_uneven_stack_is_put_on_a_regular_grid(
    tmp_path: Path, heights: list[float], axes: tuple[float, ...], words: list[str]
) -> None:
    ramp_series(tmp_path, heights, axes)
    reading = read_image(tmp_path)
    volume = reading.volume
    assert worst_place_mm(volume) < 0.1
    assert np.allclose(volume.direction[:, :2].T, np.reshape(axes, (2, 3)), atol=1e-6)  # in-plane axes are kept
    assert volume.spacing_mm[:2] == (0.5, 2.0)
    ends = np.dot([[10, -20, heights[0]], [10, -20, heights[-1]]], volume.direction[:, 2])
    grid = np.dot(volume.ijk_to_lps([[0, 0, 0], [0, 0, len(volume.array) - 1]]), volume.direction[:, 2])
    assert sorted(ends) == pytest.approx(sorted(grid), abs=1e-6)  # both end slices lie on the grid
    inside = volume.array > volume.array.min()
    assert inside.sum() >= 0.9 * len(volume.array) * 11 * 16
    for word in [*words, f"{len(heights)} slices were resampled"]:
        assert word in reading.warnings[0]


def test_the_spacing_of_an_uneven_stack_is_that_of_its_fine_part() -> None:
    fine_then_coarse = np.cumsum([0] + [4.0] * 13 + [1.1] + [7.0] * 13)
    assert output_step_mm(fine_then_coarse) == pytest.approx(4.0, abs=0.06)
    one_odd_pair = np.array([0, 0.02, 5, 10, 15, 20])
    assert output_step_mm(one_odd_pair) == pytest.approx(4.98, abs=0.05)
    half_nearly_doubled = np.cumsum([0] + [0.02, 5.0] * 6)
    assert output_step_mm(half_nearly_doubled) > 30 / (4 * 14)


def test_rounding_of_positions_is_not_taken_for_uneven_gaps(tmp_path: Path) -> None:
    ramp_series(tmp_path, [round(index * 10 / 3, 1) for index in range(7)])
    assert read_image(tmp_path).warnings == ()


def test_outside_a_tilted_stack_is_air(tmp_path: Path) -> None:
    for index in range(4):
        pixels = np.full((12, 16), 40, np.int16)
        pixels[0, 0] = -1000
        dicom_slice(tmp_path / str(index), pixels, (0, 0, 8.0 * index), axes=LEANING)
    volume = read_image(tmp_path).volume
    assert volume.array.shape[1] > 12
    assert volume.array[0, 0].tolist() == [-1000] * 16  # the stack leans to lower rows as it goes up
    assert volume.array[-1, -1].tolist() == [-1000] * 16
    assert volume.array[0, -1].tolist() == [40] * 16


@pytest.mark.data
def test_a_real_tilted_series_keeps_its_places_within_a_tenth_of_a_mm(data: Path, tmp_path: Path) -> None:
    """The real headers with a ramp in place of the pixels: each value tells the place that pydicom gives it."""
    for path in sorted((data / "cases" / "ct-dicom-tilted").glob("*.dcm")):
        item = pydicom.dcmread(path)
        axes, origin = np.reshape(item.ImageOrientationPatient, (2, 3)), np.array(item.ImagePositionPatient)
        j, i = np.indices((item.Rows, item.Columns))
        places = origin + item.PixelSpacing[1] * i[..., None] * axes[0] + item.PixelSpacing[0] * j[..., None] * axes[1]
        item.PixelData = np.rint(places @ RAMP).astype(np.int16).tobytes()
        item.save_as(tmp_path / path.name)
    reading = read_image(tmp_path)
    assert worst_place_mm(reading.volume) < 0.1
    assert "18.5 degrees" in reading.warnings[0]
    assert "1.08 to 7.00 mm" in reading.warnings[0]


@pytest.mark.data
def test_volumes_of_a_real_tilted_series_are_right_to_one_percent(data: Path) -> None:
    """The head's mL and its mass, against each slice's area (and sum) times half the gaps beside it.

    The threshold is midway between air and tissue: a blend of two slices widens what is brighter at any lower one.
    """
    items = [pydicom.dcmread(p) for p in (data / "cases" / "ct-dicom-tilted").glob("*.dcm")]
    normal = np.cross(items[0].ImageOrientationPatient[:3], items[0].ImageOrientationPatient[3:])
    items.sort(key=lambda item: float(np.dot(item.ImagePositionPatient, normal)))
    heights = np.array([np.dot(item.ImagePositionPatient, normal) for item in items])
    slices = np.stack([item.pixel_array for item in items])
    pixel_mm2 = np.prod(items[0].PixelSpacing)
    volume = read_image(data / "cases" / "ct-dicom-tilted").volume
    for measure in (lambda hu: hu > -480, lambda hu: np.clip(hu, -1000, None) + 1000.0):
        truth_ml = np.trapezoid(measure(slices).sum(axis=(1, 2)) * pixel_mm2, heights) / 1000
        ours_ml = np.trapezoid(measure(volume.array).sum(axis=(1, 2))) * volume.voxel_volume_ml
        assert ours_ml == pytest.approx(truth_ml, rel=0.01)


def test_the_volume_of_a_ball_in_a_tilted_stack_is_right_to_one_percent(tmp_path: Path) -> None:
    """A ball of 25 mm radius, 65.45 mL, in slices that are tilted and uneven as those of the real series."""
    center, radius_mm, soft_mm = np.array([20.0, 5.0, 45.0]), 25.0, 4.0
    heights = np.cumsum([0] + [2.2] * 20 + [0.8] + [3.2] * 12)
    for index, z in enumerate(heights):
        position = np.array([-10.0, -40.0, z])
        j, i = np.indices((60, 120))
        places = position + 0.5 * i[..., None] * np.array(LEANING[:3]) + 2.0 * j[..., None] * np.array(LEANING[3:])
        depth_mm = radius_mm - np.linalg.norm(places - center, axis=-1)
        pixels = np.rint(1000 * np.clip(0.5 + depth_mm / soft_mm, 0, 1)).astype(np.int16)
        dicom_slice(tmp_path / str(index), pixels, tuple(position), axes=LEANING)
    volume = read_image(tmp_path).volume
    ball = volume.array > 500
    assert ball.sum() * volume.voxel_volume_ml == pytest.approx(65.45, rel=0.01)
    middle = volume.ijk_to_lps(np.argwhere(ball)[:, ::-1]).mean(axis=0)
    assert middle == pytest.approx(center, abs=0.3)


def test_empty_folders_and_folders_without_images_are_refused(tmp_path: Path) -> None:
    one_line(tmp_path, str(tmp_path), "empty")
    (tmp_path / "LICENSE").write_text("words")
    one_line(tmp_path, "no DICOM image among its 1 files")
    (tmp_path / "dwi.nii.gz").write_bytes(b"x")
    one_line(tmp_path, "give the file itself", "dwi.nii.gz")


@pytest.mark.parametrize("part", [0.3, 0.95])
def test_a_damaged_slice_is_told_and_not_left_out(
    tmp_path: Path, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    ramp_series(tmp_path, [0.0, 5.0, 10.0])
    path = sorted(tmp_path.iterdir())[1]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    one_line(tmp_path, path.name, "copy it again")
    assert capfd.readouterr() == ("", "")


def test_slices_of_different_size_and_plane_are_refused(tmp_path: Path) -> None:
    ramp_series(tmp_path / "size", [0.0, 5.0])
    dicom_slice(tmp_path / "size" / "odd.dcm", np.zeros((4, 4), np.int16), (0, 0, 20))
    one_line(tmp_path / "size", "differ in size", "2 of 16 x 12", "1 of 4 x 4")
    ramp_series(tmp_path / "plane", [0.0, 5.0])
    dicom_slice(tmp_path / "plane" / "odd.dcm", np.zeros((12, 16), np.int16), (0, 0, 20), axes=(0, 1, 0, 0, 0, -1))
    one_line(tmp_path / "plane", "another plane", "localizer")


def test_slices_that_drift_further_than_the_image_is_wide_are_refused(tmp_path: Path) -> None:
    for index in range(3):
        dicom_slice(tmp_path / str(index), np.zeros((12, 16), np.int16), (50.0 * index, 0, 5.0 * index))
    one_line(tmp_path, str(tmp_path), "shifted against each other")


@pytest.mark.parametrize(
    ("pixels", "fields", "words"),
    [
        (np.zeros((3, 4, 6), np.int16), {"NumberOfFrames": 3}, ["3 frames", "dcm2niix"]),
        (np.zeros((4, 6), np.int16), {"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, ["mosaic", "dcm2niix"]),
        (np.zeros((4, 6), np.int16), {"ImagePositionPatient": None}, ["where its slice lies"]),
        (np.zeros((4, 6), np.int16), {"PixelSpacing": None}, ["where its slice lies"]),
        (np.zeros((4, 6), np.int16), {"PixelSpacing": [0.0, 1.0]}, ["where its slice lies"]),
        (np.zeros((4, 6), np.int16), {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, ["orientation"]),
        (
            np.zeros((4, 18), np.uint8),
            {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "Columns": 6},
            ["color"],
        ),
    ],
    ids=["frames", "mosaic", "position", "spacing", "spacing 0", "orientation", "color"],
)
def test_a_file_that_is_not_one_placed_gray_slice_is_refused(
    tmp_path: Path, pixels: np.ndarray, fields: dict[str, object], words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    one_line(dicom_slice(tmp_path / "a.dcm", pixels, (0, 0, 0), **fields), "a.dcm", *words)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    one_line(tmp_path / "closed", "permission")

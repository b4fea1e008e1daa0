"""Image files read: true positions and values for every kind of file, in little memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from io_phantoms import LEFT_HANDED, LPS, nifti_bytes, one_line, phantom, saved, turned

from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.volume import Volume


@pytest.mark.parametrize("direction", [np.eye(3), LPS, turned(), LEFT_HANDED], ids=["lps", "ras", "oblique", "left"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_a_volume_comes_back_from_every_format_as_it_was(tmp_path: Path, name: str, direction: np.ndarray) -> None:
    volume = phantom(direction=direction)
    write_image(volume, tmp_path / name)
    reading = read_image(tmp_path / name)
    back = reading.volume
    assert back.array.dtype == np.int16
    assert np.array_equal(back.array, volume.array)
    corners = [(0, 0, 0), (3, 4, 5), (3, 0, 0), (0, 4, 0), (0, 0, 5)]
    assert back.ijk_to_lps(corners) == pytest.approx(volume.ijk_to_lps(corners), abs=1e-4)
    assert np.linalg.det(back.direction) == pytest.approx(np.linalg.det(direction), abs=1e-6)
    assert reading.warnings == ()
    assert reading.modality is None


@pytest.mark.parametrize("direction", [turned(), LEFT_HANDED], ids=["oblique", "left"])
def test_a_written_nifti_has_both_forms_and_nibabel_sees_the_same_places(tmp_path: Path, direction: np.ndarray) -> None:
    volume = phantom(direction=direction)
    write_image(volume, tmp_path / "a.nii.gz")
    image = nib.load(tmp_path / "a.nii.gz")
    assert int(image.header["sform_code"]) > 0
    assert int(image.header["qform_code"]) > 0
    for affine in (image.get_sform(), image.get_qform()):
        assert affine[:3] @ [3, 2, 4, 1] == pytest.approx(volume.ijk_to_ras([3, 2, 4]), abs=1e-4)
    assert np.asarray(image.dataobj)[3, 2, 4] == volume.array[4, 2, 3]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("handed", [1, -1])
def test_a_qform_places_voxels_where_nibabel_does(tmp_path: Path, order: str, handed: int) -> None:
    content = nifti_bytes(pixdim=(handed, 0.5, 2, 3, 0, 0, 0, 0), qform=(0.1, -0.3, 0.5, 10, -20, 30), order=order)
    path = saved(tmp_path, content)
    volume, image = read_image(path).volume, nib.load(path)
    assert volume.ijk_to_ras([1, 2, 3]) == pytest.approx(image.affine[:3] @ [1, 2, 3, 1], abs=1e-5)
    assert volume.array[3, 2, 1] == np.asarray(image.dataobj)[1, 2, 3] == 23
    assert np.sign(np.linalg.det(volume.direction)) == handed  # flipping both x and y keeps the hand


def test_nifti_2_is_read_as_nibabel_writes_it(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turned() * [1, 2, 3], (5, 6, 7)
    nib.save(nib.Nifti2Image(np.arange(24, dtype="u2").reshape(2, 3, 4), affine), tmp_path / "two.nii.gz")
    volume = read_image(tmp_path / "two.nii.gz").volume
    assert volume.array.dtype == np.uint16
    assert volume.array[3, 2, 1] == 23
    assert volume.ijk_to_ras([1, 2, 3]) == pytest.approx(affine[:3] @ [1, 2, 3, 1], abs=1e-6)


def test_a_file_in_meters_is_placed_in_mm(tmp_path: Path) -> None:
    sform = np.c_[np.diag([0.002, 0.002, 0.003]), [0.01, 0, 0]]
    volume = read_image(saved(tmp_path, nifti_bytes(sform=sform, units=1))).volume
    assert volume.spacing_mm == pytest.approx((2, 2, 3))
    assert volume.origin == pytest.approx((-10, 0, 0))


def test_forms_that_disagree_are_told_and_the_sform_is_used(tmp_path: Path) -> None:
    sform = np.c_[np.diag([2.0, 2, 3]), [0, 0, 40]]
    reading = read_image(saved(tmp_path, nifti_bytes(sform=sform, qform=(0, 0, 0, 0, 0, 37))))
    assert reading.volume.origin == pytest.approx((0, 0, 40))
    assert "differ by 3.0 mm" in reading.warnings[0]


def test_a_sheared_sform_gives_way_to_the_qform(tmp_path: Path) -> None:
    sform = np.array([[2, 0.5, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0]])
    reading = read_image(saved(tmp_path, nifti_bytes(sform=sform, qform=(0, 0, 0, 1, 2, 3))))
    assert reading.volume.ijk_to_ras([0, 0, 0]) == pytest.approx((1, 2, 3))
    assert "sheared" in reading.warnings[0]
    one_line(saved(tmp_path, nifti_bytes(sform=sform)), "right angles", "resample")


def test_a_nifti_without_orientation_is_read_with_a_warning(tmp_path: Path) -> None:
    reading = read_image(saved(tmp_path, nifti_bytes()))
    assert reading.volume.spacing_mm == (2, 2, 3)
    assert "left and right are a guess" in reading.warnings[0]


def test_gzip_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    assert read_image(saved(tmp_path, nifti_bytes(), "plain.nii.gz")).volume.array.max() == 23
    assert read_image(saved(tmp_path, gzip.compress(nifti_bytes()), "zipped.nii")).volume.array.max() == 23


def test_the_rescale_of_a_nifti_is_applied(tmp_path: Path) -> None:
    volume = read_image(saved(tmp_path, nifti_bytes(scale=(0.5, -1000)))).volume
    assert volume.array.dtype == np.float32
    assert volume.array[0, 0, 1] == -999.5
    assert volume.array[3, 2, 1] == -988.5
    assert read_image(saved(tmp_path, nifti_bytes(scale=(1, 0)))).volume.array.dtype == np.int16
    assert read_image(saved(tmp_path, nifti_bytes(scale=(float("nan"), 0)))).volume.array.dtype == np.int16


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_doubles_become_single_floats(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.full((2, 3, 4), 0.1)), tmp_path / name)
    assert read_image(tmp_path / name).volume.array.dtype == np.float32


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"])
def test_a_single_slice_keeps_its_thickness_and_place(tmp_path: Path, name: str) -> None:
    volume = Volume(np.ones((1, 3, 4), np.float32), (1, 1, 5), (1, 2, 3), turned())
    write_image(volume, tmp_path / name)
    back = read_image(tmp_path / name).volume
    assert back.array.shape == (1, 3, 4)
    assert back.spacing_mm == pytest.approx((1, 1, 5))
    assert back.same_grid(volume)


@pytest.mark.parametrize("name", ["flat.nii", "flat.nrrd", "flat.mha"])
def test_a_two_dimensional_image_is_a_volume_of_one_slice(tmp_path: Path, name: str) -> None:
    image = sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4))
    image.SetSpacing((0.5, 2))
    sitk.WriteImage(image, tmp_path / name)
    volume = read_image(tmp_path / name).volume
    assert volume.array.shape == (1, 3, 4)
    assert volume.spacing_mm == (0.5, 2, 1)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_a_fourth_axis_of_one_is_dropped(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(np.ones((2, 3, 4), np.int16))]), tmp_path / name)
    assert read_image(tmp_path / name).volume.array.shape == (2, 3, 4)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha"])
def test_some_nan_and_infinities_become_zero_with_their_count(tmp_path: Path, name: str) -> None:
    array = np.ones((4, 5, 5), np.float32)
    array[0, 0, :2], array[3, 1, 1] = np.nan, np.inf
    sitk.WriteImage(sitk.GetImageFromArray(array), tmp_path / name)
    reading = read_image(tmp_path / name)
    assert reading.volume.array.sum() == 97
    assert "3 voxels (3%)" in reading.warnings[-1]


@pytest.mark.data
def test_sequences_of_one_patient_keep_their_own_grids(data: Path) -> None:
    case = data / "cases" / "dwi-adc-flair-mha"
    dwi, flair = read_image(case / "dwi.mha").volume, read_image(case / "flair.mha").volume
    assert dwi.spacing_mm == pytest.approx((1.797, 1.797, 4.8), abs=0.001)
    assert flair.spacing_mm == pytest.approx((0.859, 0.859, 6.0), abs=0.001)


@pytest.mark.data
@pytest.mark.parametrize(
    "case", ["dwi-adc-isles22-0001/dwi.nii.gz", "dwi-adc-isles22-0003/adc.nii.gz", "t2-chronic/T2.nii"]
)
def test_real_nifti_files_are_placed_where_nibabel_places_them(data: Path, case: str) -> None:
    volume, image = read_image(data / "cases" / case).volume, nib.load(data / "cases" / case)
    i, j, k = (n - 1 for n in image.shape)
    assert volume.ijk_to_ras([i, j, k]) == pytest.approx(image.affine[:3] @ [i, j, k, 1], abs=1e-3)
    assert np.allclose(volume.array.T, np.asarray(image.dataobj), rtol=1e-6)


def test_reading_a_volume_needs_little_more_memory_than_the_volume(tmp_path: Path) -> None:
    """64 MB of int16 (a quarter of 512 x 512 x 500), zipped: the peak stays under three times that."""
    array = np.zeros((128, 512, 512), np.int16)
    array[::7] = 40
    write_image(Volume(array), tmp_path / "big.nii.gz")
    script = (
        "import sys, resource; from StrokeSegLib.io import read_image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "read_image(sys.argv[1])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "big.nii.gz")], capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 3 * array.nbytes

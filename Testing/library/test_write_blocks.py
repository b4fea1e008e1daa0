"""Files written block by block: any reader reads them, whatever was compressed in threads or left out as zeros."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from StrokeSegLib.io import Segment, read_image, write_image, write_segmentation
from StrokeSegLib.io.blocks import BLOCK_BYTES, write_gzip, write_plain
from StrokeSegLib.volume import Volume


def mostly_zero(dtype: str) -> np.ndarray:
    """Two million voxels: many blocks of zeros, some of noise, and a last block that is not full."""
    array = np.zeros((33, 250, 251), dtype)
    noise = np.random.default_rng(0).random((5, 60, 70))
    array[10:15, 40:100, 90:160] = noise if array.dtype.kind == "f" else (noise * 3).astype(dtype)
    return array


@pytest.mark.parametrize("array", [mostly_zero("f4"), mostly_zero("u1"), np.zeros((3, 400, 500), "f4"),
                                   np.zeros((1, 1, 1), "u1")])  # fmt: skip
def test_a_gzip_stream_holds_the_header_and_the_voxels_and_its_own_checksum(array: np.ndarray) -> None:
    file = io.BytesIO()
    write_gzip(file, b"header", array)
    assert gzip.decompress(file.getvalue()) == b"header" + array.tobytes()  # gzip checks sum and length


def test_a_plain_file_holds_the_same_bytes_zeros_and_all(tmp_path: Path) -> None:
    array = mostly_zero("f4")
    assert array[-1].nbytes > 0 == array[-1].max()  # it ends in zeros, which are not written
    with (tmp_path / "a").open("wb") as file:
        assert write_plain(file, b"header", array) == 6 + array.nbytes
    assert (tmp_path / "a").read_bytes() == b"header" + array.tobytes()


def test_zeros_cost_next_to_nothing() -> None:
    file = io.BytesIO()
    write_gzip(file, b"", np.zeros(64 * BLOCK_BYTES, np.uint8))
    assert len(file.getvalue()) < 64 * BLOCK_BYTES / 200


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_three_decimals_are_the_same_to_every_reader(tmp_path: Path, name: str) -> None:
    array = mostly_zero("f4")
    volume = Volume(array, (0.7, 0.8, 1.3), (-10.5, 20.25, 3.0))
    write_image(volume, tmp_path / name, decimals=3)
    rounded = array.round(3)
    np.testing.assert_array_equal(read_image(tmp_path / name).volume.array, rounded)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / name)), rounded)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / name).dataobj).T, rounded)
    assert read_image(tmp_path / name).volume.same_grid(volume)


def test_itk_places_a_written_nifti_where_its_own_would_lie(tmp_path: Path) -> None:
    turned = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])  # right-handed, orthonormal
    for number, direction in enumerate((turned, turned * [1, 1, -1], -turned, np.diag([-1.0, -1.0, 1.0]))):
        path = tmp_path / f"{number}.nii.gz"
        volume = Volume(np.ones((2, 3, 4), np.int16), (0.5, 0.75, 5.0), (-1.5, 2.25, -700.125), direction)
        write_image(volume, path)
        image = sitk.ReadImage(path)
        np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), direction, atol=1e-6)
        np.testing.assert_allclose(image.GetOrigin(), volume.origin, atol=1e-5)
        np.testing.assert_allclose(image.GetSpacing(), volume.spacing_mm, atol=1e-6)


def test_a_segmentation_of_many_blocks_comes_back(tmp_path: Path) -> None:
    labels = Volume(mostly_zero("u1"), (0.1, 0.7, 3.3), (1.1, -2.2, 3.3))
    segments = [Segment(value, f"back\\slash {value}", (1, 2, 3), "a~b", "c") for value in (1, 2)]
    write_segmentation(labels, tmp_path / "a.seg.nrrd", segments)
    image = sitk.ReadImage(tmp_path / "a.seg.nrrd")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels.array)
    assert image.GetMetaData("Segment1_Name") == "back\\slash 2"
    assert image.GetOrigin() == labels.origin
    assert image.GetSpacing() == pytest.approx(labels.spacing_mm, abs=1e-12)


def test_the_sum_of_the_file_is_told_and_what_rounds_to_zero_is_zero() -> None:
    array = mostly_zero("f4")
    array[20:24] = 0.0004  # whole blocks of it
    array[28] = 0.9996
    file = io.BytesIO()
    assert write_gzip(file, b"header", array, decimals=3) == zlib.crc32(file.getvalue())
    assert gzip.decompress(file.getvalue()) == b"header" + array.round(3).tobytes()

"""The part of an image that is not 0: where it lies, what it holds, and how little memory it takes to have it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.io.box import box_above, box_of, boxed, boxed_file
from StrokeSegLib.volume import Volume

TURN = np.linalg.qr(np.array([[0.9, -0.3, 0.2], [0.4, 0.8, -0.1], [-0.2, 0.3, 0.95]]))[0]


def image(kind="float32", shape=(9, 8, 7)):
    """Something at (2, 3, 1) and (6, 5, 4), of which one is as small as can be."""
    array = np.zeros(shape, kind)
    array[2, 3, 1] = 1
    array[6, 5, 4] = 1e-3 if kind == "float32" else 2
    return Volume(array, (0.7, 1.1, 5.3), (-101.25, 33.5, 7.0), TURN)


@pytest.mark.parametrize("kind", ["uint8", "int16", "float32"])
def test_the_box_of_a_file_is_that_of_the_image_and_holds_its_voxels(tmp_path, kind):
    volume = image(kind)
    write_image(volume, tmp_path / "a.nii")
    found = boxed_file(tmp_path / "a.nii")
    assert found.first == (2, 3, 1)
    assert found.shape == (5, 3, 4)
    assert found.grid.same_grid(volume)
    part = found.part()
    assert part.dtype == volume.array.dtype
    np.testing.assert_array_equal(part, volume.array[2:7, 3:6, 1:5])
    np.testing.assert_array_equal(boxed(volume).part(), part)
    assert boxed(volume).box == found.box


def test_an_image_of_zeros_has_a_box_of_one_voxel(tmp_path):
    volume = Volume(np.zeros((3, 4, 5), np.float32))
    write_image(volume, tmp_path / "a.nii")
    for found in (boxed_file(tmp_path / "a.nii"), boxed(volume)):
        assert (found.first, found.shape) == ((0, 0, 0), (1, 1, 1))
        assert found.part().tolist() == [[[0]]]


def test_the_box_goes_to_the_last_voxel_of_every_axis(tmp_path):
    array = np.zeros((3, 4, 5), np.uint8)
    array[2, 3, 4] = array[0, 0, 0] = 1
    write_image(Volume(array), tmp_path / "a.nii")
    np.testing.assert_array_equal(boxed_file(tmp_path / "a.nii").part(), array)


@pytest.mark.parametrize("least", [0.0, 0.5, 0.97, 1.0])
def test_the_box_of_what_is_above_a_limit_is_that_of_its_mask(least):
    rng = np.random.default_rng(0)
    for shape in ((5, 9, 7), (1, 4, 4), (2, 1, 30)):
        array = rng.random(shape).astype(np.float32)
        array[rng.random(shape) < 0.1] = np.nan
        assert box_above(array, least) == box_of(array > least)


def test_what_must_be_read_as_a_whole_is_left_to_read_image(tmp_path):
    write_image(image(), tmp_path / "a.nii.gz")
    write_image(image(), tmp_path / "a.mha")
    write_image(image(), tmp_path / "a.nii")
    whole = (tmp_path / "a.nii").read_bytes()
    scaled = bytearray(whole)
    scaled[112:116] = np.float32(2).tobytes()  # scl_slope
    (tmp_path / "scaled.nii").write_bytes(scaled)
    (tmp_path / "short.nii").write_bytes(whole[:-1])
    (tmp_path / "nan.nii").write_bytes(whole[:-4] + np.float32(np.nan).tobytes())
    for name in ("a.nii.gz", "a.mha", "scaled.nii", "short.nii", "nan.nii"):
        assert boxed_file(tmp_path / name) is None, name
    assert read_image(tmp_path / "scaled.nii").volume.array[2, 3, 1] == 2
    with pytest.raises(InputError, match="cut short"):
        read_image(tmp_path / "short.nii")


def test_a_file_that_becomes_shorter_meanwhile_is_refused(tmp_path):
    write_image(image(), tmp_path / "a.nii")
    found = boxed_file(tmp_path / "a.nii")
    (tmp_path / "a.nii").write_bytes((tmp_path / "a.nii").read_bytes()[:800])
    with pytest.raises(InputError, match="cut short"):
        found.part()


def test_no_more_memory_is_used_than_a_slice_and_the_box(tmp_path):
    array = np.zeros((40, 128, 128), np.float32)  # 2.6 MB; a slice is 64 kB
    array[10:20, 30:60, 30:60] = 0.5
    write_image(Volume(array), tmp_path / "a.nii")
    boxed_file(tmp_path / "a.nii")  # what is loaded once for all
    tracemalloc.start()
    try:
        part = boxed_file(tmp_path / "a.nii").part()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert part.nbytes == 10 * 30 * 30 * 4
    assert peak < part.nbytes + 2 * array[0].nbytes

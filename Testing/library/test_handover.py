"""Volumes handed to another process arrive voxel for voxel, and on exactly their grid."""

from __future__ import annotations

import numpy as np
import pytest

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import handover, read_image
from StrokeSegLib.io.handover import written_in_steps
from StrokeSegLib.volume import Volume

# A turn about an oblique axis: columns are unit vectors at right angles.
TURN = np.linalg.qr(np.array([[0.9, -0.3, 0.2], [0.4, 0.8, -0.1], [-0.2, 0.3, 0.95]]))[0]
TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32")


def hand_over(volume, path):
    return sum(1 for _ in written_in_steps(volume, path))


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_voxel_arrives_unchanged_on_the_same_grid(tmp_path, kind):
    rng = np.random.default_rng(1)
    values = rng.uniform(-100, 100, (5, 4, 3)) if kind.startswith("float") else rng.integers(0, 127, (5, 4, 3))
    volume = Volume(values.astype(kind), (0.7, 1.1, 5.3), (-101.25, 33.123456789012, 1e-7), TURN)
    hand_over(volume, tmp_path / "a.mha")
    got = read_image(tmp_path / "a.mha").volume
    assert got.array.dtype == volume.array.dtype
    np.testing.assert_array_equal(got.array, volume.array)
    assert got.spacing_mm == volume.spacing_mm
    assert got.origin == volume.origin
    np.testing.assert_allclose(got.direction, volume.direction, atol=1e-15)


@pytest.mark.parametrize(("kind", "arrives_as"), [("bool", "uint8"), ("float16", "float32")])
def test_types_that_the_format_has_not_arrive_in_a_wider_one(tmp_path, kind, arrives_as):
    volume = Volume(np.arange(8).reshape(2, 2, 2).astype(kind))
    hand_over(volume, tmp_path / "a.mha")
    got = read_image(tmp_path / "a.mha").volume.array
    assert got.dtype == arrives_as
    np.testing.assert_array_equal(got, volume.array)


def test_a_large_volume_takes_several_steps_and_a_view_that_is_not_contiguous_arrives_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(handover, "STEP_BYTES", 2 * 6 * 7 * 2)  # two planes of 6 x 7 voxels of 2 bytes
    whole = np.arange(5 * 6 * 14, dtype=np.int16).reshape(5, 6, 14)
    volume = Volume(whole[:, ::-1, ::2])
    assert hand_over(volume, tmp_path / "a.mha") == 3  # 2 + 2 + 1 planes
    np.testing.assert_array_equal(read_image(tmp_path / "a.mha").volume.array, volume.array)


def test_a_file_that_was_not_written_to_its_end_is_refused_by_the_reader(tmp_path, monkeypatch):
    monkeypatch.setattr(handover, "STEP_BYTES", 1)
    steps = written_in_steps(Volume(np.ones((4, 5, 6), np.int16)), tmp_path / "a.mha")
    next(steps)
    steps.close()
    with pytest.raises(InputError, match="cut short"):
        read_image(tmp_path / "a.mha")


def test_complex_voxels_are_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match="complex64 can not be handed over"):
        written_in_steps(Volume(np.ones((2, 2, 2), np.complex64)), tmp_path / "a.mha")
    assert list(tmp_path.iterdir()) == []

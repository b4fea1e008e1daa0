"""Grids: reorienting, working grids and resampling keep every point of the patient where it is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from StrokeSegLib.errors import InputError
from StrokeSegLib.preprocess.geometry import (
    Grid,
    grid_of,
    onto_reference,
    overlap_fraction,
    resample,
    to_axial,
    working_grid,
)
from StrokeSegLib.volume import Volume

AXES = [
    np.array(flips)[None] * np.eye(3)[:, list(order)]
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1.0, -1.0), repeat=3)
]


def field(points_lps: np.ndarray) -> np.ndarray:
    """A linear function of position: linear interpolation must give it back exactly."""
    return 100 + points_lps @ np.array([1.0, -2.0, 0.5])


def painted(direction: np.ndarray, size_ijk: tuple[int, int, int] = (9, 7, 5)) -> Volume:
    """A volume that shows ``field``."""
    blank = Volume(np.zeros(size_ijk[::-1], np.float32), (1.0, 2.0, 3.5), (10.0, -20.0, 30.0), direction)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in size_ijk], indexing="ij"), axis=-1)
    values = field(blank.ijk_to_lps(index))  # (I, J, K)
    return blank.with_array(np.ascontiguousarray(values.transpose(2, 1, 0), dtype=np.float32))


@pytest.mark.parametrize("direction", AXES)
@pytest.mark.parametrize("oblique", [False, True])
def test_to_axial_keeps_every_voxel_in_its_place(direction: np.ndarray, oblique: bool) -> None:
    if oblique:
        direction = Rotation.from_euler("xyz", [12, -8, 17], degrees=True).as_matrix() @ direction
    volume = painted(direction)
    axial = to_axial(volume)
    assert np.all(np.diag(axial.direction) > 0.8)
    for ijk in itertools.product(*[(0, n - 1) for n in axial.size_ijk]):
        i, j, k = ijk
        assert axial.array[k, j, i] == pytest.approx(field(axial.ijk_to_lps(ijk)), abs=1e-3)


def test_to_axial_of_an_axial_volume_is_the_volume() -> None:
    volume = painted(np.eye(3))
    assert to_axial(volume).same_grid(volume)
    assert np.array_equal(to_axial(volume).array, volume.array)


def test_a_working_grid_covers_the_same_box() -> None:
    volume = Volume(np.zeros((10, 40, 20), np.float32), (1.0, 0.5, 4.0), (5.0, 6.0, 7.0))
    grid = working_grid(volume, in_plane_mm=1.25, min_slice_mm=2.0)
    # 20 mm by 20 mm by 40 mm, from edge to edge; slices of 4 mm stay.
    assert grid.size_ijk == (16, 16, 10)
    assert grid.spacing_mm == (1.25, 1.25, 4.0)
    # The first voxel's outer edge: 5 - 0.5 = 4.5 = origin - 0.625.
    assert grid.origin == pytest.approx((5.125, 6 - 0.25 + 0.625, 7.0))


def test_thin_slices_are_averaged_to_the_limit() -> None:
    volume = Volume(np.zeros((100, 10, 10), np.float32), (1.0, 1.0, 0.5))
    assert working_grid(volume, 1.0, 2.0).size_ijk == (10, 10, 25)


def test_resampling_a_linear_field_is_exact_inside() -> None:
    direction = Rotation.from_euler("xyz", [5, 10, -7], degrees=True).as_matrix()
    volume = painted(direction, (20, 20, 20))
    center = volume.ijk_to_lps((9.5, 9.5, 9.5))
    grid = Grid((4, 4, 4), (1.0, 1.0, 1.0), tuple(center - 1.5), np.eye(3))
    result = resample(volume, grid)
    for i, j, k in itertools.product(range(4), repeat=3):
        assert result.array[k, j, i] == pytest.approx(field(result.ijk_to_lps((i, j, k))), abs=1e-3)


def test_coarse_sampling_averages_instead_of_skipping() -> None:
    # Alternating 0 and 1 along k: every second one would be all 0 or all 1; the average is 0.5.
    array = np.zeros((40, 8, 8), np.float32)
    array[1::2] = 1
    volume = Volume(array, (2.0, 2.0, 0.5))
    result = resample(volume, working_grid(volume, 2.0, 4.0))
    assert np.allclose(result.array[1:-1], 0.5, atol=0.01)


def test_a_single_slice_fills_its_own_thickness_and_no_more() -> None:
    volume = Volume(np.full((1, 4, 4), 7, np.float32), (1.0, 1.0, 5.0))
    grid = Grid((4, 4, 3), (1.0, 1.0, 2.0), (0.0, 0.0, -2.0), np.eye(3))
    result = resample(volume, grid).array
    assert np.all(result == 7)
    far = Grid((4, 4, 1), (1.0, 1.0, 2.0), (0.0, 0.0, 9.0), np.eye(3))
    assert np.all(resample(volume, far).array == 0)


def test_half_of_a_box_overlaps_by_half() -> None:
    a = Volume(np.zeros((10, 10, 10), np.float32))
    b = Volume(np.zeros((10, 10, 10), np.float32), origin=(5.0, 0.0, 0.0))
    assert overlap_fraction(b, a) == pytest.approx(0.5, abs=0.06)


def test_inputs_that_lie_apart_are_refused_with_their_distance() -> None:
    a = Volume(np.zeros((10, 10, 10), np.float32))
    b = Volume(np.zeros((10, 10, 10), np.float32), origin=(500.0, 0.0, 0.0))
    with pytest.raises(InputError, match=r"adc does not overlap .*500 mm apart"):
        onto_reference(b, a, "adc")


def test_an_input_on_the_same_grid_is_not_touched() -> None:
    a = painted(np.eye(3))
    assert onto_reference(a, a, "adc") is a


def test_an_input_on_another_grid_comes_by_physical_position() -> None:
    coarse = painted(np.eye(3), (20, 20, 20))
    fine = Volume(np.zeros((4, 4, 4), np.float32), origin=tuple(coarse.ijk_to_lps((5, 5, 5))))
    moved = onto_reference(coarse, fine, "adc")
    assert moved.same_grid(fine)
    assert moved.array[2, 1, 3] == pytest.approx(field(fine.ijk_to_lps((3, 1, 2))), abs=1e-3)


def test_grid_of_is_the_volumes_own_grid() -> None:
    volume = painted(AXES[17])
    assert resample(volume, grid_of(volume)).same_grid(volume)


@pytest.mark.parametrize("dtype", ["i2", "u1", "f4"])
@pytest.mark.parametrize("turned", [False, True])
def test_blocks_are_averaged_exactly_and_lie_in_their_middle(dtype: str, turned: bool) -> None:
    array = (np.random.default_rng(0).random((11, 13, 14)) * 200).astype(dtype)
    array = array.transpose(2, 0, 1)[:, ::-1] if turned else array
    volume = Volume(array, (1.0, 1.0, 0.5), (3.0, -4.0, 5.0))
    k, j, i = (n // f for n, f in zip(array.shape, (4, 3, 2), strict=True))
    x, y, z = volume.ijk_to_lps((0.5, 1.0, 1.5))  # the middle of the first block
    found = resample(volume, Grid((i, j, k), (2.0, 3.0, 2.0), (x, y, z), np.eye(3)))
    for block in itertools.product(range(k), range(j), range(i)):
        inside = tuple(slice(n * f, (n + 1) * f) for n, f in zip(block, (4, 3, 2), strict=True))
        assert found.array[block] == pytest.approx(float(np.mean(array[inside], dtype=np.float64)), rel=1e-6)

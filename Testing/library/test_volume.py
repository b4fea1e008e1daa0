"""Volume: valid once built, and positions that go there and back, for any grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from StrokeSegLib.errors import InputError
from StrokeSegLib.volume import Volume, from_sitk, to_sitk

numbers = st.floats(-300, 300)
spacings = st.tuples(*[st.floats(0.2, 8)] * 3)
positions = st.tuples(numbers, numbers, numbers)


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    """Any small volume: oblique, anisotropic, left- or right-handed."""
    direction = Rotation.from_euler("xyz", draw(positions), degrees=True).as_matrix()
    if draw(st.booleans()):
        direction = direction @ np.diag([1.0, -1.0, 1.0])
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return Volume(array, draw(spacings), draw(positions), direction)


@given(volumes(), positions)
@settings(deadline=None, max_examples=60)
def test_a_position_comes_back_from_its_index(volume: Volume, lps_mm: tuple[float, float, float]) -> None:
    assert np.allclose(volume.ijk_to_lps(volume.lps_to_ijk(lps_mm)), lps_mm, atol=1e-6)


@given(volumes())
@settings(deadline=None, max_examples=60)
def test_positions_agree_with_simpleitk(volume: Volume) -> None:
    image = to_sitk(volume)
    last = tuple(n - 1 for n in volume.size_ijk)
    assert np.allclose(volume.ijk_to_lps(last), image.TransformIndexToPhysicalPoint(last), atol=1e-6)
    assert image[last] == volume.array.ravel()[-1]


@given(volumes())
@settings(deadline=None, max_examples=60)
def test_a_volume_survives_simpleitk(volume: Volume) -> None:
    back = from_sitk(to_sitk(volume))
    assert back.same_grid(volume)
    assert np.array_equal(back.array, volume.array)


def test_ras_flips_the_first_two_axes() -> None:
    volume = Volume(np.zeros((1, 1, 1)), origin=(1.0, 2.0, 3.0))
    assert volume.ijk_to_ras((0, 0, 0)).tolist() == [-1, -2, 3]


def test_voxel_volume_by_hand() -> None:
    assert Volume(np.zeros((2, 2, 2)), (2.0, 2.0, 5.0)).voxel_volume_ml == pytest.approx(0.02)


def test_the_same_grid_moved_by_a_tenth_of_a_voxel_is_another() -> None:
    a = Volume(np.zeros((2, 2, 2)))
    assert a.same_grid(Volume(np.ones((2, 2, 2)), origin=(0.001, 0.0, 0.0)))
    assert not a.same_grid(Volume(np.ones((2, 2, 2)), origin=(0.1, 0.0, 0.0)))
    assert not a.same_grid(Volume(np.ones((2, 2, 3))))


BAD = {
    "two dimensions": ({"array": np.zeros((2, 2))}, "3 dimensions"),
    "no voxels": ({"array": np.zeros((0, 2, 2))}, "at least one voxel"),
    "zero spacing": ({"spacing_mm": (1.0, 0.0, 1.0)}, "positive mm"),
    "NaN origin": ({"origin": (np.nan, 0.0, 0.0)}, "finite"),
    "singular direction": ({"direction": np.diag([1.0, 1.0, 0.0])}, "singular"),
    "sheared direction": ({"direction": np.array([[1.0, 0.3, 0], [0, 1, 0], [0, 0, 1]])}, "right angles"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_volume_is_valid_once_built(name: str) -> None:
    given_values, message = BAD[name]
    with pytest.raises(InputError, match=message):
        Volume(**{"array": np.zeros((2, 2, 2)), **given_values})


def test_the_direction_can_not_be_changed_behind_its_back() -> None:
    volume = Volume(np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="read-only"):
        volume.direction[0, 0] = 5

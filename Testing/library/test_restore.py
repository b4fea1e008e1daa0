"""Back to the image's grid: the same numbers as interpolating voxel by voxel, on every kind of grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from StrokeSegLib.inference.restore import restore, restore_labels, restore_mask
from StrokeSegLib.preprocess.geometry import Grid, grid_of, resample, to_axial, working_grid
from StrokeSegLib.volume import Volume

REFERENCES = {
    "upright": ((1.0, 1.2, 3.0), np.eye(3)),
    "flipped": ((1.0, 1.2, 3.0), np.diag([-1.0, 1.0, -1.0])),
    "sagittal": ((1.5, 1.0, 2.0), np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]])),
    "oblique": ((1.0, 1.3, 2.0), Rotation.from_euler("xyz", [20, 5, -9], degrees=True).as_matrix()),
}


def reference_of(name: str) -> Volume:
    spacing, direction = REFERENCES[name]
    return Volume(np.zeros((18, 31, 26), np.float32), spacing, (12.0, -40.0, 7.5), direction)


def voxel_by_voxel(array: np.ndarray, grid: Grid, reference: Volume) -> np.ndarray:
    return resample(Volume(array, grid.spacing_mm, grid.origin, grid.direction), grid_of(reference)).array


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(("in_plane_mm", "slice_mm"), [(0.7, 0.0), (1.7, 4.0)])
def test_as_interpolated_voxel_by_voxel(name: str, in_plane_mm: float, slice_mm: float) -> None:
    reference = reference_of(name)
    grid = working_grid(to_axial(reference), in_plane_mm, slice_mm)
    array = np.random.default_rng(0).random(grid.size_ijk[::-1], np.float32)
    found = restore(array, grid, reference)
    assert found.same_grid(reference)
    assert found.array.dtype == np.float32
    assert np.allclose(found.array, voxel_by_voxel(array, grid, reference), atol=1e-5)
    mask = restore_mask(array > 0.5, grid, reference).array
    fraction = voxel_by_voxel((array > 0.5).astype(np.float32), grid, reference)
    clear = np.abs(fraction - 0.5) > 1e-4
    assert np.array_equal(mask[clear], (fraction > 0.5)[clear])


@pytest.mark.parametrize("name", REFERENCES)
def test_a_box_of_the_working_grid_leaves_zeros_around_it(name: str) -> None:
    """As the network's box does: about half of the image is not reached."""
    reference = reference_of(name)
    whole = working_grid(to_axial(reference), 1.7, 4.0)
    # Not by whole voxels: no voxel of the image shall lie exactly on the edge, where rounding decides.
    corner = np.array(whole.origin) + whole.direction @ (np.array([3.01, 4.02, 2.03]) * whole.spacing_mm)
    box = Grid((8, 9, 5), whole.spacing_mm, tuple(corner), whole.direction)
    ones = np.ones(box.size_ijk[::-1], np.float32)
    found = restore(ones, box, reference).array
    assert np.allclose(found, voxel_by_voxel(ones, box, reference), atol=1e-5)
    assert 0.05 < (found > 0).mean() < 0.7


def test_a_grid_turned_against_the_image_is_interpolated_too() -> None:
    reference = reference_of("upright")
    upright = working_grid(to_axial(reference), 1.5, 0)
    turned = Rotation.from_euler("z", 10, degrees=True).as_matrix()
    grid = Grid(upright.size_ijk, upright.spacing_mm, upright.origin, turned)
    array = np.random.default_rng(0).random(grid.size_ijk[::-1], np.float32)
    assert np.allclose(restore(array, grid, reference).array, voxel_by_voxel(array, grid, reference), atol=1e-6)


def test_a_single_slice() -> None:
    reference = Volume(np.zeros((1, 20, 20), np.float32), (1.0, 1.0, 5.0))
    grid = working_grid(reference, 2.0, 0)
    array = np.random.default_rng(0).random(grid.size_ijk[::-1], np.float32)
    assert np.allclose(restore(array, grid, reference).array, voxel_by_voxel(array, grid, reference), atol=1e-5)


def test_a_grid_beside_the_image_gives_zeros() -> None:
    reference = reference_of("upright")
    grid = Grid((4, 4, 4), (1.0, 1.0, 1.0), (500.0, 500.0, 500.0), np.eye(3))
    assert not restore(np.ones((4, 4, 4), np.float32), grid, reference).array.any()


@pytest.mark.parametrize("name", REFERENCES)
def test_zeros_around_a_few_voxels_are_left_out_and_nothing_else(name: str) -> None:
    """Two spots, one in the corner of the working grid, whose voxels reach half their size beyond their centers."""
    reference = reference_of(name)
    grid = working_grid(to_axial(reference), 1.7, 4.0)
    rng = np.random.default_rng(0)
    for corner in ((0, 0, 0), (2, 5, 4), tuple(n - 2 for n in grid.size_ijk[::-1])):
        array = np.zeros(grid.size_ijk[::-1], np.float32)
        spot = tuple(slice(first, first + 2) for first in corner)
        array[spot] = rng.random((2, 2, 2), np.float32) + 0.5
        # With a little everywhere nothing can be left out.
        everywhere = restore(array + np.float32(4), grid, reference).array - 4
        found = restore(array, grid, reference).array
        assert found.any()
        assert np.allclose(found, everywhere, atol=2e-6)


def test_labels_come_back_one_after_the_other() -> None:
    reference = reference_of("flipped")
    grid = working_grid(to_axial(reference), 1.7, 4.0)
    labels = np.random.default_rng(0).integers(0, 3, grid.size_ijk[::-1]).astype(np.uint8)
    one, two = (restore_mask(labels == value, grid, reference).array for value in (1, 2))
    found = restore_labels(labels, grid, reference, [2, 1])
    assert found.array.dtype == np.uint8
    assert np.array_equal(found.array, np.where(one, 1, np.where(two, 2, 0)))
    assert not restore_labels(np.zeros_like(labels), grid, reference, [1]).array.any()

"""postprocess.py: thresholds, competing labels and small components, on volumes that fit on a line."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.postprocess import close_ball, label_map, remove_small, remove_small_labels
from StrokeSegLib.volume import Volume

#: A voxel of 1 x 2 x 5 mm is 0.01 mL.
SPACING_MM = (1.0, 2.0, 5.0)


def row(values: list[float], dtype: type = np.float32) -> Volume:
    return Volume(np.array(values, dtype).reshape(1, 1, -1), SPACING_MM)


def labels_of(probability: dict[int, list[float]], thresholds: dict[int, float], min_volume_ml: float = 0) -> list[int]:
    volume = label_map({value: row(p) for value, p in probability.items()}, thresholds, min_volume_ml)
    assert volume.array.dtype == np.uint8
    return volume.array.ravel().tolist()


def test_a_voxel_needs_more_than_the_threshold() -> None:
    assert labels_of({1: [0.0, 0.25, 0.5, 0.51, 1.0]}, {1: 0.5}) == [0, 0, 0, 1, 1]


def test_nan_is_background() -> None:
    assert labels_of({1: [math.nan, 0.9]}, {1: 0.5}) == [0, 1]


def test_the_label_with_the_larger_ratio_to_its_threshold_wins() -> None:
    # Ratios: 0.6/0.5 = 1.2 against 0.5/0.4 = 1.25; then 0.9/0.5 = 1.8 against 1.25; then only one passes.
    got = labels_of({1: [0.6, 0.9, 0.6, 0.4], 2: [0.5, 0.5, 0.3, 0.45]}, {1: 0.5, 2: 0.4})
    assert got == [2, 1, 1, 2]


def test_hemorrhage_wins_a_tie_then_the_lower_label() -> None:
    assert labels_of({1: [0.75], 2: [0.75], 3: [0.75]}, {1: 0.5, 2: 0.5, 3: 0.5}) == [2]
    assert labels_of({3: [0.75], 1: [0.75]}, {1: 0.5, 3: 0.5}) == [1]


def test_small_components_of_each_label_are_removed_after_the_labels_are_settled() -> None:
    # Together 1 and 2 make four voxels, but neither has three of its own; the last three do.
    ischemic = [0.9, 0.9, 0.1, 0.1, 0.0, 0.9, 0.9, 0.9]
    hemorrhage = [0.1, 0.1, 0.9, 0.9, 0.0, 0.1, 0.1, 0.1]
    assert labels_of({1: ischemic, 2: hemorrhage}, {1: 0.5, 2: 0.5}, 0.03) == [0, 0, 0, 0, 0, 1, 1, 1]


def test_the_label_map_keeps_the_grid() -> None:
    probability = Volume(np.full((2, 3, 4), 0.9), SPACING_MM, (1.0, 2.0, 3.0), np.diag([-1.0, 1.0, 1.0]))
    assert label_map({1: probability}, {1: 0.5}, 0.0).same_grid(probability)


@pytest.mark.parametrize(
    ("min_volume_ml", "sizes_left"),
    [(0.0, [1, 2, 3]), (0.01, [1, 2, 3]), (0.011, [2, 3]), (0.02, [2, 3]), (0.03, [3]), (0.031, [])],
)
def test_a_component_of_exactly_the_smallest_volume_stays(min_volume_ml: float, sizes_left: list[int]) -> None:
    mask = row([1, 0, 1, 1, 0, 1, 1, 1], np.uint8)
    kept = remove_small(mask, min_volume_ml)
    runs = "".join(str(v) for v in kept.array.ravel().astype(int)).split("0")
    assert [len(run) for run in runs if run] == sizes_left
    assert kept.array.dtype == np.bool_
    assert np.count_nonzero(mask.array) == 6  # the input is left as it was


def test_ten_voxels_of_a_microliter_are_a_hundredth_of_a_milliliter() -> None:
    mask = Volume(np.ones((1, 1, 10), np.uint8), (1.0, 1.0, 1.0))
    assert remove_small(mask, 0.01).array.all()


def test_a_chain_that_touches_by_corners_is_one_component() -> None:
    array = np.zeros((3, 3, 3), np.uint8)
    array[[0, 1, 2], [0, 1, 2], [0, 1, 2]] = 1
    assert np.count_nonzero(remove_small(Volume(array, SPACING_MM), 0.03).array) == 3


def test_an_empty_mask_stays_empty() -> None:
    assert not remove_small(row([0, 0, 0], np.uint8), 1.0).array.any()


@pytest.mark.parametrize("min_volume_ml", [-0.1, math.nan, math.inf])
def test_a_senseless_smallest_volume_is_refused(min_volume_ml: float) -> None:
    with pytest.raises(InputError, match="smallest lesion volume"):
        remove_small(row([1], np.uint8), min_volume_ml)


@pytest.mark.parametrize("threshold", [None, 0.0, -1.0, 1.5, math.nan])
def test_a_missing_or_senseless_threshold_is_refused(threshold: float | None) -> None:
    with pytest.raises(InputError, match="label 1 needs a threshold"):
        label_map({1: row([0.5])}, {} if threshold is None else {1: threshold}, 0.0)


def test_no_probability_a_label_out_of_range_and_different_grids_are_refused() -> None:
    with pytest.raises(InputError, match="at least one label"):
        label_map({}, {}, 0.0)
    with pytest.raises(InputError, match="1 to 255"):
        label_map({0: row([0.5])}, {0: 0.5}, 0.0)
    with pytest.raises(InputError, match="one grid"):
        label_map({1: row([0.5]), 2: row([0.5, 0.5])}, {1: 0.5, 2: 0.5}, 0.0)


def test_a_label_map_of_planes_is_that_of_single_voxels() -> None:
    """Rows that no label reaches are passed over; of each voxel the same is told as of a volume that is only it."""
    rng = np.random.default_rng(0)
    p = {1: np.zeros((3, 6, 5), np.float32), 2: np.zeros((3, 6, 5), np.float32)}
    p[1][1:, 1:5] = rng.random((2, 4, 5)).round(1)
    p[2][:2, 2:4] = rng.random((2, 2, 5)).round(1)
    thresholds = {1: 0.5, 2: 0.25}
    found = label_map({value: Volume(one, SPACING_MM) for value, one in p.items()}, thresholds, 0).array
    for at in np.ndindex(3, 6, 5):
        assert found[at] == labels_of({value: [float(one[at])] for value, one in p.items()}, thresholds)[0]


@pytest.mark.parametrize("spacing_mm", [(1.5, 1.5, 1.5), (0.45, 0.5, 3.2), (1.0, 1.0, 1.0), (0.7, 1.9, 0.9)])
@pytest.mark.parametrize("radius_mm", [0.0, 0.9, 3.0, 4.1])
def test_closing_row_by_row_is_closing_by_distances(spacing_mm: tuple[float, float, float], radius_mm: float) -> None:
    """A voxel is filled where the ball around any place near it that holds it touches the mask."""
    rng = np.random.default_rng(3)
    for part in (0.002, 0.02, 0.3):
        mask = rng.random((9, 24, 31)) < part
        step, reach = spacing_mm[::-1], radius_mm * (1 + 1e-6)
        pad = [int(reach // mm) + 1 for mm in step]
        around = np.pad(mask, [(n, n) for n in pad])
        grown = ndimage.distance_transform_edt(~around, sampling=step) <= reach
        shrunk = ndimage.distance_transform_edt(grown, sampling=step) > reach
        closed = close_ball(mask, radius_mm, spacing_mm)
        np.testing.assert_array_equal(closed, shrunk[tuple(slice(n, -n) for n in pad)])


def test_small_labels_go_whatever_their_numbers() -> None:
    array = np.zeros((4, 9, 9), np.uint8)
    array[1:3, 1:3, 1:3], array[0, 5, 5], array[1:3, 6:9, 6:9], array[3, 0, 0] = 2, 2, 200, 200
    kept = remove_small_labels(Volume(array, (10.0, 10.0, 10.0)), 2.0).array
    assert {value: int((kept == value).sum()) for value in (2, 200)} == {2: 8, 200: 18}

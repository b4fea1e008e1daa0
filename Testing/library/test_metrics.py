"""metrics.py against counts made by hand, and the empty cases as its first lines promise them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from StrokeSegLib import metrics
from StrokeSegLib.errors import InputError

RATIOS = [metrics.dice, metrics.jaccard, metrics.sensitivity, metrics.precision, metrics.lesion_f1]


def row(text: str) -> np.ndarray:
    """A mask of one row: "#" is lesion."""
    return np.array([c == "#" for c in text]).reshape(1, 1, -1)


#: 3 common voxels, 5 predicted, 4 true, 10 in all.
PREDICTION, TRUTH = row("#####....."), row("..####....")


def test_overlap_ratios_of_a_hand_counted_row() -> None:
    assert metrics.dice(PREDICTION, TRUTH) == pytest.approx(6 / 9)
    assert metrics.jaccard(PREDICTION, TRUTH) == pytest.approx(3 / 6)
    assert metrics.sensitivity(PREDICTION, TRUTH) == pytest.approx(3 / 4)
    assert metrics.precision(PREDICTION, TRUTH) == pytest.approx(3 / 5)
    assert metrics.specificity(PREDICTION, TRUTH) == pytest.approx(4 / 6)


@pytest.mark.parametrize("seed", range(20))
def test_jaccard_follows_from_dice_and_never_exceeds_it(seed: int) -> None:
    random = np.random.default_rng(seed)
    prediction, truth = random.random((2, 4, 5, 6)) < random.random((2, 1, 1, 1))
    d, j = metrics.dice(prediction, truth), metrics.jaccard(prediction, truth)
    assert j == pytest.approx(d / (2 - d))
    assert j <= d


def test_both_empty_is_a_perfect_score() -> None:
    empty = row("....")
    assert [ratio(empty, empty) for ratio in [*RATIOS, metrics.specificity]] == [1.0] * 6


def test_one_empty_scores_zero() -> None:
    empty, full = row("...."), row("##..")
    for ratio in RATIOS:
        assert ratio(empty, full) == 0.0
        assert ratio(full, empty) == 0.0


def test_specificity_is_one_where_there_is_no_background() -> None:
    assert metrics.specificity(row("#."), row("##")) == 1.0
    assert metrics.specificity(row("##"), row("..")) == 0.0


def test_volume_difference_is_signed_and_in_milliliters() -> None:
    assert metrics.volume_difference_ml(PREDICTION, TRUTH, 0.008) == pytest.approx(0.008)
    assert metrics.volume_difference_ml(TRUTH, PREDICTION, 0.008) == pytest.approx(-0.008)
    assert metrics.absolute_volume_difference_ml(TRUTH, PREDICTION, 0.008) == pytest.approx(0.008)


def test_lesion_f1_counts_lesions_not_voxels() -> None:
    truth = row("##.##.#....")
    prediction = row(".####...#.#")
    # True: 3 lesions, the first two touched by one predicted, the third missed. Predicted: 3, two of them invented.
    assert metrics.lesion_f1(prediction, truth) == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    assert metrics.lesion_count_difference(prediction, row("#..........")) == 2
    assert metrics.lesion_count_difference(row("..........."), truth) == -3


def test_voxels_that_touch_by_a_corner_are_one_lesion() -> None:
    diagonal = np.eye(3, dtype=np.uint8)[:, :, None] * np.array([1, 0], np.uint8)
    assert metrics.lesion_count_difference(diagonal, np.zeros_like(diagonal)) == 1


def test_any_number_but_zero_is_lesion() -> None:
    labels = np.where(TRUTH, 3, 0)
    assert metrics.dice(PREDICTION.astype(np.float32) * 0.25, labels) == metrics.dice(PREDICTION, TRUTH)


def test_nothing_returns_nan_and_no_count_overflows() -> None:
    full = np.ones((40, 40, 40), np.uint8)
    assert metrics.dice(full, full) == 1.0
    for ratio in [*RATIOS, metrics.specificity]:
        assert not math.isnan(ratio(full, full))


@pytest.mark.parametrize("metric", [*RATIOS, metrics.specificity, metrics.lesion_count_difference])
def test_different_shapes_are_refused(metric) -> None:
    with pytest.raises(InputError, match="one shape"):
        metric(np.zeros((1, 1, 3)), np.zeros((1, 1, 4)))


def test_calibration_by_hand() -> None:
    # Bin 0-0.5: stated 0.1 and 0.3, none lesion; bin 0.5-1: stated 0.9 and 1.0, one of two lesion.
    table = metrics.reliability(np.array([0.1, 0.3, 0.9, 1.0]), np.array([0, 0, 1, 0]), bins=2)
    assert table.tolist() == [[2, 2], [pytest.approx(0.4), pytest.approx(1.9)], [0, 1]]
    assert metrics.expected_calibration_error(table) == pytest.approx((0.4 + 0.9) / 4)
    assert metrics.expected_calibration_error(table + table) == pytest.approx((0.4 + 0.9) / 4)
    assert metrics.expected_calibration_error(np.zeros((3, 2))) == 0
    with pytest.raises(InputError, match="one shape"):
        metrics.reliability(np.zeros(2), np.zeros(3))

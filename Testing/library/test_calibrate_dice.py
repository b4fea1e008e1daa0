"""The quick way to many Dice values gives those of the label maps."""

from __future__ import annotations

import numpy as np
import pytest

from StrokeSegLib.metrics import dice
from StrokeSegLib.postprocess import label_map
from StrokeSegLib.training.calibrate_dice import dice_by_size
from StrokeSegLib.training.calibrate_lesions import marked_lesions
from StrokeSegLib.volume import Volume

SIZES_ML = (0.0, 0.01, 0.027, 0.1, 100.0)


@pytest.mark.parametrize("threshold", [0.2, 0.6, 0.95])
def test_it_equals_the_label_maps(threshold: float) -> None:
    rng = np.random.default_rng(3)
    p = Volume(rng.random((6, 20, 20), np.float32) ** 3, (3.0, 3.0, 3.0))
    truth = rng.random(p.array.shape) > 0.9
    slow = [dice(label_map({1: p}, {1: threshold}, each).array == 1, truth) for each in SIZES_ML]
    assert dice_by_size(p, truth, threshold, SIZES_ML) == pytest.approx(slow)


def test_two_empty_masks_agree() -> None:
    nothing = Volume(np.zeros((2, 3, 4), np.float32), (1.0, 1.0, 1.0))
    assert dice_by_size(nothing, nothing.array > 0, 0.5, (0.0, 1.0)) == [1.0, 1.0]
    assert dice_by_size(nothing, nothing.array == 0, 0.5, (0.0,)) == [0.0]


def test_marked_lesions_know_whether_they_touch_a_true_one() -> None:
    p = np.zeros((1, 5, 9), np.float32)
    p[0, 1, 1:3], p[0, 3, 6:8] = 0.8, 0.6
    truth = np.zeros(p.shape, np.uint8)
    truth[0, 1, 2] = 1
    grid = Volume(p, (10.0, 10.0, 10.0))  # 1 mL a voxel
    found = marked_lesions([{1: grid}], [grid.with_array(truth)], {1: 0.5}, 0.0)[1]
    assert [(one.volume_ml, one.real) for one in found] == [(2.0, True), (2.0, False)]
    assert [one.mean_probability for one in found] == pytest.approx([0.8, 0.6])

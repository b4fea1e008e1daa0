"""k and the classifier's limits of three planes, chosen together: hand-made cases of which arithmetic says the best."""

from __future__ import annotations

import numpy as np
import pytest

from StrokeSegLib.training.calibrate_planes import PlanesCase, choose_planes, without_denied
from StrokeSegLib.volume import Volume

SHAPE = (10, 10, 10)
VOXEL_ML = 0.1


def case(highest: dict[int, list[tuple[slice, float]]], total: float, lesion: slice | None) -> PlanesCase:
    """Voxels by their running number: what the planes say at most and in sum there, and which are lesion (label 1)."""
    maps, sums = {}, {}
    for label in (1, 2):
        p = np.zeros(1000, np.float32)
        for where, value in highest.get(label, []):
            p[where] = value
        maps[label] = Volume(p.reshape(SHAPE), (5.0, 5.0, 4.0))  # 0.1 mL
        sums[label] = np.where(p > 0, np.float32(total), 0).reshape(SHAPE).astype(np.float32)
    truth = np.zeros(1000, np.uint8)
    if lesion is not None:
        truth[lesion] = 1
    return PlanesCase(maps, sums, VOXEL_ML, Volume(truth.reshape(SHAPE), (5.0, 5.0, 4.0)))


def test_a_low_k_is_chosen_where_the_classifier_denies_what_it_marks_too_much() -> None:
    # 60 voxels at 0.7 and 40 at 0.4, all planes of one mind; a healthy head with 50 voxels at 0.5 in one plane.
    ill = case({1: [(slice(0, 60), 0.7), (slice(60, 100), 0.4)]}, 2.0, slice(0, 100))
    healthy = case({1: [(slice(200, 250), 0.5)]}, 1.2, None)
    found = choose_planes([ill, healthy], (0.3, 0.6), (0.0,))
    # By Dice alone k = 0.6 would win: 0.75 and 1 against 1 and 0. The classifier tells 6.67 from 4.
    assert found.k == {1: 0.3, 2: 0.6}
    assert found.dice == 1.0
    assert found.classes.m[1] == pytest.approx((2.0 / 0.3 + 1.2 / 0.3) / 2)
    assert found.classes.sensitivity[1] == found.classes.specificity[1] == 1.0
    assert found.classes.as_constants()["ischemic_m"] == 5.333


def test_where_the_classifier_cannot_tell_the_higher_k_keeps_the_healthy_head_clean() -> None:
    ill = case({1: [(slice(0, 60), 0.7), (slice(60, 100), 0.4)]}, 1.2, slice(0, 100))
    healthy = case({1: [(slice(200, 250), 0.5)]}, 1.2, None)
    found = choose_planes([ill, healthy], (0.3, 0.6), (0.0,), (0.0,))
    # k = 0.3 gives 1 + 0 or, with the class denied to both, 0 + 1; k = 0.6 gives 0.75 + 1 unless it is denied, too.
    # m is the same in both heads, so the limit denies both: of 0.6 remains 0 + 1 as well, and the higher k counts.
    assert found.k[1] == 0.6
    assert found.dice == pytest.approx((0.5 + 1.0) / 2)  # label 2: nothing there and nothing marked


def test_specks_are_dropped_by_size_and_a_class_by_its_volume() -> None:
    ill = case({1: [(slice(0, 100), 0.7)]}, 2.0, slice(0, 100))
    speck = case({1: [(slice(205, 207), 0.8)]}, 2.4, None)  # 0.2 mL, brighter than the lesion
    found = choose_planes([ill, speck], (0.6,), (0.0, 0.3), (0.0, 1.0))
    assert found.min_lesion_ml == 0.3
    assert found.classes.min_volume_ml == 1.0
    assert found.dice == 1.0


def test_where_a_class_is_denied_nothing_is_marked() -> None:
    """The first test's heads: the limit of 5.33 lies between an m of 6.67 and one of 4; label 2 is nowhere."""
    ill = case({1: [(slice(0, 60), 0.7), (slice(60, 100), 0.4)]}, 2.0, slice(0, 100))
    healthy = case({1: [(slice(200, 250), 0.5)]}, 1.2, None)
    choice = choose_planes([ill, healthy], (0.3, 0.6), (0.0,))
    of_ill, of_healthy = without_denied([ill, healthy], choice)
    assert np.array_equal(of_ill[1].array, ill.highest[1].array)
    assert not of_healthy[1].array.any()
    assert healthy.highest[1].array.any()

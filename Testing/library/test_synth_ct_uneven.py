"""Generated stacks with thicker upper slices: hand arithmetic of what blends, and what a scan keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from StrokeSegLib.synth.ct import make_ct_case
from StrokeSegLib.synth.ct_ranges import CT_RANGES
from StrokeSegLib.synth.ct_uneven import blending, thicken_upper_slices
from StrokeSegLib.synth.procedural import procedural_head

HALF_WAY = replace(CT_RANGES, uneven_from=(0.5, 0.5), uneven_ratio=(2.0, 2.0))


def test_between_two_thick_slices_is_a_straight_line() -> None:
    first, second = np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.5, 0.5])
    wanted = [first, 0.75 * first + 0.25 * second, 0.25 * first + 0.75 * second, second]
    assert blending(4, 2.0) == pytest.approx(np.array(wanted))


@pytest.mark.parametrize("count", [1, 2, 5, 40])
@pytest.mark.parametrize("ratio", [1.3, 2.5])
def test_what_is_the_same_in_all_slices_stays(count: int, ratio: float) -> None:
    assert blending(count, ratio).sum(axis=1) == pytest.approx(np.ones(count))
    assert (blending(count, ratio) >= 0).all()


def test_bone_above_brain_becomes_a_blend_and_a_label_is_where_most_of_it_is() -> None:
    hu = np.repeat([0, 0, 0, 0, 30, 30, 1000, 1000], 6).reshape(8, 2, 3).astype(np.float32)
    labels = np.repeat([0, 0, 0, 2, 2, 2, 0, 0], 6).reshape(8, 2, 3).astype(np.uint8)
    got, again = thicken_upper_slices(np.random.default_rng(0), hu, labels, HALF_WAY)
    assert got[:, 0, 0].tolist() == [0, 0, 0, 0, 30, 272, 758, 1000]  # 30 + 970/4, 30 + 970*3/4
    assert again[:, 1, 2].tolist() == [0, 0, 0, 2, 2, 2, 0, 0]
    assert hu[5, 0, 0] == 30  # what was given stays


def test_of_one_slice_nothing_is_blended() -> None:
    hu, labels = np.ones((1, 2, 2), np.float32), np.ones((1, 2, 2), np.uint8)
    got, again = thicken_upper_slices(np.random.default_rng(0), hu, labels, HALF_WAY)
    assert got is hu
    assert again is labels


def test_some_scans_have_thicker_slices_above_and_are_the_same_below() -> None:
    head = procedural_head(np.random.default_rng(3))
    never = replace(HALF_WAY, uneven_chance=0.0, skull_stripped_chance=0.0)
    even, uneven = (
        make_ct_case(np.random.default_rng(5), head, ranges=one, kind="hemorrhagic", spacing_mm=(2.0, 2.0, 4.0))
        for one in (never, replace(never, uneven_chance=1.0))
    )
    before, after = even.images["ct"].array, uneven.images["ct"].array
    half = len(before) // 2
    assert np.array_equal(before[:half], after[:half])
    rough = [np.abs(np.diff(one[half:], axis=0)).mean() for one in (before, after)]
    assert rough[1] < 0.8 * rough[0]
    direction = even.images["ct"].direction
    assert np.reshape(direction, (3, 3))[2, 2] > 0  # slices go up, so that the thick ones are at the vertex

"""projections.py and close_ball: fusion, closing in mm, the classifier and the ensemble, by hand arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.projections import (
    HEMORRHAGE,
    ISCHEMIA,
    Classification,
    Fused,
    choose_members,
    classify,
    fuse_projections,
    label_projections,
    mean_probability,
    planes_to_run,
)
from StrokeSegLib.postprocess import close_ball
from StrokeSegLib.systems.dpn92_constants import PAPER

K = (0.47, 0.56, 0.56)
#: A ball of 3 mm in this grid is a line along i: its neighbors along j and k are out of reach.
LINE_MM = (1.0, 10.0, 10.0)


def row(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32).reshape(1, 1, -1)


# Fusion


def test_one_plane_over_its_k_is_enough_and_its_k_itself_is_not() -> None:
    fused = fuse_projections(
        row(0.47, 0.48, 0.0, 0.0, 0.55, 0.4),
        row(0.56, 0.0, 0.57, 0.0, 0.0, 0.5),
        row(0.56, 0.0, 0.0, 0.57, 0.0, 0.5),
        K,
    )
    assert fused.lesion.ravel().tolist() == [False, True, True, True, True, False]


def test_vpred_is_the_sum_of_each_probability_over_its_k() -> None:
    fused = fuse_projections(row(0.47, 0.235, 0.94), row(0.56, 0.28, 0.0), row(0.56, 0.14, 0.28), K)
    # 1 + 1 + 1; 1/2 + 1/2 + 1/4; 2 + 0 + 1/2
    assert fused.vpred.ravel().tolist() == pytest.approx([3.0, 1.25, 2.5], abs=1e-6)


def test_vpred_ranges_from_0_to_570() -> None:
    # 1/0.47 + 1/0.56 + 1/0.56 = 2.12766 + 3.57143
    fused = fuse_projections(*[row(0.0, 1.0)] * 3, K)
    assert fused.vpred.ravel().tolist() == pytest.approx([0.0, 5.69909], abs=1e-5)
    assert round(float(fused.vpred.max()), 2) == 5.70


def test_the_axial_plane_alone_is_renormalized_to_the_same_range() -> None:
    fused = fuse_projections(row(0.0, 0.47, 0.5, 1.0), None, None, K)
    assert fused.lesion.ravel().tolist() == [False, False, True, True]
    # As if the other planes had said the same: p * 5.69909.
    assert fused.vpred.ravel().tolist() == pytest.approx([0.0, 2.67857, 2.84954, 5.69909], abs=1e-5)


def test_three_planes_that_agree_give_the_same_vpred_as_the_axial_plane_alone() -> None:
    p = row(0.1, 0.3, 0.5, 0.9)
    np.testing.assert_allclose(fuse_projections(p, p, p, K).vpred, fuse_projections(p, None, None, K).vpred, rtol=1e-6)


def test_each_class_may_have_its_own_k() -> None:
    p = row(0.5)
    assert fuse_projections(p, p, p, (0.6, 0.6, 0.6)).lesion.ravel().tolist() == [False]
    assert fuse_projections(p, p, p, (0.6, 0.6, 0.4)).lesion.ravel().tolist() == [True]


def test_nan_counts_as_no_lesion_and_does_not_spread() -> None:
    fused = fuse_projections(row(math.nan, math.nan), row(0.0, 0.56), row(0.0, 0.0), K)
    assert fused.lesion.ravel().tolist() == [False, False]
    assert fused.vpred.ravel().tolist() == pytest.approx([0.0, 1.0])


def test_fusion_leaves_its_inputs_as_they_were() -> None:
    planes = [row(0.5), row(0.6), row(0.7)]
    fuse_projections(*planes, K)
    assert [float(p.item()) for p in planes] == pytest.approx([0.5, 0.6, 0.7])


@pytest.mark.parametrize("k", [(0.0, 0.56, 0.56), (0.47, 1.1, 0.56), (0.47, 0.56, math.nan)])
def test_a_senseless_k_is_refused(k: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="k must be above 0 and at most 1"):
        fuse_projections(row(0.5), row(0.5), row(0.5), k)


def test_planes_on_different_grids_are_refused() -> None:
    with pytest.raises(InputError, match="one grid"):
        fuse_projections(row(0.5, 0.5), row(0.5), None, K)


def test_thick_slices_leave_the_axial_plane_and_a_warning() -> None:
    assert planes_to_run(2.5) == (("axial", "coronal", "sagittal"), ())
    planes, warnings = planes_to_run(5.0)
    assert planes == ("axial",)
    assert len(warnings) == 1
    assert "5.0 mm" in warnings[0]


# Labels


def fused(lesion: list[int], vpred: list[float]) -> Fused:
    return Fused(np.array(lesion, bool).reshape(1, 1, -1), row(*vpred))


def test_where_both_classes_are_found_the_larger_vpred_wins_and_hemorrhage_wins_ties() -> None:
    ischemic = fused([1, 1, 1, 1, 0], [2.0, 2.0, 1.9, 1.5, 5.0])
    hemorrhagic = fused([0, 1, 1, 1, 1], [3.0, 1.9, 2.0, 1.5, 1.1])
    # Only ischemic; larger ischemic; larger hemorrhagic; equal; only hemorrhagic (a Vpred without a plane over its k).
    labels = label_projections(ischemic, hemorrhagic, radius_mm=0.0, spacing_mm=LINE_MM)
    assert labels.ravel().tolist() == [1, 1, 2, 2, 2]
    assert labels.dtype == np.uint8


def test_closing_an_infarct_never_overwrites_blood() -> None:
    ischemic = fused([1, 1, 0, 0, 1, 1], [2.0] * 6)
    hemorrhagic = fused([0, 0, 1, 0, 0, 0], [0.0, 0.0, 2.0, 0.0, 0.0, 0.0])
    labels = label_projections(ischemic, hemorrhagic, radius_mm=3.0, spacing_mm=LINE_MM)
    assert labels.ravel().tolist() == [1, 1, 2, 1, 1, 1]


def test_an_ischemic_voxel_that_turned_out_to_be_blood_does_not_help_to_close_an_infarct() -> None:
    ischemic = fused([1, 0, 0, 0, 1], [1.5, 0.0, 0.0, 0.0, 2.0])
    hemorrhagic = fused([1, 0, 0, 0, 0], [2.0, 0.0, 0.0, 0.0, 0.0])
    labels = label_projections(ischemic, hemorrhagic, radius_mm=3.0, spacing_mm=LINE_MM)
    assert labels.ravel().tolist() == [2, 0, 0, 0, 1]


def test_a_gap_inside_blood_is_blood_even_where_it_was_ischemic() -> None:
    ischemic = fused([0, 0, 1, 0, 0], [0.0, 0.0, 2.0, 0.0, 0.0])
    hemorrhagic = fused([1, 1, 0, 1, 1], [2.0, 2.0, 0.0, 2.0, 2.0])
    labels = label_projections(ischemic, hemorrhagic, radius_mm=3.0, spacing_mm=LINE_MM)
    assert labels.ravel().tolist() == [2, 2, 2, 2, 2]


# Closing


@pytest.mark.parametrize(
    ("i_mm", "gap", "filled"),
    # Two voxels with a gap on a line. The line of reach n = floor(3 mm / spacing) has 2 n + 1 voxels: it fits into a
    # gap of that many, so that the gap stays, and fills every smaller one.
    [
        *[(1.0, 6, True), (1.0, 7, False), (0.5, 12, True), (0.5, 13, False), (2.0, 2, True), (2.0, 3, False)],
        *[(0.6, 10, True), (0.6, 11, False), (3.0, 2, True), (3.0, 3, False), (3.1, 1, False)],
    ],
)
def test_the_radius_is_in_mm(i_mm: float, gap: int, filled: bool) -> None:
    line = np.array([1] + [0] * gap + [1], bool).reshape(1, 1, -1)
    assert close_ball(line, 3.0, (i_mm, 10.0, 10.0)).all() == filled


def test_three_steps_of_01_mm_are_within_03_mm_although_their_product_rounds_up() -> None:
    line = np.array([1, 0, 0, 0, 0, 0, 0, 1], bool).reshape(1, 1, -1)
    assert close_ball(line, 0.3, (0.1, 10.0, 10.0)).all()


@pytest.mark.parametrize(("axis", "filled"), [(2, True), (1, True), (0, False)])
def test_each_axis_has_its_own_spacing(axis: int, filled: bool) -> None:
    # A wall with a slit of one voxel. Along i (1 mm) and j (2 mm) it is narrower than the ball, along k (5 mm) nothing
    # within 3 mm spans it.
    mask = np.ones((9, 9, 9), bool)
    mask[tuple(4 if a == axis else slice(None) for a in range(3))] = False
    assert close_ball(mask, 3.0, (1.0, 2.0, 5.0))[4, 4, 4] == filled


def closed_by_definition(mask: NDArray[Any], radius_mm: float, spacing_mm: tuple[float, float, float]) -> NDArray[Any]:
    """A voxel stays background if some ball that holds it misses the mask; on a grid without end."""
    reach = [int(radius_mm / s) + 1 for s in spacing_mm[::-1]]
    wide = np.pad(mask, [(2 * n, 2 * n) for n in reach])
    offsets = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), -1).reshape(-1, 3)
    ball = offsets[np.linalg.norm(offsets * np.array(spacing_mm[::-1]), axis=1) <= radius_mm + 1e-9]
    grown = np.any([np.roll(wide, tuple(o), (0, 1, 2)) for o in ball], axis=0)
    closed = np.all([np.roll(grown, tuple(o), (0, 1, 2)) for o in ball], axis=0)
    return closed[tuple(slice(2 * n, -2 * n) for n in reach)]


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.5, 1.0, 2.5), (2.0, 0.7, 1.0), (1.0, 1.0, 5.0)])
def test_closing_agrees_with_its_definition(spacing_mm: tuple[float, float, float]) -> None:
    mask = np.random.default_rng(3).random((5, 8, 9)) < 0.15
    expected = closed_by_definition(mask, 3.0, spacing_mm)
    assert 0 < np.count_nonzero(mask) < np.count_nonzero(expected) < mask.size  # the case is not a trivial one
    np.testing.assert_array_equal(close_ball(mask, 3.0, spacing_mm), expected)


def test_on_1_mm_voxels_3_mm_is_the_papers_ball_of_3_voxels() -> None:
    mask = np.pad(np.random.default_rng(4).random((8, 8, 8)) < 0.1, 6)
    z, y, x = np.mgrid[-3:4, -3:4, -3:4]
    expected = ndimage.binary_closing(mask, x**2 + y**2 + z**2 <= 9)
    np.testing.assert_array_equal(close_ball(mask, 3.0, (1.0, 1.0, 1.0)), expected)


def test_a_lesion_at_the_border_keeps_its_voxels_and_does_not_grow_along_it() -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[:2, :3, :4] = True
    np.testing.assert_array_equal(close_ball(mask, 3.0, (1.0, 1.0, 1.0)), mask)


def test_closing_an_empty_mask_or_with_no_radius_changes_nothing_and_gives_a_new_array() -> None:
    empty = np.zeros((2, 3, 4), np.uint8)
    assert not close_ball(empty, 3.0, (1.0, 1.0, 1.0)).any()
    line = np.array([1, 0, 1], bool).reshape(1, 1, 3)
    same = close_ball(line, 0.0, LINE_MM)
    same[0, 0, 1] = True
    assert line.ravel().tolist() == [True, False, True]


@pytest.mark.parametrize("radius_mm", [-1.0, math.nan, math.inf])
def test_a_senseless_radius_is_refused(radius_mm: float) -> None:
    with pytest.raises(InputError, match="closing radius"):
        close_ball(np.ones((1, 1, 1), bool), radius_mm, (1.0, 1.0, 1.0))


# Classifier

#: One voxel of 10 mm sides.
VOXEL_ML = 1.0


def verdict(ischemic: list[float], hemorrhagic: list[float], *, min_volume_ml: float = 0.0) -> Classification:
    vpred = {ISCHEMIA: np.array(ischemic), HEMORRHAGE: np.array(hemorrhagic)}
    return classify(vpred, voxel_volume_ml=VOXEL_ML, constants=replace(PAPER, min_volume_ml=min_volume_ml))


def test_m_is_the_mean_over_the_voxels_whose_vpred_exceeds_09() -> None:
    # 0.9 itself and less do not count: (1 + 2 + 3) / 3 and (1.0 + 1.5) / 2.
    got = verdict([0.0, 0.9, 1.0, 2.0, 3.0], [0.5, 0.5, 0.5, 1.0, 1.5])
    assert got.m == pytest.approx({ISCHEMIA: 2.0, HEMORRHAGE: 1.25})
    assert got.volume_ml == pytest.approx({ISCHEMIA: 3.0, HEMORRHAGE: 2.0})


@pytest.mark.parametrize(
    ("ischemic", "hemorrhagic", "found", "label"),
    [
        (0.0, 0.0, (), 0),
        (1.16, 1.52, (), 0),  # m must exceed the thresholds
        (1.17, 1.52, (ISCHEMIA,), ISCHEMIA),
        (1.16, 1.53, (HEMORRHAGE,), HEMORRHAGE),
        # Both: ratios 1.74/1.16 = 1.5 and 1.9/1.52 = 1.25; then 1.276/1.16 = 1.1 and 1.25; blood first either way.
        (1.74, 1.9, (HEMORRHAGE, ISCHEMIA), ISCHEMIA),
        (1.276, 1.9, (HEMORRHAGE, ISCHEMIA), HEMORRHAGE),
    ],
)
def test_a_class_is_found_where_its_m_exceeds_its_threshold(
    ischemic: float, hemorrhagic: float, found: tuple[int, ...], label: int
) -> None:
    got = verdict([ischemic], [hemorrhagic])
    assert got.found == found
    assert got.label == label


def test_equal_ratios_are_called_hemorrhage() -> None:
    constants = replace(PAPER, ischemic_m=1.25, hemorrhagic_m=1.5)
    vpred = {ISCHEMIA: np.array([2.5]), HEMORRHAGE: np.array([3.0])}  # 2.0 and 2.0
    got = classify(vpred, voxel_volume_ml=VOXEL_ML, constants=constants)
    assert got.label == HEMORRHAGE


def test_no_voxel_over_09_gives_an_m_of_0() -> None:
    got = verdict([0.9, 0.1], [])
    assert got.m == {ISCHEMIA: 0.0, HEMORRHAGE: 0.0}
    assert got.volume_ml == {ISCHEMIA: 0.0, HEMORRHAGE: 0.0}
    assert (got.found, got.label) == ((), 0)


def test_as_published_one_voxel_makes_a_case_ischemic_and_the_guard_prevents_it() -> None:
    assert verdict([0.0, 0.0, 1.2], [0.0]).label == ISCHEMIA
    assert verdict([0.0, 0.0, 1.2], [0.0], min_volume_ml=1.0).label == ISCHEMIA  # exactly that much is enough
    guarded = verdict([0.0, 0.0, 1.2], [0.0], min_volume_ml=1.5)
    assert (guarded.found, guarded.label) == ((), 0)
    assert guarded.m[ISCHEMIA] == pytest.approx(1.2)


def test_the_guard_of_one_class_leaves_the_other() -> None:
    got = verdict([2.0], [1.6, 1.6], min_volume_ml=2.0)
    assert (got.found, got.label) == ((HEMORRHAGE,), HEMORRHAGE)


def test_single_precision_does_not_move_a_threshold() -> None:
    vpred = {ISCHEMIA: np.full(1000, 0.9, np.float32), HEMORRHAGE: np.full(100_000, 1.53, np.float32)}
    got = classify(vpred, voxel_volume_ml=VOXEL_ML)
    assert got.m[ISCHEMIA] == 0.0
    assert got.m[HEMORRHAGE] == pytest.approx(1.53, abs=1e-6)


# Ensemble


def test_the_best_members_are_chosen_best_first() -> None:
    assert choose_members([0.1, 0.7, 0.3, 0.9, 0.5, 0.6, 0.2, 0.8], 6) == (3, 7, 1, 5, 4, 2)


def test_the_earlier_of_two_equal_members_goes_first() -> None:
    assert choose_members([0.5, 0.9, 0.9, 0.5], 3) == (1, 2, 0)


@pytest.mark.parametrize(("scores", "count"), [([0.5], 2), ([0.5, math.nan], 1), ([0.5], 0)])
def test_a_choice_that_cannot_be_made_is_refused(scores: list[float], count: int) -> None:
    with pytest.raises(InputError, match="members"):
        choose_members(scores, count)


def test_members_are_averaged_as_probabilities() -> None:
    got = mean_probability(iter([row(0.0, 0.2), row(0.5, 0.4), row(1.0, 0.9)]))
    assert got.ravel().tolist() == pytest.approx([0.5, 0.5])
    assert got.dtype == np.float32


def test_averaging_leaves_the_first_member_as_it_was() -> None:
    first = row(0.25)
    mean_probability([first, row(0.75)])
    assert first.item() == 0.25


def test_no_member_or_members_on_different_grids_are_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        mean_probability([])
    with pytest.raises(InputError, match="one grid"):
        mean_probability([row(0.5), row(0.5, 0.5)])


def test_the_chain_from_planes_to_a_verdict() -> None:
    # Two voxels of blood that all planes see (p = 0.9, Vpred 5.13), nothing ischemic.
    nothing, blood = row(0.0, 0.0, 0.0), row(0.9, 0.9, 0.0)
    ischemic, hemorrhagic = fuse_projections(*[nothing] * 3, PAPER.k), fuse_projections(*[blood] * 3, PAPER.k)
    labels = label_projections(ischemic, hemorrhagic, PAPER.closing_radius_mm, (1.0, 1.0, 1.0))
    got = classify({ISCHEMIA: ischemic.vpred, HEMORRHAGE: hemorrhagic.vpred}, voxel_volume_ml=0.001)
    assert labels.ravel().tolist() == [2, 2, 0]
    assert got.m[HEMORRHAGE] == pytest.approx(0.9 * 5.69909, abs=1e-4)
    assert (got.found, got.label) == ((HEMORRHAGE,), HEMORRHAGE)

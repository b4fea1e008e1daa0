"""statistics.py: the reader study of the fourth paper from its counts, and intervals whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from StrokeSegLib import metrics
from StrokeSegLib.errors import InputError
from StrokeSegLib.statistics import accuracy, balanced_accuracy, bootstrap_ci, fisher_p, holm, roc_auc, summarize

#: Errors of the ten readers and of the model, of 180 cases each.
READERS, MODEL, CASES = (6, 15, 8, 19, 33, 23, 25, 18, 19, 19), 7, 180


def row(text: str) -> np.ndarray:
    return np.array([c == "#" for c in text]).reshape(1, 1, -1)


def test_accuracy_counts_what_is_right_on_both_sides() -> None:
    # 3 common voxels, 2 too many, 1 missed, 4 of the background left alone.
    assert accuracy(row("#####....."), row("..####....")) == pytest.approx(7 / 10)
    assert balanced_accuracy(row("#####....."), row("..####....")) == pytest.approx((3 / 4 + 4 / 6) / 2)


def test_finding_nothing_is_accurate_where_lesions_are_small_and_balanced_accuracy_says_so() -> None:
    truth, nothing = row("#" + 99 * "."), row(100 * ".")
    assert accuracy(nothing, truth) == pytest.approx(0.99)
    assert balanced_accuracy(nothing, truth) == pytest.approx(0.5)


def test_both_empty_is_right() -> None:
    assert accuracy(row("..."), row("...")) == balanced_accuracy(row("..."), row("...")) == 1


MASKS = arrays(bool, (1, 2, 4))


@given(MASKS, MASKS)
def test_balanced_accuracy_is_the_mean_of_sensitivity_and_specificity_empty_masks_too(prediction, truth) -> None:
    both = metrics.sensitivity(prediction, truth), metrics.specificity(prediction, truth)
    assert balanced_accuracy(prediction, truth) == pytest.approx(sum(both) / 2)


@given(MASKS, MASKS)
def test_jaccard_never_exceeds_dice(prediction, truth) -> None:
    d, j = metrics.dice(prediction, truth), metrics.jaccard(prediction, truth)
    assert j <= d
    assert j == pytest.approx(d / (2 - d))


def test_different_shapes_are_refused() -> None:
    for metric in (accuracy, balanced_accuracy):
        with pytest.raises(InputError, match="one shape"):
            metric(row("#."), row("#.."))


def test_fisher_on_the_lady_tasting_tea() -> None:
    # 3 of 4 against 1 of 4: (16 + 1) of 70 ways on either side.
    assert fisher_p(3, 4, 1, 4) == pytest.approx(34 / 70)


def test_fisher_reproduces_the_reader_study() -> None:
    p_values = [fisher_p(errors, CASES, MODEL, CASES) for errors in READERS]
    recomputed = [1.0, 0.122, 1.0, 0.0235, 0.00004, 0.0036, 0.0013, 0.0363, 0.0235, 0.0235]
    assert p_values == pytest.approx(recomputed, rel=0.02, abs=5e-5)
    assert p_values[4] < 0.001
    assert sum(p < 0.05 for p in p_values) == 7
    # As the paper prints them, but for the 0.037 of the reader with 18 errors, which is 0.036.
    printed = [0.999, 0.122, 0.999, 0.024, 0.001, 0.004, 0.001, 0.036, 0.024, 0.024]
    assert p_values == pytest.approx(printed, abs=1.01e-3)


def test_after_holm_only_three_readers_are_worse_than_the_model() -> None:
    adjusted = holm([fisher_p(errors, CASES, MODEL, CASES) for errors in READERS])
    worse = [errors for errors, p in zip(READERS, adjusted, strict=True) if p < 0.05]
    assert sorted(worse) == [23, 25, 33]


def test_holm_multiplies_the_smallest_by_all_the_next_by_one_less_and_never_falls() -> None:
    # Sorted: .01 * 4, .02 * 3, .03 * 2 raised to .06, .5 * 1; back in the given order.
    assert holm([0.5, 0.02, 0.01, 0.03]) == pytest.approx([0.5, 0.06, 0.04, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.7, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values) -> None:
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


def test_impossible_counts_and_p_values_are_refused() -> None:
    for counts in ((5, 4, 1, 4), (-1, 4, 1, 4), (0, 0, 1, 4)):
        with pytest.raises(InputError, match="errors"):
            fisher_p(*counts)
    for bad in (1.2, -0.1, float("nan")):
        with pytest.raises(InputError, match="p value"):
            holm([0.5, bad])


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).normal(0.6, 0.2, 400)
    interval = bootstrap_ci(values, [f"p{n}" for n in range(400)])
    half = 1.96 * values.std() / 20
    assert interval.estimate == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_cases_of_one_patient_are_drawn_together() -> None:
    # 20 patients, each with 10 equal cases: 200 cases hold no more than 20 patients' worth of knowledge.
    patient_means = np.random.default_rng(1).normal(size=20)
    values, patients = np.repeat(patient_means, 10), np.repeat(np.arange(20), 10)
    grouped, alone = bootstrap_ci(values, patients.tolist()), bootstrap_ci(patient_means, list(range(20)))
    apart = bootstrap_ci(values, list(range(200)))
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high))
    assert apart.high - apart.low < 0.5 * (grouped.high - grouped.low)


def test_the_same_seed_gives_the_same_interval_in_any_order_of_the_cases() -> None:
    values, patients = np.arange(12.0) ** 2, list("aabbccddeeff")
    order = np.random.default_rng(2).permutation(12)
    first = bootstrap_ci(values, patients, seed=3)
    again = bootstrap_ci(values[order], [patients[n] for n in order], seed=3)
    assert (again.low, again.high) == pytest.approx((first.low, first.high))
    assert bootstrap_ci(values, patients, seed=4) != first


def test_any_statistic_can_be_bootstrapped() -> None:
    # The largest of six is missing from (5/6)**6, a third, of the draws: far more than 2.5%.
    interval = bootstrap_ci([0.0, 0.0, 0.0, 0.0, 0.0, 100.0], list(range(6)), statistic=np.max)
    assert (interval.estimate, interval.low, interval.high) == (100.0, 0.0, 100.0)


def test_one_patient_gives_an_interval_of_no_width() -> None:
    interval = bootstrap_ci([0.2, 0.4], ["a", "a"])
    assert (interval.low, interval.estimate, interval.high) == pytest.approx((0.3, 0.3, 0.3))


def test_values_without_patients_no_values_and_nan_are_refused() -> None:
    with pytest.raises(InputError, match="one patient a value"):
        bootstrap_ci([0.1, 0.2], ["a"])
    for function in (summarize, lambda values: bootstrap_ci(values, ["a"] * len(values))):
        with pytest.raises(InputError, match="at least one"):
            function([])
        with pytest.raises(InputError, match="finite"):
            function([0.1, float("nan")])


def test_a_summary_by_hand() -> None:
    summary = summarize([1.0, 2.0, 3.0, 6.0])
    assert (summary.count, summary.mean, summary.median) == (4, 3.0, 2.5)
    # Deviations -2, -1, 0, 3: 14 over n - 1.
    assert summary.sd == pytest.approx((14 / 3) ** 0.5)
    assert (summary.q1, summary.q3) == (1.75, 3.75)
    assert summary.mean_sd == "3.000 ± 2.160"
    assert summary.median_iqr == "2.500 [1.750, 3.750]"


def test_one_value_has_no_spread() -> None:
    summary = summarize([0.5])
    assert (summary.sd, summary.q1, summary.q3) == (0.0, 0.5, 0.5)


def test_the_auc_counts_pairs_ties_half() -> None:
    # Lesion-bearing cases score 3 and 1, the others 2 and 1: of four pairs two are right, one is a tie.
    assert roc_auc([3, 1, 2, 1], [True, True, False, False]) == pytest.approx(2.5 / 4)
    assert roc_auc([1, 2], [True, True]) is None
    assert roc_auc([1, 2], [False, False]) is None
    with pytest.raises(InputError, match="one truth a score"):
        roc_auc([1, 2], [True])


def test_the_auc_of_a_hundred_thousand_voxels_needs_no_table_of_all_pairs() -> None:
    # Each wrong voxel scores above the right ones with smaller numbers: half of them and half a tie on the average.
    scores = np.repeat(np.arange(50_000), 2)
    wrong = np.tile([True, False], 50_000)
    assert roc_auc(scores, wrong.tolist()) == pytest.approx(0.5)
    assert roc_auc(scores + wrong, wrong.tolist()) == pytest.approx(0.5 + 1 / 50_000 - 0.5 / 50_000**2)


def test_the_interval_of_a_mean_is_that_of_any_other_way_to_say_mean() -> None:
    rng = np.random.default_rng(3)
    values, patients = rng.normal(size=9), ["a", "b", "b", "c", "c", "c", "d", "e", "e"]
    quick = bootstrap_ci(values, patients)
    plain = bootstrap_ci(values, patients, statistic=lambda drawn: drawn.sum() / drawn.size)
    assert (quick.low, quick.high) == pytest.approx((plain.low, plain.high))
    assert quick.low < quick.high

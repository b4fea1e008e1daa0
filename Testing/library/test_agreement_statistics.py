"""Statistics of agreement against the worked examples of the papers that define them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from StrokeSegLib.agreement.bland_altman import bland_altman
from StrokeSegLib.agreement.icc import icc_2_1
from StrokeSegLib.agreement.kappa import class_counts, cohen_kappa, fleiss_kappa
from StrokeSegLib.agreement.reader_errors import mcnemar_p, reader_errors
from StrokeSegLib.agreement.resampling import bootstrap_cases_ci
from StrokeSegLib.errors import InputError
from StrokeSegLib.training.reader_study import CASES, MODEL_ERRORS, READER_ERRORS, reader_study_table

#: Shrout and Fleiss 1979, Table 2: six targets, four judges.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
#: Bland and Altman 1986, Table 1: first reading of each meter, l/min.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI_WRIGHT = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
#: Fleiss 1971, Table 1: thirty patients, six psychiatrists each; depression, personality disorder, schizophrenia,
#: neurosis, other, as counts.
DIAGNOSES = np.array([
    [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0], [2, 0, 4, 0, 0],
    [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6], [1, 0, 0, 5, 0], [1, 1, 0, 4, 0],
    [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1], [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0],
    [0, 2, 0, 4, 0], [1, 0, 2, 0, 3], [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0],
    [1, 0, 0, 4, 1], [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
])  # fmt: skip


def paired(table: list[list[int]]) -> tuple[list[int], list[int]]:
    """Two raters' classes, case by case, from a table of counts (first rater by row)."""
    cells = [(r, c) for r, row in enumerate(table) for c, n in enumerate(row) for _ in range(n)]
    return [r for r, _ in cells], [c for _, c in cells]


def test_icc_of_shrout_and_fleiss() -> None:
    found = icc_2_1(SHROUT_FLEISS)
    assert found is not None
    assert found.estimate == pytest.approx(0.29, abs=0.005)  # Shrout and Fleiss 1979, Table 4
    # The interval that psych::ICC of R prints for this table.
    assert (found.low, found.high) == pytest.approx((0.019, 0.76), abs=0.005)


def test_icc_by_hand_sees_a_rater_who_measures_more() -> None:
    # Three cases, two raters, the second always 1 more: BMS 2, JMS 1.5, EMS 0; ICC = 2 / (2 + 2 * 1.5 / 3) = 2/3.
    found = icc_2_1(np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]]))
    assert found is not None
    assert found.estimate == pytest.approx(2 / 3)
    same = icc_2_1(np.array([[1.0, 1.0], [2.0, 2.0]]))
    assert same is not None
    assert same.estimate == 1
    assert icc_2_1(np.zeros((4, 3))) is None
    assert icc_2_1(np.array([[0.0, 1.0], [1.0, 0.0]])) is None
    no_cases = icc_2_1(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]))  # raters differ, cases do not
    assert no_cases is not None
    assert no_cases.estimate == no_cases.low == no_cases.high == 0
    with pytest.raises(InputError, match="2 or more cases"):
        icc_2_1(np.array([[1.0, 2.0]]))


def test_icc_interval_covers_a_known_truth_about_as_often_as_it_says() -> None:
    # Cases' variance 4, raters' 0.25, error 1: the true ICC(2,1) is 4 / 5.25.
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        values = rng.normal(0, 2, (20, 1)) + rng.normal(0, 0.5, (1, 5)) + rng.normal(0, 1, (20, 5))
        found = icc_2_1(values)
        assert found is not None
        inside += found.low <= 4 / 5.25 <= found.high
    assert stats.binom.cdf(inside, 200, 0.95) > 1e-4


def test_bland_and_altman_of_peak_flow() -> None:
    found = bland_altman(WRIGHT, MINI_WRIGHT, limits_sd=2)  # the paper rounds 1.96 to 2
    # As printed in Lancet 1986;1:307-310, which goes on with the rounded SD.
    assert found.bias.estimate == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    assert (found.bias.low, found.bias.high) == pytest.approx((-22.0, 17.8), abs=0.05)
    assert (found.lower.estimate, found.upper.estimate) == pytest.approx((-79.7, 75.5), abs=0.1)
    assert (found.lower.low, found.lower.high) == pytest.approx((-114.3, -45.1), abs=0.2)
    assert (found.upper.low, found.upper.high) == pytest.approx((40.9, 110.1), abs=0.2)
    usual = bland_altman(WRIGHT, MINI_WRIGHT)
    assert usual.upper.estimate - usual.lower.estimate == pytest.approx(2 * 1.96 * found.sd)
    with pytest.raises(InputError, match="2 or more cases"):
        bland_altman([1.0], [2.0])


def test_fleiss_kappa_of_the_thirty_diagnoses() -> None:
    assert DIAGNOSES.sum(axis=0).tolist() == [26, 26, 30, 55, 43]  # the paper's column totals
    assert fleiss_kappa(DIAGNOSES) == pytest.approx(0.430, abs=0.0005)
    assert fleiss_kappa(DIAGNOSES) == pytest.approx(0.4302445, abs=1e-7)  # kappam.fleiss of R's irr


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        ([[20, 5], [10, 15]], 0.4),  # by hand: (0.7 - 0.5) / (1 - 0.5)
        ([[45, 15], [25, 15]], 0.1304),  # by hand: (0.60 - 0.54) / 0.46
        ([[25, 35], [5, 35]], 0.2593),  # by hand: (0.60 - 0.46) / 0.54
        ([[0, 4, 1], [0, 8, 0], [0, 1, 5]], 0.4842),  # SAS PROC FREQ, as statsmodels quotes it
    ],
)
def test_cohen_kappa_of_known_tables(table: list[list[int]], kappa: float) -> None:
    assert cohen_kappa(*paired(table)) == pytest.approx(kappa, abs=5e-5)


def test_kappa_where_it_is_not_defined() -> None:
    assert cohen_kappa(["healthy"] * 3, ["healthy"] * 3) is None
    assert fleiss_kappa(np.array([[3, 0], [3, 0]])) is None
    assert cohen_kappa(["a", "b"], ["a", "b"]) == 1
    assert cohen_kappa(["a", "b"], ["b", "a"]) == -1
    with pytest.raises(InputError, match="same cases"):
        cohen_kappa(["a"], [])
    with pytest.raises(InputError, match="same two or more raters"):
        fleiss_kappa(np.array([[2, 1], [1, 1]]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=2, max_size=30))
def test_both_kappas_are_one_only_for_full_agreement(pairs: list[tuple[str, str]]) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    for kappa in (cohen_kappa(one, other), fleiss_kappa(class_counts(pairs))):
        assert kappa is None or kappa <= 1
        if kappa is not None:
            assert (kappa == pytest.approx(1)) == (one == other)


def test_bootstrap_draws_patients_not_cases() -> None:
    values = np.array([0.0, 0.0, 0.0, 1.0])
    draws: list[int] = []

    def mean(drawn: np.ndarray) -> float:
        draws.append(len(drawn))
        return float(values[drawn].mean())

    found = bootstrap_cases_ci(mean, ["a", "a", "a", "b"], resamples=200)
    assert found == [0, 1]  # patient a alone gives 0, b alone 1
    assert set(draws) == {6, 4, 2}
    assert bootstrap_cases_ci(mean, ["a"] * 4) is None
    assert bootstrap_cases_ci(lambda drawn: None, ["a", "b"]) is None
    assert bootstrap_cases_ci(lambda drawn: 1.0, ["a", "b"]) is None  # says nothing about the next cases


def test_reader_errors_are_those_of_the_paper_where_the_counts_are() -> None:
    names = [f"case-{n:03d}" for n in range(CASES)]
    reference = dict.fromkeys(names, "healthy")

    def wrong_in(first: int, count: int) -> dict[str, str]:
        return {name: "ischemic" if first <= n < first + count else "healthy" for n, name in enumerate(names)}

    readers = {f"reader-{n:02d}": wrong_in(100, errors) for n, errors in enumerate(READER_ERRORS)}
    found = reader_errors(readers, wrong_in(0, MODEL_ERRORS), reference)
    expected = reader_study_table()
    assert [row.errors for row in found] == list(READER_ERRORS)
    assert [row.p for row in found] == pytest.approx([row.p for row in expected])
    assert [row.p_holm for row in found] == pytest.approx([row.p_holm for row in expected])
    assert [row.verdict for row in found] == [row.verdict for row in expected]
    assert all(row.only_reader == row.errors and row.only_model == MODEL_ERRORS for row in found)


def test_mcnemar_sees_pairs_that_fisher_does_not() -> None:
    # Ten cases wrong by the reader alone, none by the model alone: 2 * 0.5 ** 10.
    assert mcnemar_p(10, 0) == pytest.approx(2 / 1024)
    assert mcnemar_p(0, 0) == mcnemar_p(3, 3) == 1
    names = [str(n) for n in range(40)]
    reference = dict.fromkeys(names, "healthy")
    model = {name: "ischemic" if n < 15 else "healthy" for n, name in enumerate(names)}
    reader = {name: "ischemic" if n < 22 else "healthy" for n, name in enumerate(names)}
    (row,) = reader_errors({"A": reader}, model, reference)
    assert (row.only_reader, row.only_model) == (7, 0)
    assert row.p_mcnemar < 0.05 < row.p


def test_reader_errors_take_only_cases_that_all_three_have() -> None:
    reference = {"a": "healthy", "b": "ischemic"}
    (row,) = reader_errors({"A": {"b": "healthy", "c": "healthy"}, "B": {"c": "healthy"}}, {"b": "ischemic"}, reference)
    assert (row.reader, row.cases, row.errors, row.model_errors) == ("A", 1, 1, 0)

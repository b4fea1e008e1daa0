"""The papers' tables as data, and the arithmetic that finds what is wrong in them; the reader study from its counts."""

from __future__ import annotations

import pytest

from StrokeSegLib.errors import InputError
from StrokeSegLib.training.reader_study import CASES, MODEL_ERRORS, PRINTED_P, reader_study_lines, reader_study_table
from StrokeSegLib.training.tables import (
    DIFFUSION_RESULTS,
    NONCONTRAST_ABLATION,
    NONCONTRAST_OVERLAP,
    PERFUSION_OTHERS,
    PERFUSION_RESULTS,
    PROJECTIONS_DICE,
    PROJECTIONS_VALIDATION,
    PUBLISHED,
    Published,
    Table,
)

ALL = [table for tables in PUBLISHED.values() for table in tables]


def mean(table: Table, row: str, column: str) -> float:
    return table.number(row, column).mean


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.title)
def test_every_table_is_whole_and_says_what_is_wrong_with_it(table: Table) -> None:
    assert table.notes
    for name, numbers in table.rows.items():
        assert len(numbers) == len(table.columns), name
        for column, number in zip(table.columns, numbers, strict=True):
            assert number is None or column == "seconds" or 0 < number.mean < 1, (name, column)


def test_one_jaccard_of_the_perfusion_paper_is_impossible_the_others_are_not() -> None:
    # Of one case J = D / (2 - D), a convex curve below D: a mean of J lies between the curve and the mean D.
    impossible = []
    for row in PERFUSION_RESULTS.rows:
        d, j = mean(PERFUSION_RESULTS, row, "dice"), mean(PERFUSION_RESULTS, row, "jaccard")
        if not d / (2 - d) - 0.005 <= j <= d + 0.005:
            impossible.append(row)
    assert impossible == ["proposed, test"]
    assert 0.58 / (2 - 0.58) == pytest.approx(0.408, abs=5e-4)
    # A loss of 0.618 that is 1 - IoU.
    iou = 1 - 0.618
    assert 2 * iou / (1 + iou) == pytest.approx(0.553, abs=5e-4)


def test_both_tables_of_the_perfusion_paper_agree_on_its_own_network() -> None:
    for column in PERFUSION_OTHERS.columns:
        assert mean(PERFUSION_OTHERS, "Proposed", column) == mean(PERFUSION_RESULTS, "proposed, test", column)


def test_the_steps_of_the_noncontrast_paper_add_up_to_its_best_row() -> None:
    dices = [mean(NONCONTRAST_ABLATION, row, "dice") for row in NONCONTRAST_ABLATION.rows]
    assert dices == sorted(dices)
    assert dices[1] - dices[0] == pytest.approx(0.003)  # the text says 0.4%
    best = list(NONCONTRAST_ABLATION.rows.values())[-1]
    assert NONCONTRAST_OVERLAP.rows["25%"][1:] == best


def test_the_overlap_of_the_noncontrast_paper_costs_what_its_windows_cost() -> None:
    def windows(overlap: float) -> int:
        step, count = round(128 * (1 - overlap)), 1
        for length in (300, 370, 270):
            count *= -(-(length - 128) // step) + 1
        return count

    assert [windows(overlap) for overlap in (0.25, 0.5, 0.75)] == [36, 80, 378]
    seconds = [mean(NONCONTRAST_OVERLAP, row, "seconds") for row in ("25%", "50%", "75%")]
    assert [s / seconds[0] for s in seconds] == pytest.approx([1, 80 / 36, 378 / 36], rel=0.12)
    gain = mean(NONCONTRAST_OVERLAP, "75%", "dice") - mean(NONCONTRAST_OVERLAP, "25%", "dice")
    assert gain < NONCONTRAST_OVERLAP.number("25%", "dice").sd


def test_the_precision_of_the_diffusion_paper_would_need_a_poor_sensitivity() -> None:
    d, p = mean(DIFFUSION_RESULTS, "proposed", "dice"), mean(DIFFUSION_RESULTS, "proposed", "precision")
    assert d * p / (2 * p - d) == pytest.approx(0.473, abs=5e-4)
    with pytest.raises(KeyError):
        DIFFUSION_RESULTS.number("CSNet", "accuracy")


def test_two_rows_of_the_projections_paper_are_no_mean_of_their_parts() -> None:
    blood, infarct = PROJECTIONS_VALIDATION["hemorrhage"], PROJECTIONS_VALIDATION["ischemia"]
    wrong = {}
    for row in PROJECTIONS_DICE.rows:
        parts = [mean(PROJECTIONS_DICE, row, column) for column in ("hemorrhage", "ischemia")]
        expected = (blood * parts[0] + infarct * parts[1]) / (blood + infarct)
        if abs(expected - mean(PROJECTIONS_DICE, row, "both")) > 0.0015:
            wrong[row] = round(expected, 3)
    assert wrong == {"OOF ensemble, new data": 0.535, "coronal": 0.452}
    assert mean(PROJECTIONS_DICE, "OOF ensemble, new data", "both") > 0.5573  # above the better of its parts


def test_numbers_read_as_printed() -> None:
    assert str(Published(0.628, 0.033)) == "0.628 ± 0.033"
    assert str(Published(45)) == "45"


def test_the_reader_study_from_its_counts() -> None:
    rows = reader_study_table()
    # As printed, but that 1 is printed as 0.999, and 0.0363 as 0.037.
    assert [row.p for row in rows] == pytest.approx(PRINTED_P, abs=1.01e-3)
    assert sum(row.p < 0.05 for row in rows) == 7
    assert sorted(row.errors for row in rows if row.verdict == "worse") == [23, 25, 33]
    assert not any(row.verdict == "better" for row in rows)
    assert 1 - MODEL_ERRORS / CASES == pytest.approx(0.961, abs=5e-4)


def test_a_reader_who_is_better_is_called_better() -> None:
    (row,) = reader_study_table([0], model_errors=20, cases=100)
    assert row.verdict == "better"
    with pytest.raises(InputError, match="errors"):
        reader_study_table([181])


def test_the_study_in_words_says_what_the_correction_leaves() -> None:
    lines = reader_study_lines()
    assert "7 of 10 readers as the paper counts, 3 after correction" in lines[-1]
    assert len(lines) == 13

"""Table 2 of the DPN92-UNet paper from its counts: errors of ten readers against the model's, with Fisher's test.

Ten comparisons at 5% find a difference by chance in four studies of ten. The paper does not correct for that; Holm's
method does, and leaves three of its seven differences standing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from StrokeSegLib.statistics import fisher_p, holm

#: Cases that each reader and the model told apart: 60 with ischemia, 60 with hemorrhage, 60 without either.
CASES = 180
MODEL_ERRORS = 7
READER_ERRORS = (6, 15, 8, 19, 33, 23, 25, 18, 19, 19)
#: As printed; 0.037 should read 0.036, and 0.999 stands for 1.
PRINTED_P = (0.999, 0.122, 0.999, 0.024, 0.001, 0.004, 0.001, 0.037, 0.024, 0.024)


@dataclass(frozen=True)
class ReaderRow:
    """One reader against the model.

    Attributes:
        reader: Number, from 1.
        errors, error_rate: Wrong cases, and their part of all, 0-1.
        p: Two-sided, of Fisher's exact test.
        p_holm: Corrected for the number of readers.
        verdict: ``worse`` or ``better`` than the model where ``p_holm`` is below 0.05, else ``no difference shown``.
    """

    reader: int
    errors: int
    error_rate: float
    p: float
    p_holm: float
    verdict: str


def reader_study_table(
    reader_errors: Sequence[int] = READER_ERRORS, model_errors: int = MODEL_ERRORS, cases: int = CASES
) -> tuple[ReaderRow, ...]:
    """Each reader's errors against the model's.

    Fisher's test takes both to have read different cases, as the paper does; they read the same, for which McNemar's
    test would serve, but that needs to know which cases were wrong.

    Raises:
        InputError: More errors than cases.
    """
    p_values = [fisher_p(errors, cases, model_errors, cases) for errors in reader_errors]
    rows = zip(reader_errors, p_values, holm(p_values), strict=True)
    return tuple(
        ReaderRow(number, errors, errors / cases, p, p_holm, _verdict(errors, model_errors, p_holm))
        for number, (errors, p, p_holm) in enumerate(rows, start=1)
    )


def reader_study_lines() -> list[str]:
    """The paper's study as text, a line a reader."""
    rows = reader_study_table()
    lines = [
        f"{CASES} cases; the model was wrong in {MODEL_ERRORS}, right in {1 - MODEL_ERRORS / CASES:.1%}",
        "reader  errors  rate    p        p (Holm)  p printed  against the model",
    ]
    lines += [
        f"{row.reader:<7} {row.errors:<7} {row.error_rate:<7.3f} {_p(row.p):<8} {_p(row.p_holm):<9} {printed:<10.3f} "
        f"{row.verdict}"
        for row, printed in zip(rows, PRINTED_P, strict=True)
    ]
    uncorrected = sum(row.p < 0.05 for row in rows)
    corrected = sum(row.verdict == "worse" for row in rows)
    lines.append(
        f"worse than the model: {uncorrected} of {len(rows)} readers as the paper counts, {corrected} after correction "
        f"for {len(rows)} comparisons (Holm)"
    )
    return lines


def _verdict(errors: int, model_errors: int, p_holm: float) -> str:
    if p_holm >= 0.05:
        return "no difference shown"
    return "worse" if errors > model_errors else "better"


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"

"""Intraclass correlation of a measurement that several raters took of the same cases."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.statistics import Interval

#: Fewer cases leave no freedom to tell cases from error.
MIN_CASES, MIN_RATERS = 2, 2


def icc_2_1(values: NDArray[Any]) -> Interval | None:
    """ICC(2,1): two-way random effects, absolute agreement, one rater, with its 95% confidence interval.

    Estimate of Shrout and Fleiss (Psychol Bull 1979;86:420-428), interval of McGraw and Wong (Psychol Methods
    1996;1:30-46, ICC(A,1), Table 7). A rater who always measures 5 mL too much lowers it, as he should.

    Args:
        values: ``(cases, raters)``, every rater's measurement of every case.

    Returns:
        Estimate (at most 1, may be below 0) and interval; None where no value differs from another, or two raters of
        two cases leave nothing to divide by. Where all raters agree perfectly, and where no two cases differ, the
        interval has no width and says nothing.

    Raises:
        InputError: Fewer than two cases or raters, or a value is not finite.
    """
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or table.shape[0] < MIN_CASES or table.shape[1] < MIN_RATERS or not np.isfinite(table).all():
        raise InputError(f"ICC(2,1) needs finite values of 2 or more cases by 2 or more raters, got {table.shape}")
    n, k = table.shape
    grand = table.mean()
    of_cases = k * float(((table.mean(axis=1) - grand) ** 2).sum()) / (n - 1)
    of_raters = n * float(((table.mean(axis=0) - grand) ** 2).sum()) / (k - 1)
    total = float(((table - grand) ** 2).sum())
    left = max(total - of_cases * (n - 1) - of_raters * (k - 1), 0.0)
    error = left / ((n - 1) * (k - 1))
    spread = of_cases + (k - 1) * error + k * (of_raters - error) / n
    if total <= 1e-12 * max(1.0, abs(grand)) ** 2 or spread <= 1e-12 * total:
        return None
    icc = (of_cases - error) / spread
    if of_raters + error <= 1e-12 * total:
        return Interval(icc, icc, icc)
    low, high = _limits(icc, of_cases, of_raters, error, n, k)
    return Interval(icc, low, high)


def _limits(icc: float, of_cases: float, of_raters: float, error: float, n: int, k: int) -> tuple[float, float]:
    """95% limits; ``of_cases``, ``of_raters`` and ``error`` are mean squares."""
    from scipy import stats  # slow to import

    a = k * icc / (n * (1 - icc)) if icc < 1 else np.inf
    b = 1 + k * icc * (n - 1) / (n * (1 - icc)) if icc < 1 else np.inf
    by_raters, by_error = a * of_raters, b * error
    if by_raters + by_error == 0:
        return icc, icc
    freedom = (by_raters + by_error) ** 2 / (by_raters**2 / (k - 1) + by_error**2 / ((n - 1) * (k - 1)))
    f_low = float(stats.f.ppf(0.975, n - 1, freedom))
    f_high = float(stats.f.ppf(0.975, freedom, n - 1))
    shared = k * of_raters + (k * n - k - n) * error
    low = n * (of_cases - f_low * error) / (f_low * shared + n * of_cases)
    high = n * (f_high * of_cases - error) / (shared + n * f_high * of_cases)
    return low, high

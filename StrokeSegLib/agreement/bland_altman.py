"""Bland and Altman's way to compare two measurements: the mean difference, and where most differences lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from StrokeSegLib.errors import InputError
from StrokeSegLib.statistics import Interval

#: Between the limits lie 95% of normal differences.
LIMITS_SD = 1.96


@dataclass(frozen=True)
class BlandAltman:
    """Differences of two raters' measurements of the same cases, first minus second.

    Attributes:
        count: Number of cases.
        bias: Mean difference, with its 95% confidence interval.
        sd: Standard deviation of the differences.
        lower, upper: Limits of agreement, each with its 95% confidence interval.
    """

    count: int
    bias: Interval
    sd: float
    lower: Interval
    upper: Interval


def bland_altman(first: ArrayLike, second: ArrayLike, *, limits_sd: float = LIMITS_SD) -> BlandAltman:
    """Bias and limits of agreement (Lancet 1986;1:307-310).

    The intervals are the paper's: t times ``SD / sqrt(n)`` for the bias, ``SD * sqrt(3 / n)`` for a limit. They take
    the differences to be about normal; volumes that spread over decades are not, so look at the plot.

    Args:
        first, second: One value a case, in one order.
        limits_sd: Standard deviations from the bias to a limit; the paper rounds 1.96 to 2.

    Raises:
        InputError: Fewer than two cases, the numbers of values differ, or a value is not finite.
    """
    one, other = np.asarray(first, np.float64).ravel(), np.asarray(second, np.float64).ravel()
    if one.size != other.size or one.size < 2 or not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise InputError(f"Bland-Altman needs 2 or more cases of both raters, got {one.size} and {other.size} values")
    from scipy import stats  # slow to import

    differences = one - other
    n, bias, sd = one.size, float(differences.mean()), float(differences.std(ddof=1))
    t = float(stats.t.ppf(0.975, n - 1))
    lower, upper = (_around(bias + side * limits_sd * sd, t * sd * math.sqrt(3 / n)) for side in (-1, 1))
    return BlandAltman(n, _around(bias, t * sd / math.sqrt(n)), sd, lower, upper)


def _around(estimate: float, half_width: float) -> Interval:
    return Interval(estimate, estimate - half_width, estimate + half_width)

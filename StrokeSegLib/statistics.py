"""From cases to claims: accuracy, summaries, intervals over patients, and tests corrected for their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from StrokeSegLib.errors import InputError


@dataclass(frozen=True)
class Summary:
    """What a table prints of the values of many cases.

    Attributes:
        count: Number of values.
        mean: Their mean.
        sd: Standard deviation with ``count - 1`` below; 0 for one value.
        median: The 50th percentile.
        q1: The 25th percentile, interpolated linearly.
        q3: The 75th.
    """

    count: int
    mean: float
    sd: float
    median: float
    q1: float
    q3: float

    @property
    def mean_sd(self) -> str:
        """As in ``0.628 ± 0.033``."""
        return f"{self.mean:.3f} ± {self.sd:.3f}"

    @property
    def median_iqr(self) -> str:
        """As in ``0.650 [0.601, 0.702]``, between the brackets the quartiles."""
        return f"{self.median:.3f} [{self.q1:.3f}, {self.q3:.3f}]"


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval."""

    estimate: float
    low: float
    high: float


def accuracy(prediction: NDArray[Any], truth: NDArray[Any]) -> float:
    """Part of all voxels that are right, 0-1, where non-zero is lesion. Both empty: 1.

    An empty prediction scores nearly 1 on a small lesion: print its accuracy beside any other.

    Raises:
        InputError: The shapes differ.
    """
    hits, rejections, _, size = _counts(prediction, truth)
    return (hits + rejections) / size if size else 1.0


def balanced_accuracy(prediction: NDArray[Any], truth: NDArray[Any]) -> float:
    """Mean of sensitivity and specificity, 0-1, with their conventions in ``metrics`` for empty masks.

    Both empty: 1. Truth alone empty: half the specificity. Prediction alone empty: 0.5.

    Raises:
        InputError: The shapes differ.
    """
    hits, rejections, true, size = _counts(prediction, truth)
    sensitivity = hits / true if true else float(rejections == size)
    specificity = rejections / (size - true) if size > true else 1.0
    return (sensitivity + specificity) / 2


def summarize(values: ArrayLike) -> Summary:
    """Mean, SD, median and quartiles of the values of many cases.

    Raises:
        InputError: There is no value, or one is not finite.
    """
    numbers = _finite(values)
    q1, median, q3 = (float(q) for q in np.percentile(numbers, [25, 50, 75]))
    sd = float(numbers.std(ddof=1)) if numbers.size > 1 else 0.0
    return Summary(numbers.size, float(numbers.mean()), sd, median, q1, q3)


def bootstrap_ci(
    values: ArrayLike,
    patients: Sequence[object],
    *,
    statistic: Callable[[NDArray[np.float64]], Any] = np.mean,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """95% percentile bootstrap interval of a statistic over cases, drawn patient by patient.

    All cases of a drawn patient come together, since they are not independent. The order of the cases does not matter.
    One patient alone gives an interval of no width, which says nothing.

    Args:
        values: One a case.
        patients: The patient of each case.
        statistic: From values to one number.
        resamples: Number of draws.
        seed: Of the draws.

    Raises:
        InputError: There is no value, one is not finite, or patients and values differ in number.
    """
    numbers = _finite(values)
    if len(patients) != numbers.size:
        raise InputError(f"bootstrap needs one patient a value, got {len(patients)} patients and {numbers.size} values")
    names, number_of = np.unique([str(patient) for patient in patients], return_inverse=True)
    cases = [numbers[number_of == n] for n in range(len(names))]
    draws = np.random.default_rng(seed).integers(0, len(cases), (resamples, len(cases)))
    if statistic is np.mean:  # the same in one go: a draw's sum by its number of cases
        sums, counts = (np.array([of(case) for case in cases]) for of in (np.sum, np.size))
        drawn = (sums[draws].sum(axis=1) / counts[draws].sum(axis=1)).tolist()
    else:
        drawn = [float(statistic(np.concatenate([cases[n] for n in draw]))) for draw in draws]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(statistic(numbers)), float(low), float(high))


def roc_auc(scores: ArrayLike, truths: Sequence[bool]) -> float | None:
    """Chance that a case with a lesion scores higher than one without, ties counted half (area under the ROC curve).

    Args:
        scores: One a case.
        truths: Whether the case holds a lesion.

    Returns:
        0-1; None where all cases or no case hold a lesion.

    Raises:
        InputError: A score is not finite, or scores and truths differ in number.
    """
    numbers, true = _finite(scores), np.asarray(truths, bool)
    if len(true) != numbers.size:
        raise InputError(f"an AUC needs one truth a score, got {len(true)} truths and {numbers.size} scores")
    if true.all() or not true.any():
        return None
    # By ranks, which share a place where scores tie: comparing all pairs of 10,000s of voxels would take gigabytes.
    with_lesion, without = int(true.sum()), int((~true).sum())
    _, place, count = np.unique(numbers, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    above = float(rank[true].sum()) - with_lesion * (with_lesion + 1) / 2
    return above / (with_lesion * without)


def fisher_p(errors: int, cases: int, other_errors: int, other_cases: int) -> float:
    """Two-sided p value of Fisher's exact test that two error rates are alike.

    Raises:
        InputError: Errors are negative or more than cases, or there is no case.
    """
    for wrong, count in ((errors, cases), (other_errors, other_cases)):
        if not 0 <= wrong <= count or count < 1:
            raise InputError(f"got {wrong} errors in {count} cases; needed 0 or more errors, at most one a case")
    from scipy import stats  # slow to import, and nothing else here needs it

    table = [[errors, cases - errors], [other_errors, other_cases - other_errors]]
    return float(stats.fisher_exact(table)[1])


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the given order: those below 0.05 stand although several tests were made.

    Raises:
        InputError: A p value is not in 0-1.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise InputError(f"a p value must lie in 0-1, got {list(p_values)}")
    order = sorted(range(len(p_values)), key=lambda n: p_values[n])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, n in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[n]))
        adjusted[n] = largest
    return adjusted


def _counts(prediction: NDArray[Any], truth: NDArray[Any]) -> tuple[int, int, int, int]:
    """Voxels that are rightly lesion, that are rightly background, that are truly lesion, and all."""
    if prediction.shape != truth.shape:
        raise InputError(
            f"prediction and truth need one shape, got {prediction.shape} and {truth.shape}; resample one to the other"
        )
    predicted, true = prediction != 0, truth != 0
    hits, rejections = np.count_nonzero(predicted & true), np.count_nonzero(~predicted & ~true)
    return int(hits), int(rejections), int(np.count_nonzero(true)), truth.size


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    numbers = np.asarray(values, np.float64).ravel()
    if not numbers.size:
        raise InputError("got no value to summarize; needed at least one")
    if not np.isfinite(numbers).all():
        raise InputError(f"got {int((~np.isfinite(numbers)).sum())} values that are not finite; leave those cases out")
    return numbers

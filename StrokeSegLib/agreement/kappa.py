"""Agreement on a class beyond chance: Cohen's kappa for two raters, Fleiss' for more.

Where all raters give all cases one and the same class, chance alone would agree as well and kappa is 0/0: both
functions return None then, not 1.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's kappa, unweighted (Educ Psychol Meas 1960;20:37-46).

    Args:
        first, second: The classes that two raters gave the same cases, in one order.

    Returns:
        At most 1; 0 is what chance gives; None where it is not defined.

    Raises:
        InputError: The two differ in number, or there is no case.
    """
    if len(first) != len(second) or not first:
        raise InputError(f"kappa needs the same cases of two raters, got {len(first)} and {len(second)} classes")
    observed = sum(one == other for one, other in zip(first, second, strict=True)) / len(first)
    chance = sum(list(first).count(kind) * list(second).count(kind) for kind in set(first)) / len(first) ** 2
    return _beyond_chance(observed, chance)


def fleiss_kappa(counts: NDArray[Any]) -> float | None:
    """Fleiss' kappa (Psychol Bull 1971;76:378-382).

    Args:
        counts: ``(cases, classes)``: how many raters gave the case the class; each case has the same number of raters.

    Returns:
        At most 1; 0 is what chance gives; None where it is not defined.

    Raises:
        InputError: There is no case, fewer than two raters, or their number differs between cases.
    """
    table = np.asarray(counts, np.float64)
    raters = table.sum(axis=1) if table.ndim == 2 and table.size else np.zeros(0)
    if not raters.size or raters.min() != raters.max() or raters[0] < 2:
        raise InputError("Fleiss' kappa needs a table of cases by classes with the same two or more raters in each row")
    n = raters[0]
    observed = float(((table**2).sum(axis=1) - n).mean() / (n * (n - 1)))
    chance = float((table.mean(axis=0) / n) @ (table.mean(axis=0) / n))
    return _beyond_chance(observed, chance)


def class_counts(classes: Sequence[Sequence[Hashable]]) -> NDArray[np.int64]:
    """The table that ``fleiss_kappa`` takes.

    Args:
        classes: One row a case, one class a rater.
    """
    kinds = sorted({kind for row in classes for kind in row}, key=str)
    return np.array([[list(row).count(kind) for kind in kinds] for row in classes], np.int64)


def _beyond_chance(observed: float, chance: float) -> float | None:
    return None if chance > 1 - 1e-12 else (observed - chance) / (1 - chance)

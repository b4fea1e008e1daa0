"""Bootstrap intervals of numbers that only a whole set of cases has, such as kappa."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError

#: An interval needs at least this part of the draws to have the number at all.
MIN_DEFINED = 0.9


def bootstrap_cases_ci(
    statistic: Callable[[NDArray[np.intp]], float | None],
    patients: Sequence[object],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[float] | None:
    """95% percentile interval over patients; all cases of a drawn patient come together.

    Args:
        statistic: From the numbers of the drawn cases, with repeats, to a number; None where it is not defined.
        patients: The patient of each case.
        resamples: Number of draws.
        seed: Of the draws.

    Returns:
        None for one patient, where all draws give one number, or where more than a tenth of the draws leave the number
        undefined.

    Raises:
        InputError: There is no case.
    """
    if not patients:
        raise InputError("got no case to draw from; needed at least one")
    names, number_of = np.unique([str(patient) for patient in patients], return_inverse=True)
    if len(names) < 2:
        return None
    cases = [np.flatnonzero(number_of == n) for n in range(len(names))]
    draws = np.random.default_rng(seed).integers(0, len(cases), (resamples, len(cases)))
    drawn = [statistic(np.concatenate([cases[n] for n in draw])) for draw in draws]
    defined = [value for value in drawn if value is not None]
    if len(defined) < MIN_DEFINED * resamples:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    # No draw differs from another where all agree on all cases: that few cases do so makes nothing certain.
    return [float(low), float(high)] if high > low else None

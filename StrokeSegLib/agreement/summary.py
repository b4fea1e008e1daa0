"""From cases to the numbers of pairs and groups, each with how many cases stand behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from StrokeSegLib.agreement.bland_altman import bland_altman
from StrokeSegLib.agreement.icc import icc_2_1
from StrokeSegLib.agreement.kappa import class_counts, cohen_kappa, fleiss_kappa
from StrokeSegLib.agreement.pairs import PairScore
from StrokeSegLib.agreement.ratings import CLASSES
from StrokeSegLib.agreement.resampling import bootstrap_cases_ci
from StrokeSegLib.statistics import Interval, bootstrap_ci, summarize

#: Rater -> case -> class, or volume in mL.
Classes = Mapping[str, Mapping[str, str]]
Volumes = Mapping[str, Mapping[str, float]]
METRICS = ("dice", "lesion_f1", "assd_mm", "hd95_mm")


def pair_summary(
    pair: tuple[str, str], scores: Sequence[PairScore], labels: Mapping[int, str], classes: Classes,
    patients: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """Everything about two raters.

    Args:
        pair: Their names.
        scores: Those of this pair, all cases and labels.
        labels: Value -> name.
        classes: Of all raters.
        patients: Case -> patient.
    """
    cases = sorted({one.case_id for one in scores})
    grids = {one.case_id for one in scores if one.same_grid}
    return {
        "first": pair[0],
        "second": pair[1],
        "cases": len(cases),
        "cases_on_one_grid": len(grids),
        "class": _cohen(pair, classes, patients),
        "labels": [
            _pair_label(value, name, [one for one in scores if one.label == value], patients)
            for value, name in labels.items()
        ],
    }


def group_summary(
    raters: Sequence[str], volumes: Mapping[int, Volumes], labels: Mapping[int, str], classes: Classes,
    scores: Sequence[PairScore], patients: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """Everything about two or more raters together; kappa and ICC take the cases that all of them rated.

    Args:
        raters: Their names.
        volumes: Label -> rater -> case -> mL.
        labels: Value -> name.
        classes: Rater -> case -> class.
        scores: Of all pairs.
        patients: Case -> patient.
    """
    inside = [one for one in scores if {one.first, one.second} <= set(raters)]
    by_label = []
    for value, name in labels.items():
        values = [one.dice for one in inside if one.label == value and one.dice is not None]
        complete = complete_cases(raters, volumes[value])
        by_label.append(
            {
                "value": value,
                "name": name,
                "mean_pairwise_dice": float(np.mean(values)) if values else None,
                "pairwise_dice_comparisons": len(values),
                "icc_2_1": _icc([[volumes[value][rater][case] for rater in raters] for case in complete]),
            }
        )
    return {"raters": list(raters), "class": _fleiss(raters, classes, patients), "labels": by_label}


def complete_cases(raters: Sequence[str], by_rater: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The cases for which every one of the raters has an entry, sorted."""
    return sorted(set.intersection(*(set(by_rater.get(rater, {})) for rater in raters)))


def all_pairs(raters: Sequence[str]) -> list[tuple[str, str]]:
    """Each pair once, in the order of the raters."""
    return list(combinations(raters, 2))


def _pair_label(value: int, name: str, scores: Sequence[PairScore], patients: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"value": value, "name": name, "both_empty": sum(one.both_empty for one in scores)}
    for metric in METRICS:
        known = [one for one in scores if getattr(one, metric) is not None]
        found[metric] = _metric([getattr(one, metric) for one in known], [patients[one.case_id] for one in known])
    first, second = [one.first_ml for one in scores], [one.second_ml for one in scores]
    found["volume_difference_ml"] = _limits(first, second)
    found["icc_2_1"] = _icc([list(row) for row in zip(first, second, strict=True)])
    return found


def _metric(values: Sequence[float], patients: Sequence[str]) -> dict[str, Any] | None:
    if not values:
        return None
    interval = bootstrap_ci(values, patients) if len(set(patients)) > 1 else None
    return {**asdict(summarize(values)), "ci95": _ends(interval)}


def _limits(first: Sequence[float], second: Sequence[float]) -> dict[str, Any] | None:
    if len(first) < 2:
        return None
    found = bland_altman(first, second)
    limits: dict[str, Any] = {"cases": found.count, "sd": found.sd}
    for name, one in (("bias", found.bias), ("lower_limit", found.lower), ("upper_limit", found.upper)):
        limits |= {name: one.estimate, f"{name}_ci95": [one.low, one.high]}
    return limits


def _icc(rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    found = icc_2_1(np.array(rows)) if len(rows) > 1 else None
    return {"cases": len(rows), "icc": found.estimate if found else None, "ci95": _ends(found)}


def _cohen(pair: tuple[str, str], classes: Classes, patients: Mapping[str, str]) -> dict[str, Any]:
    cases = complete_cases(pair, classes)
    one, other = ([classes[rater][case] for case in cases] for rater in pair)
    table = [[sum((a, b) == (row, column) for a, b in zip(one, other, strict=True)) for column in CLASSES]
             for row in CLASSES]  # fmt: skip
    found: dict[str, Any] = {"cases": len(cases), "table": table, "agreed": None, "cohen_kappa": None, "ci95": None}
    if cases:
        found["agreed"] = sum(a == b for a, b in zip(one, other, strict=True)) / len(cases)
        found["cohen_kappa"] = cohen_kappa(one, other)
        if found["cohen_kappa"] is not None:
            found["ci95"] = bootstrap_cases_ci(
                lambda drawn: cohen_kappa([one[n] for n in drawn], [other[n] for n in drawn]),
                [patients[case] for case in cases],
            )
    return found


def _fleiss(raters: Sequence[str], classes: Classes, patients: Mapping[str, str]) -> dict[str, Any]:
    cases = complete_cases(raters, classes)
    found: dict[str, Any] = {"cases": len(cases), "fleiss_kappa": None, "ci95": None}
    if cases:
        counts = class_counts([[classes[rater][case] for rater in raters] for case in cases])
        found["fleiss_kappa"] = fleiss_kappa(counts)
        if found["fleiss_kappa"] is not None:
            found["ci95"] = bootstrap_cases_ci(
                lambda drawn: fleiss_kappa(counts[drawn]), [patients[case] for case in cases]
            )
    return found


def _ends(interval: Interval | None) -> list[float] | None:
    """None for an interval of no width: a few cases that agree perfectly do not make it certain."""
    return None if interval is None or interval.low == interval.high else [interval.low, interval.high]

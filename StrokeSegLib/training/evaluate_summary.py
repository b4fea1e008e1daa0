"""From the scores of many cases to what a paper's table prints: mean, spread, median, interval, by lesion size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from StrokeSegLib.metrics import expected_calibration_error
from StrokeSegLib.statistics import bootstrap_ci, roc_auc, summarize
from StrokeSegLib.training.evaluate_scores import LabelScore

#: Lesions are binned by their true volume: from one edge (included) to the next, mL. 70 mL is where trials of
#: thrombectomy drew their line for the core.
SIZE_EDGES_ML = (0.0, 1.0, 10.0, 70.0, math.inf)
#: Without both outlines there is no distance: the conventional value is a matter of the field of view.
DISTANCES = ("hd95_mm", "assd_mm")


@dataclass(frozen=True, eq=False)
class CaseScore:
    """One evaluated case: its labels' scores, or the error that kept it from being scored.

    Attributes:
        case_id, patient_id: From the case table.
        scores: One a label of the model; empty where there is an error.
        seconds: Wall time of ``segment``; 0 where there is an error.
        warnings: What the segmentation had to say about the case.
        error: Why the case has no scores.
    """

    case_id: str
    patient_id: str
    scores: tuple[LabelScore, ...]
    seconds: float
    warnings: tuple[str, ...] = ()
    error: str | None = None


def summarize_label(label: int, name: str, cases: Sequence[CaseScore]) -> dict[str, Any]:
    """Everything that is reported about one label, as plain JSON values.

    Args:
        label: Its value.
        name: As people call it.
        cases: All cases; those with an error are left out.
    """
    pairs = [(case.patient_id, score) for case in cases for score in case.scores if score.label == label]
    bearing = [(patient, score) for patient, score in pairs if score.truth_ml > 0]
    scores = [score for _, score in pairs]
    table = sum((score.reliability for score in scores), np.zeros((3, 15)))
    return {
        "value": label,
        "name": name,
        "cases": len(pairs),
        "lesion_bearing_cases": len(bearing),
        "both_empty": sum(score.both_empty for score in scores),
        "missed": sum(score.one_empty and score.truth_ml > 0 for score in scores),
        "invented": sum(score.one_empty and score.truth_ml == 0 for score in scores),
        "lesion_bearing": _metrics(bearing),
        "all_cases": _metrics(pairs),
        "sizes": _by_size(bearing),
        "detection_auc": _detection(pairs),
        "calibration": {
            "ece": expected_calibration_error(table),
            "bins": [
                {"voxels": int(n), "stated": stated / n, "observed": observed / n}
                for n, stated, observed in table.T.tolist()
                if n
            ],
        },
    }


def _metrics(pairs: Sequence[tuple[str, LabelScore]]) -> dict[str, Any]:
    """Metric -> its summary with interval; of distances, over cases with both outlines."""
    if not pairs:
        return {}
    result = {}
    for metric in pairs[0][1].values:
        kept = [
            (patient, score.values[metric])
            for patient, score in pairs
            if metric not in DISTANCES or not (score.both_empty or score.one_empty)
        ]
        if kept:
            result[metric] = described([value for _, value in kept], [patient for patient, _ in kept])
    return result


def described(values: Sequence[float], patients: Sequence[str]) -> dict[str, Any]:
    """Count, mean, SD, median, quartiles, and the 95% bootstrap interval of the mean over patients.

    The interval is None where all cases are of one patient.

    Raises:
        InputError: There is no value.
    """
    interval = bootstrap_ci(values, patients)
    several = len(set(patients)) > 1
    return {
        **asdict(summarize(values)),
        "ci95": [interval.low, interval.high] if several else None,
        "patients": len(set(patients)),
    }


def _by_size(bearing: Sequence[tuple[str, LabelScore]]) -> list[dict[str, Any]]:
    bins = []
    for low, high in pairwise(SIZE_EDGES_ML):
        inside = [(patient, score) for patient, score in bearing if low <= score.truth_ml < high]
        bins.append(
            {
                "from_ml": low,
                "to_ml": None if math.isinf(high) else high,
                "cases": len(inside),
                **{metric: _one(inside, metric) for metric in ("dice", "sensitivity", "lesion_f1")},
            }
        )
    return bins


def _one(pairs: Sequence[tuple[str, LabelScore]], metric: str) -> dict[str, Any] | None:
    if not pairs:
        return None
    return described([score.values[metric] for _, score in pairs], [patient for patient, _ in pairs])


def _detection(pairs: Sequence[tuple[str, LabelScore]]) -> dict[str, Any] | None:
    """Area under the ROC curve over cases, by the highest probability of a case; None where one kind is missing."""
    truths = [score.truth_ml > 0 for _, score in pairs]
    auc = roc_auc([score.max_probability for _, score in pairs], truths) if pairs else None
    if auc is None:
        return None
    return {"auc": auc, "with_lesion": sum(truths), "without_lesion": len(truths) - sum(truths)}

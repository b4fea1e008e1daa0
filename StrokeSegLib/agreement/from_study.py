"""The ratings of a study folder: what each reader first decided, and what the models found.

A reader's rating is the version that he accepted first, before he could see what others did. Cases that he rejected or
flagged carry no mask, so they are no ratings; their number is told. A reader starts from the model's marks: agreement
of the two says how much was changed, not what a reader would draw on an empty scan.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from StrokeSegLib.agreement.ratings import CLASSES, HEMORRHAGE, MODEL, READER, Rating
from StrokeSegLib.review import ModelResult, Study, open_study, segmentation_path, study_state

STARTED_FROM_MODEL = (
    "Readers of a study folder start from the model's marks: their agreement with the model says how much they "
    "changed, not what they would have drawn on an empty scan"
)


def ratings_of_study(folder: Path) -> tuple[tuple[Rating, ...], tuple[str, ...]]:
    """All ratings of a study, and what the page must say about them.

    Raises:
        InputError: The folder is no study, or a segmentation in it is damaged.
    """
    study = open_study(folder)
    ratings: list[Rating] = []
    without: Counter[tuple[str, str]] = Counter()
    state, judges = study_state(study), study.adjudicators()
    for case_id in study.case_ids:
        case = study.case(case_id)
        image = next(iter(case.images.values()), None)
        for result in _results(study, case_id):
            name = f"{result.model} {result.model_version}"
            kind = _stated_class(result.measurements())
            ratings.append(Rating(case_id, case.patient, name, MODEL, result.segmentation, kind, image))
        for reader, reading in sorted(state.get(case_id, {}).items()):
            first = reading.first_decision
            if first is None or reader in judges:
                continue
            if first.status != "accepted" or first.version is None:
                without[reader, first.status] += 1
                continue
            path = segmentation_path(study, case_id, first.version)
            ratings.append(Rating(case_id, case.patient, reader, READER, path, None, image))
    notes = [STARTED_FROM_MODEL] if any(one.kind == MODEL for one in ratings) else []
    notes += [
        f"{reader} {status} {count} case{'' if count == 1 else 's'}, without a mask, so they are in no number"
        for (reader, status), count in sorted(without.items())
    ]
    notes += [
        f"{judge} settles what the others disagree on and has seen their marks, so is in no number" for judge in judges
    ]
    return tuple(ratings), tuple(notes)


def _results(study: Study, case_id: str) -> list[ModelResult]:
    """One result of each model and version: the first."""
    found: dict[tuple[str, str], ModelResult] = {}
    for result in study.results(case_id):
        found.setdefault((result.model, result.model_version), result)
    return list(found.values())


def _stated_class(measurements: dict[str, Any]) -> str | None:
    """The class that the model itself stated; None where its system has no classification."""
    stated = measurements.get("classification", {}).get("class")
    if stated is None:
        return None
    values = {label["name"]: label["value"] for label in measurements.get("labels", [])}
    if stated not in values:
        return CLASSES[0]
    return CLASSES[2] if values[stated] == HEMORRHAGE else CLASSES[1]

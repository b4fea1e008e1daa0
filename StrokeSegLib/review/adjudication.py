"""Where readers differ, and who settles it: an adjudicator sees all that the others did, and has the last word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from StrokeSegLib.errors import InputError
from StrokeSegLib.metrics import dice
from StrokeSegLib.review.durable import write_once
from StrokeSegLib.review.events import ACCEPTED, FLAGGED
from StrokeSegLib.review.names import check_name
from StrokeSegLib.review.segmentations import read_segmentation
from StrokeSegLib.review.state import CaseReading
from StrokeSegLib.review.study import ADJUDICATORS, Study
from StrokeSegLib.review.views import study_state

#: Two accepted masks with a Dice below this differ enough for a third look: our judgement, no standard.
SAME_DICE = 0.7


@dataclass(frozen=True)
class Disagreement:
    """Why a case waits for an adjudicator.

    Attributes:
        case_id: The case.
        readers: Whom it is about, sorted; one alone has flagged the case.
        dice: Of the two accepted masks that differ most, 0-1; None where the decisions differ, one is a flag, or an
            accepted mask is gone or changed (``check_study`` says which).
        settled_by: The adjudicator who decided on it and signed, or None.
    """

    case_id: str
    readers: tuple[str, ...]
    dice: float | None
    settled_by: str | None = None


def name_adjudicator(study: Study, reader: str) -> None:
    """Makes somebody who has read nothing in the study its adjudicator (one of several, where there are more).

    Raises:
        InputError: The name is none, this reader has read cases of the study, or the study can not be written to.
    """
    check_name(reader, "reader")
    if any(event.reader == reader for event in study.events()):
        raise InputError(
            f"{reader} has read cases of {study.folder}; an adjudicator is somebody who has not: name another"
        )
    try:
        write_once(study.folder / ADJUDICATORS / f"{reader}.json", (json.dumps({"reader": reader}) + "\n").encode())
    except FileExistsError:
        return


def disagreements(study: Study) -> dict[str, Disagreement]:
    """The cases that somebody flagged, or that two readers decided on differently; in the table's order."""
    state, judges = study_state(study), study.adjudicators()
    found = {}
    for case_id in study.case_ids:
        readings = state.get(case_id, {})
        read = {name: r for name, r in readings.items() if r.done and name not in judges}
        if (one := _disagreement(study, case_id, read)) is not None:
            settled = sorted(name for name in judges if name in readings and readings[name].signature is not None)
            found[case_id] = Disagreement(case_id, *one, settled[0] if settled else None)
    return found


def _disagreement(
    study: Study, case_id: str, read: Mapping[str, CaseReading]
) -> tuple[tuple[str, ...], float | None] | None:
    """Whom it is about, and the smallest Dice where that is why; None where all agree."""
    flagged = sorted(name for name, reading in read.items() if reading.status == FLAGGED)
    if flagged:
        return tuple(flagged), None
    if len({reading.status for reading in read.values()}) > 1:
        return tuple(sorted(read)), None
    masks = {name: r.version for name, r in sorted(read.items()) if r.status == ACCEPTED and r.version is not None}
    pairs = {}
    for pair in combinations(masks, 2):
        try:
            pairs[pair] = _dice(study, case_id, masks[pair[0]], masks[pair[1]])
        except InputError:  # nobody knows whether they agree, so somebody has to look
            return pair, None
    worst = min(pairs, key=lambda pair: pairs[pair], default=None)
    return None if worst is None or pairs[worst] >= SAME_DICE else (worst, pairs[worst])


def _dice(study: Study, case_id: str, one: str, other: str) -> float:
    """Of all labels together; versions never change, so each pair is read once."""
    if one == other:
        return 1.0
    first, second = sorted((one, other))
    if (case_id, first, second) not in study.compared:
        masks = [read_segmentation(study, case_id, version).array > 0 for version in (first, second)]
        study.compared[case_id, first, second] = dice(masks[0], masks[1])
    return study.compared[case_id, first, second]

"""From a review to training: accepted segmentations become the truth of a case table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.review.events import ACCEPTED
from StrokeSegLib.review.names import check_name
from StrokeSegLib.review.segmentations import whole_segmentation
from StrokeSegLib.review.state import CaseReading, Signature
from StrokeSegLib.review.study import Study
from StrokeSegLib.review.views import study_state


def reviewed_cases(study: Study, reader: str | None = None) -> tuple[Case, ...]:
    """The accepted cases, with the accepted version as truth: ``strokeseg train --data`` takes their table.

    Args:
        reader: Whose word counts. None: in each case an adjudicator's signed decision, and where there is none the
            reader's who signed an acceptance last.

    Raises:
        InputError: No case was accepted, or an accepted version is gone or changed.
    """
    if reader is not None:
        check_name(reader, "reader")
    state, judges = study_state(study), study.adjudicators()
    cases = []
    for case in study.cases:
        chosen = _chosen(state.get(case.case_id, {}), reader, judges)
        if chosen is not None and chosen.version is not None:
            truth, _ = whole_segmentation(study, case.case_id, chosen.version)
            cases.append(Case(case.case_id, case.patient, dict(case.images), truth, case.split, chosen.reader))
    if not cases:
        who = f"by {reader}" if reader is not None else "and signed by anybody"
        raise InputError(
            f"none of the {len(study.cases)} cases of {study.folder} was accepted {who}: review some first"
        )
    return tuple(cases)


def _chosen(readings: Mapping[str, CaseReading], reader: str | None, judges: Sequence[str]) -> CaseReading | None:
    settled = {name: each for name, each in readings.items() if name in judges and each.signature is not None}
    readings = settled if reader is None and settled else readings
    accepted = [reading for reading in readings.values() if reading.status == ACCEPTED]
    if reader is not None:
        return next((reading for reading in accepted if reading.reader == reader), None)
    signed: list[tuple[Signature, CaseReading]] = [(r.signature, r) for r in accepted if r.signature is not None]
    return max(signed, key=lambda pair: (pair[0].event, pair[1].reader))[1] if signed else None

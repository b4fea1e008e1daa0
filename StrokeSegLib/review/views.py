"""Who may see what: all readings for whoever runs the study, the others' only once a case is done for a reader."""

from __future__ import annotations

from StrokeSegLib.review.names import check_name
from StrokeSegLib.review.state import CaseReading, State, fold
from StrokeSegLib.review.study import Study


def study_state(study: Study) -> State:
    """Where all readers stand, nothing hidden: for tables, agreement and status, not for a reader at work."""
    known = set(study.case_ids)
    return fold(event for event in study.events() if event.case_id in known)


def visible_state(study: Study, reader: str) -> State:
    """What a reader may see: the own readings, and the others' of cases that this reader was done with.

    An adjudicator sees all.
    """
    check_name(reader, "reader")
    if reader in study.adjudicators():
        return study_state(study)
    visible: State = {}
    for case_id, readings in study_state(study).items():
        own = readings.get(reader)
        shown = readings if own is not None and own.finished_once else {reader: own} if own is not None else {}
        if shown:
            visible[case_id] = dict(shown)
    return visible


def case_reading(study: Study, reader: str, case_id: str) -> CaseReading:
    """Where a reader stands with a case; status "new" where nothing was done.

    Raises:
        InputError: The study has no such case.
    """
    study.case(case_id)
    own = (event for event in study.events() if event.case_id == case_id and event.reader == reader)
    return fold(own).get(case_id, {}).get(reader) or CaseReading(case_id, check_name(reader, "reader"))


def others(study: Study, reader: str, case_id: str) -> dict[str, CaseReading]:
    """Where the other readers stand with a case.

    Empty until this reader has accepted, rejected or flagged it, unless it is an adjudicator.
    """
    study.case(case_id)
    readings = visible_state(study, reader).get(case_id, {})
    return {name: reading for name, reading in readings.items() if name != reader}

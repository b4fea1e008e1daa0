"""The list of cases that a reader works through: filtered, sorted, walked, and taken up again."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from StrokeSegLib.errors import InputError
from StrokeSegLib.review.adjudication import disagreements
from StrokeSegLib.review.lesions import model_rows
from StrokeSegLib.review.state import DONE, STATUSES, CaseReading
from StrokeSegLib.review.study import Study
from StrokeSegLib.review.views import visible_state

SORTS = ("table", "needs-human", "uncertainty", "largest", "random")


@dataclass(frozen=True)
class WorkItem:
    """One case in a reader's list: the model's numbers, and only this reader's own status.

    Attributes:
        case_id: The case.
        status: Of this reader, one of ``STATUSES``.
        signed: Whether this reader's signature stands.
        seconds: That this reader spent.
        model: The model whose numbers follow; None where no model has seen the case.
        volume_ml: Of all lesions.
        lesion_count: Number of lesions.
        uncertainty: Largest 1 - mean probability of a lesion, 0-1; None without a lesion that has one.
        needs_human: The model says that a human must look; also where no model has seen the case.
        reasons: Why.
    """

    case_id: str
    status: str
    signed: bool
    seconds: float
    model: str | None
    volume_ml: float | None
    lesion_count: int | None
    uncertainty: float | None
    needs_human: bool
    reasons: tuple[str, ...]

    @property
    def done(self) -> bool:
        """Whether this reader accepted, rejected or flagged it."""
        return self.status in DONE


def worklist(
    study: Study,
    reader: str,
    *,
    sort: str = "needs-human",
    statuses: Collection[str] | None = None,
    only_needs_human: bool = False,
    only_disagreements: bool = False,
    seed: int = 0,
) -> tuple[WorkItem, ...]:
    """A reader's list.

    Args:
        sort: ``table`` (as in the case table), ``needs-human`` (those first, then the most uncertain), ``uncertainty``
            (most uncertain first), ``largest`` (volume), or ``random`` (for audits: drawn by ``seed``; a case has the
            same place whatever else is filtered out). Ties are in the table's order.
        statuses: Only cases with these; all when None.
        only_needs_human: Only cases where a human must look.
        only_disagreements: Only cases that an adjudicator has to settle, see ``disagreements``.
        seed: Of the random order.

    Raises:
        InputError: There is no such sort or status, a model result can not be read, or somebody who is no adjudicator
            asks what the others disagree on.
    """
    unknown = [status for status in statuses or () if status not in STATUSES]
    if unknown or sort not in SORTS:
        raise InputError(
            f"a list has a sort of {', '.join(SORTS)} and statuses of {', '.join(STATUSES)}, "
            f"got {sort!r} and {unknown}: choose one of these"
        )
    if only_disagreements and reader not in study.adjudicators():
        raise InputError(
            f"{reader} is no adjudicator of {study.folder}, and readers do not see what others disagree on: "
            "show all cases, or see strokeseg review adjudicator"
        )
    asked = disagreements(study) if only_disagreements else study.case_ids
    state = visible_state(study, reader)
    items = [
        _item(study, state.get(case_id, {}).get(reader) or CaseReading(case_id, reader))
        for case_id in study.case_ids
        if case_id in asked
    ]
    shown = [
        item for item in items
        if (statuses is None or item.status in statuses) and (item.needs_human or not only_needs_human)
    ]  # fmt: skip
    return tuple(sorted(shown, key=lambda item: _place(item, sort, seed)) if sort != "table" else shown)


def next_case(items: Sequence[WorkItem], case_id: str | None) -> str | None:
    """The case after this one in the list; the first one where this one is not in it; None at the end."""
    ids = [item.case_id for item in items]
    at = ids.index(case_id) + 1 if case_id in ids else 0
    return ids[at] if at < len(ids) else None


def previous_case(items: Sequence[WorkItem], case_id: str | None) -> str | None:
    """The case before this one in the list; None at the beginning, and where this one is not in the list."""
    ids = [item.case_id for item in items]
    at = ids.index(case_id) - 1 if case_id in ids else -1
    return ids[at] if at >= 0 else None


def upcoming(items: Sequence[WorkItem], case_id: str | None, count: int = 2) -> tuple[str, ...]:
    """The cases to load ahead: those that follow this one and are not done, nearest first."""
    ids = [item.case_id for item in items]
    at = ids.index(case_id) + 1 if case_id in ids else 0
    return tuple(item.case_id for item in items[at:] if not item.done)[:count]


def resume_case(study: Study, reader: str, items: Sequence[WorkItem]) -> str | None:
    """Where the reader stopped: the case of the last event; the next that is not done, where that one is done.

    Returns:
        A case of the list; None where all of them are done.
    """
    ids = {item.case_id for item in items}
    last = next((e.case_id for e in reversed(study.events()) if e.reader == reader and e.case_id in ids), None)
    if last is not None and not next(item for item in items if item.case_id == last).done:
        return last
    return next(iter(upcoming(items, last, 1) or upcoming(items, None, 1)), None)


def _item(study: Study, reading: CaseReading) -> WorkItem:
    own = (reading.case_id, reading.status, reading.signature is not None, reading.seconds)
    result = next(iter(study.results(reading.case_id)), None)
    if result is None:
        return WorkItem(*own, None, None, None, None, True, ("no model has seen the case",))
    numbers = study.measurements(result)
    rows, review = model_rows(numbers, ()), numbers.get("needs_review", {})
    doubts = [1 - row.mean_probability for row in rows if row.mean_probability is not None]
    return WorkItem(
        *own,
        model=result.model,
        volume_ml=float(numbers.get("total_volume_ml", 0.0)),
        lesion_count=len(rows),
        uncertainty=max(doubts, default=None),
        needs_human=bool(review.get("flag", False)),
        reasons=tuple(str(reason) for reason in review.get("reasons", ())),
    )


def _place(item: WorkItem, sort: str, seed: int) -> tuple[float | bytes, ...]:
    """What a list is sorted by, the smallest first."""
    doubt = -1.0 if item.uncertainty is None else item.uncertainty
    if sort == "random":
        return (hashlib.sha256(f"{seed} {item.case_id}".encode()).digest(),)
    if sort == "largest":
        return (-(item.volume_ml or 0.0),)
    return (-doubt,) if sort == "uncertainty" else (not item.needs_human, -doubt)

"""Where the readers stand: a pure fold over events. The same events give the same state, whoever computes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from StrokeSegLib.review import events as kinds
from StrokeSegLib.review.events import Event, LesionMark

NEW, OPENED, CORRECTED = "new", kinds.OPENED, kinds.CORRECTED
#: With these a reader is done with a case.
DONE = (kinds.ACCEPTED, kinds.REJECTED, kinds.FLAGGED)
STATUSES = (NEW, OPENED, CORRECTED, *DONE)


@dataclass(frozen=True)
class Comment:
    """What a reader wrote about a case, and when (UTC)."""

    at_utc: str
    text: str


@dataclass(frozen=True)
class LesionDecision:
    """A reader's last word on one lesion.

    Attributes:
        mark: Which lesion.
        accepted: Else it was rejected.
        reason: Free text.
        based_on: Content hash of the version in which it was seen.
    """

    mark: LesionMark
    accepted: bool
    reason: str
    based_on: str | None


@dataclass(frozen=True)
class Decision:
    """How a reader was done with a case: status, the version that it speaks of, and when (UTC)."""

    status: str
    version: str | None
    at_utc: str


@dataclass(frozen=True)
class Signature:
    """A reader stands by a decision: what was decided on which version, when (UTC), and the event's file name."""

    at_utc: str
    version: str | None
    status: str
    event: str


@dataclass(frozen=True)
class CaseReading:
    """Where one reader stands with one case.

    Attributes:
        case_id: The case.
        reader: The reader.
        status: One of ``STATUSES``.
        version: Content hash of the segmentation that the reader last made or accepted; None where that is neither,
            and the model's result counts.
        corrected: Whether the reader ever made a version of the own.
        reason: Why it was rejected or flagged, as long as it is.
        comments: Oldest first.
        lesions: The last decision on each lesion.
        seconds: Spent in all.
        opened_utc: When it was first opened, or None.
        changed_utc: The time of the last event, or None.
        signature: None where it is not signed, or was changed since.
        first_decision: The one that was made before the other readers' marks could be seen; for agreement.
    """

    case_id: str
    reader: str
    status: str = NEW
    version: str | None = None
    corrected: bool = False
    reason: str = ""
    comments: tuple[Comment, ...] = ()
    lesions: tuple[LesionDecision, ...] = ()
    seconds: float = 0.0
    opened_utc: str | None = None
    changed_utc: str | None = None
    signature: Signature | None = None
    first_decision: Decision | None = None

    @property
    def done(self) -> bool:
        """Whether the reader accepted, rejected or flagged the case."""
        return self.status in DONE

    @property
    def finished_once(self) -> bool:
        """Whether the reader was done with it at any time, and may see the others' marks."""
        return self.first_decision is not None


#: Case -> reader -> where that reader stands.
State: TypeAlias = dict[str, dict[str, CaseReading]]


def fold(events: Iterable[Event]) -> State:
    """The state after the events, in whatever order they are given.

    Returns:
        Only cases and readers with events.
    """
    state: State = {}
    for event in sorted(events, key=lambda event: (event.name, event.reader)):
        readers = state.setdefault(event.case_id, {})
        before = readers.get(event.reader) or CaseReading(event.case_id, event.reader)
        readers[event.reader] = after(before, event)
    return state


def after(reading: CaseReading, event: Event) -> CaseReading:
    """Where the reader stands after one more event."""
    now = replace(reading, changed_utc=event.at_utc)
    if event.comment:
        now = replace(now, comments=(*now.comments, Comment(event.at_utc, event.comment)))
    if event.kind in (kinds.OPENED, kinds.RESUMED):
        now = replace(_begun(now), opened_utc=now.opened_utc or event.at_utc)
    elif event.kind == kinds.CLOSED:
        now = replace(now, seconds=now.seconds + event.seconds)
    elif event.kind == kinds.CORRECTED:
        now = replace(now, status=CORRECTED, version=event.version, corrected=True, reason="", signature=None)
    elif event.kind in DONE:
        now = _decided(now, event)
    elif event.kind == kinds.SIGNED:
        now = _signed(now, event)
    elif event.lesion is not None:
        now = _with_lesion(now, event, event.lesion)
    return now


def _begun(reading: CaseReading) -> CaseReading:
    return replace(reading, status=OPENED) if reading.status == NEW else reading


def _decided(now: CaseReading, event: Event) -> CaseReading:
    version = event.version or event.based_on
    first = now.first_decision or Decision(event.kind, version, event.at_utc)
    return replace(now, status=event.kind, version=version, reason=event.reason, signature=None, first_decision=first)


def _signed(now: CaseReading, event: Event) -> CaseReading:
    """A signature under anything but the present decision says nothing."""
    if not now.done or event.version != now.version:
        return now
    return replace(now, signature=Signature(event.at_utc, event.version, now.status, event.name))


def _with_lesion(now: CaseReading, event: Event, mark: LesionMark) -> CaseReading:
    decision = LesionDecision(mark, event.kind == kinds.LESION_ACCEPTED, event.reason, event.based_on)
    before = {each.mark: each for each in now.lesions}
    changed = mark not in before or before[mark].accepted != decision.accepted
    now = replace(_begun(now), lesions=tuple({**before, mark: decision}.values()))
    if changed and now.status == kinds.ACCEPTED:  # what was accepted is not what the lesions say any more
        return replace(now, status=CORRECTED if now.corrected else OPENED, signature=None)
    return now

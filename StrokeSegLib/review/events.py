"""An event: one thing that one reader did, in one file that never changes.

The file's name begins with the time, so that names sort as things happened, and ends in 64 random bits, so that two
machines never choose the same. Its content carries its own SHA-256: a torn, partial, changed or foreign file is told
from an event whatever happened to the disk.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from StrokeSegLib.errors import InputError
from StrokeSegLib.review.names import check_name

FORMAT = 1
OPENED, RESUMED, CLOSED = "opened", "resumed", "closed"
CORRECTED, COMMENTED, SIGNED = "corrected", "commented", "signed"
ACCEPTED, REJECTED, FLAGGED = "accepted", "rejected", "flagged"
LESION_ACCEPTED, LESION_REJECTED = "lesion-accepted", "lesion-rejected"
KINDS = (
    *(OPENED, RESUMED, CLOSED, CORRECTED, ACCEPTED, REJECTED, FLAGGED, COMMENTED, SIGNED),
    *(LESION_ACCEPTED, LESION_REJECTED),
)
#: Kinds that say which version they speak of.
_WITH_VERSION = (CORRECTED, ACCEPTED)
_FILE_NAME = re.compile(r"(\d{8}T\d{6}\d{6}Z)-[0-9a-f]{16}\.json")
_HASH = re.compile(r"[0-9a-f]{64}")
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class LesionMark:
    """Which lesion: its label, and its centroid (mm, RAS), rounded to 0.1 mm as in measurements.json."""

    label: int
    centroid_ras_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Event:
    """One thing that one reader did.

    Attributes:
        name: Of its file; sorts by time.
        at_utc: ISO 8601 with microseconds, as ``2026-01-31T09:15:00.000001Z``.
        reader: Who: a pseudonym.
        case_id: On which case.
        kind: One of ``KINDS``.
        based_on: Content hash of the segmentation that the reader looked at; None where there was none.
        version: Content hash of the segmentation that was made (corrected), accepted or signed.
        seconds: Spent on the case since it was opened, >= 0; of ``closed`` events.
        reason: Why it was rejected or flagged.
        comment: Free text.
        lesion: Of lesion-accepted and lesion-rejected.
    """

    name: str
    at_utc: str
    reader: str
    case_id: str
    kind: str
    based_on: str | None = None
    version: str | None = None
    seconds: float = 0.0
    reason: str = ""
    comment: str = ""
    lesion: LesionMark | None = None


class NotAnEventError(ValueError):
    """A file is no whole event; the message says why."""


def new_name(after: str = "") -> tuple[str, str]:
    """A new file name and its time in ISO 8601.

    Args:
        after: The reader's last event's name. Where the clock was set back since, the new time is a microsecond later
            than that one's: what was done later always counts as later.
    """
    now = datetime.now(UTC)
    if found := _FILE_NAME.fullmatch(after):
        now = max(now, datetime.strptime(found[1], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC) + timedelta(microseconds=1))
    return f"{now:%Y%m%dT%H%M%S%f}Z-{secrets.token_hex(8)}.json", f"{now:{_TIME}}"


def is_event_name(name: str) -> bool:
    """Whether a file is named as an event is."""
    return _FILE_NAME.fullmatch(name) is not None


def encode(event: Event) -> bytes:
    """The content of the event's file.

    Raises:
        InputError: A field has no valid value.
    """
    content = {"format": FORMAT, **{key: value for key, value in asdict(event).items() if key != "name"}}
    try:
        _check(event)
    except NotAnEventError as error:
        raise InputError(f"this can not be recorded: {error}") from error
    return (json.dumps({**content, "sha256": _digest(content)}, indent=1, allow_nan=False) + "\n").encode()


def decode(name: str, reader: str, content: bytes | str) -> Event:
    """The event of a file.

    Args:
        name: Of the file.
        reader: In whose folder it is.

    Raises:
        NotAnEventError: It is torn, partial, changed or foreign.
    """
    try:
        fields = json.loads(content)
    except ValueError as error:
        raise NotAnEventError("it is cut short, or no JSON") from error
    if not isinstance(fields, dict) or fields.pop("sha256", None) != _digest(fields):
        raise NotAnEventError("its content does not have the SHA-256 that it states")
    if fields.pop("format", None) != FORMAT:
        raise NotAnEventError("a newer version of StrokeSeg wrote it")
    try:
        mark = fields.pop("lesion")
        lesion = None if mark is None else LesionMark(mark["label"], tuple(mark["centroid_ras_mm"]))
        event = Event(name=name, lesion=lesion, **fields)
    except (TypeError, KeyError) as error:
        raise NotAnEventError(f"its fields are not those of an event ({error})") from error
    if event.reader != reader:
        raise NotAnEventError(f"reader {event.reader} wrote it, it lies in the folder of {reader}")
    _check(event)
    return event


def _check(event: Event) -> None:
    _check_names(event)
    for text in (event.reason, event.comment):
        if not isinstance(text, str):
            raise NotAnEventError(f"a text is needed, got {text!r}")
    for version in (event.based_on, event.version):
        if version is not None and not _HASH.fullmatch(str(version)):
            raise NotAnEventError(f"{version!r} is no content hash")
    if event.kind in _WITH_VERSION and event.version is None:
        raise NotAnEventError(f"an event {event.kind!r} names a version")
    if not isinstance(event.seconds, int | float) or not math.isfinite(event.seconds) or event.seconds < 0:
        raise NotAnEventError(f"seconds are 0 or more, got {event.seconds!r}")
    if (event.lesion is not None) != (event.kind in (LESION_ACCEPTED, LESION_REJECTED)):
        raise NotAnEventError("a lesion belongs to the events lesion-accepted and lesion-rejected")
    if event.lesion is not None:
        _check_mark(event.lesion)


def _check_names(event: Event) -> None:
    found = _FILE_NAME.fullmatch(event.name)
    if found is None or re.sub(r"[-:.]", "", event.at_utc) != found[1]:
        raise NotAnEventError(f"its time {event.at_utc!r} is not that of its name")
    if event.kind not in KINDS:
        raise NotAnEventError(f"there is no event {event.kind!r}")
    try:
        check_name(event.reader, "reader")
        check_name(event.case_id, "case")
    except (InputError, TypeError) as error:
        raise NotAnEventError(str(error)) from error


def _check_mark(mark: LesionMark) -> None:
    place = mark.centroid_ras_mm
    if len(place) != 3 or not all(isinstance(c, int | float) and math.isfinite(c) for c in place):
        raise NotAnEventError(f"a centroid has three finite numbers (mm), got {place!r}")
    if not isinstance(mark.label, int) or mark.label < 1:
        raise NotAnEventError(f"a lesion's label is 1 or more, got {mark.label!r}")


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

"""What a reader does at a case. Each function that does something writes an event, and returns when it is on the disk.

Only the reader's own folder is written to. What a function could not write has not happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError
from StrokeSegLib.review import events as kinds
from StrokeSegLib.review.events import Event, LesionMark
from StrokeSegLib.review.lesions import (
    LesionRow,
    first_doubtful,
    lesion_mark,
    model_rows,
    reader_rows,
    same_lesion,
    without_rejected,
)
from StrokeSegLib.review.names import check_name
from StrokeSegLib.review.results import ModelResult
from StrokeSegLib.review.segmentations import read_segmentation, segmentation_path
from StrokeSegLib.review.state import CaseReading
from StrokeSegLib.review.study import Study
from StrokeSegLib.review.versions import save_version
from StrokeSegLib.review.views import case_reading
from StrokeSegLib.volume import Volume


@dataclass(frozen=True)
class CaseFiles:
    """All that is needed to show a case to a reader.

    Attributes:
        case_id: The case.
        images: Role -> image file or DICOM folder.
        reading: Where the reader stands.
        version: Content hash of the segmentation to show: the reader's own last one, else the model's; or None.
        segmentation: That segmentation's file.
        result: What the model found, where it has seen the case; its folder has probability and uncertainty maps.
        measurements: Of that result; empty without one.
        lesions: Of the version to show.
        first_doubtful: Index into ``lesions``, or None.
    """

    case_id: str
    images: Mapping[str, Path]
    reading: CaseReading
    version: str | None
    segmentation: Path | None
    result: ModelResult | None
    measurements: dict[str, Any]
    lesions: tuple[LesionRow, ...]
    first_doubtful: int | None


def case_files(study: Study, reader: str, case_id: str) -> CaseFiles:
    """What ``open_case`` gives, without an event: to load a case ahead.

    Raises:
        InputError: The study has no such case, or its files can not be read.
    """
    case, reading, result = study.case(case_id), case_reading(study, reader, case_id), _result(study, case_id)
    measurements = study.measurements(result) if result else {}
    version = reading.version or (result.version if result else None)
    if version is None or (result and version == result.version):
        rows = model_rows(measurements, reading.lesions)
    else:
        rows = reader_rows(read_segmentation(study, case_id, version), measurements, reading.lesions)
    path = segmentation_path(study, case_id, version) if version else None
    return CaseFiles(case_id, case.images, reading, version, path, result, measurements, rows, first_doubtful(rows))


def open_case(study: Study, reader: str, case_id: str) -> CaseFiles:
    """Begins, or goes on with, a case.

    Raises:
        InputError: See ``case_files``; or the event can not be written.
    """
    files = case_files(study, reader, case_id)
    _record(study, reader, case_id, kinds.RESUMED if files.reading.opened_utc else kinds.OPENED)
    return case_files(study, reader, case_id)


def close_case(study: Study, reader: str, case_id: str, seconds: float) -> Event:
    """Leaves a case.

    Args:
        seconds: Spent on it since it was opened.
    """
    return _record(study, reader, case_id, kinds.CLOSED, seconds=float(seconds))


def correct(study: Study, reader: str, case_id: str, labels: Volume, *, comment: str = "") -> Event:
    """Keeps a reader's segmentation as a new version.

    Args:
        labels: Label map (0 background) on the grid of the model's result, where there is one.

    Returns:
        The event; its ``version`` is the content hash.

    Raises:
        InputError: The labels lie on another grid or are no label map, or they can not be written.
    """
    study.case(case_id)
    base = current_version(study, reader, case_id)
    if base is not None:
        labels = _on_grid_of(read_segmentation(study, case_id, base), labels)
    version = save_version(study.segmentations(reader), labels)
    return _record(study, reader, case_id, kinds.CORRECTED, version=version, comment=comment)


def accept(study: Study, reader: str, case_id: str, *, comment: str = "") -> Event:
    """Accepts the current version; lesions that the reader rejected are first taken out of it, as a correction.

    Raises:
        InputError: There is no segmentation, it is not the one that was reviewed, or the event can not be written.
    """
    version = current_version(study, reader, case_id)
    if version is None:
        raise InputError(f"case {case_id} has no segmentation that could be accepted: draw one, or leave it empty")
    labels = read_segmentation(study, case_id, version)
    cleaned = without_rejected(labels, case_reading(study, reader, case_id).lesions)
    if cleaned is not labels:
        version = correct(study, reader, case_id, cleaned).version
    return _record(study, reader, case_id, kinds.ACCEPTED, version=version, comment=comment)


def reject(study: Study, reader: str, case_id: str, *, reason: str, comment: str = "") -> Event:
    """Rejects the case: nothing in it can be used.

    Raises:
        InputError: There is no reason, or the event can not be written.
    """
    return _record(study, reader, case_id, kinds.REJECTED, reason=_needed(reason, "rejecting"), comment=comment)


def flag(study: Study, reader: str, case_id: str, *, reason: str, comment: str = "") -> Event:
    """Flags the case: somebody else has to look at it.

    Raises:
        InputError: There is no reason, or the event can not be written.
    """
    return _record(study, reader, case_id, kinds.FLAGGED, reason=_needed(reason, "flagging"), comment=comment)


def add_comment(study: Study, reader: str, case_id: str, text: str) -> Event:
    """Writes something about the case.

    Raises:
        InputError: There is no text, or the event can not be written.
    """
    return _record(study, reader, case_id, kinds.COMMENTED, comment=_needed(text, "a comment"))


def accept_lesion(
    study: Study, reader: str, case_id: str, label: int, centroid_ras_mm: Sequence[float], *, reason: str = ""
) -> Event:
    """Accepts one lesion of the current version; see ``LesionRow``."""
    mark = _known_mark(study, reader, case_id, lesion_mark(label, centroid_ras_mm))
    return _record(study, reader, case_id, kinds.LESION_ACCEPTED, reason=reason, lesion=mark)


def reject_lesion(
    study: Study, reader: str, case_id: str, label: int, centroid_ras_mm: Sequence[float], *, reason: str = ""
) -> Event:
    """Rejects one lesion of the current version: it goes when the case is accepted."""
    mark = _known_mark(study, reader, case_id, lesion_mark(label, centroid_ras_mm))
    return _record(study, reader, case_id, kinds.LESION_REJECTED, reason=reason, lesion=mark)


def sign(study: Study, reader: str, case_id: str) -> Event:
    """Signs the present decision; any later change of it makes the signature void.

    Raises:
        InputError: Nothing was decided yet, or the event can not be written.
    """
    reading = case_reading(study, reader, case_id)
    if not reading.done:
        raise InputError(f"case {case_id} is {reading.status}, a decision is needed: accept, reject or flag it first")
    return _record(study, reader, case_id, kinds.SIGNED, version=reading.version)


def current_version(study: Study, reader: str, case_id: str) -> str | None:
    """Content hash of the segmentation that a reader has before them: the own last one, else the model's, or None."""
    result = _result(study, case_id)
    return case_reading(study, reader, case_id).version or (result.version if result else None)


def _record(study: Study, reader: str, case_id: str, kind: str, **facts: Any) -> Event:
    check_name(reader, "reader")
    study.case(case_id)
    based_on = current_version(study, reader, case_id)
    return study.log.write(Event("", "", reader, case_id, kind, based_on=based_on, **facts))


def _result(study: Study, case_id: str) -> ModelResult | None:
    return next(iter(study.results(case_id)), None)


def _known_mark(study: Study, reader: str, case_id: str, mark: LesionMark) -> LesionMark:
    """The mark by which a lesion was decided on before, so that the new decision takes the old one's place."""
    decided = case_reading(study, reader, case_id).lesions
    return next((each.mark for each in decided if same_lesion(each.mark, mark)), mark)


def _on_grid_of(base: Volume, labels: Volume) -> Volume:
    if not base.same_grid(labels):
        raise InputError(
            f"the segmentation has the grid {labels.size_ijk} (i, j, k), the case's one {base.size_ijk}; both need the "
            f"same shape, spacing, origin and direction: resample it to the first image of the case"
        )
    return base.with_array(labels.array)  # to the last bit, so that the same mask has the same hash


def _needed(text: str, what: str) -> str:
    if not text.strip():
        raise InputError(f"{what} needs a text that says what or why, got none: write a few words")
    return text

"""Looks through a study for what is torn, foreign, gone or changed. It repairs nothing and removes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from StrokeSegLib.errors import InputError
from StrokeSegLib.review.durable import TEMPORARY
from StrokeSegLib.review.event_log import EVENTS, READERS
from StrokeSegLib.review.events import Event, NotAnEventError, decode
from StrokeSegLib.review.names import check_name
from StrokeSegLib.review.segmentations import read_segmentation
from StrokeSegLib.review.study import SEGMENTATIONS, Study
from StrokeSegLib.review.versions import SUFFIX, read_version

LEFT = "left by a process that was killed, or being written right now; nobody reads it"


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        path: Relative to the study, with forward slashes.
        what: One sentence.
    """

    path: str
    what: str


def check_study(study: Study, progress: Callable[[str, int, int], None] | None = None) -> tuple[Finding, ...]:
    """Reads every event and every segmentation.

    Args:
        progress: Called with ("check", done, total).

    Returns:
        What was found, by path; empty for a study in good order.
    """
    steps: list[Callable[[], Iterator[Finding]]] = [
        *(lambda case_id=case_id: _case(study, case_id) for case_id in study.case_ids),  # type: ignore[misc]
        *(lambda name=name: _reader(study, name) for name in _entries(study.folder / READERS)),  # type: ignore[misc]
    ]
    found: list[Finding] = []
    for done, step in enumerate(steps):
        if progress is not None:
            progress("check", done, len(steps))
        found += step()
    if progress is not None:
        progress("check", len(steps), len(steps))
    return tuple(sorted(found, key=lambda finding: (finding.path, finding.what)))


def _case(study: Study, case_id: str) -> Iterator[Finding]:
    for role, image in study.case(case_id).images.items():
        if not image.exists() and not Path(str(image).rpartition("#")[0] or image).exists():
            yield Finding(f"cases/{case_id}/case.json", f"the {role} image is not where it was: {image}")
    try:
        results = study.results(case_id)
    except InputError as error:
        yield Finding(f"cases/{case_id}/models", str(error))
        return
    for result in results:
        try:
            result.measurements()
            read_version(result.segmentation, result.version)
        except InputError as error:
            yield Finding(f"cases/{case_id}/models/{result.model}-{result.version[:8]}.json", str(error))


def _reader(study: Study, name: str) -> Iterator[Finding]:
    folder = study.folder / READERS / name
    try:
        check_name(name, "reader")
    except InputError as error:
        yield Finding(f"{READERS}/{name}", str(error))
        return
    for entry in _entries(folder):
        if entry not in (EVENTS, SEGMENTATIONS):
            yield Finding(f"{READERS}/{name}/{entry}", "no file of a study")
    for entry in _entries(folder / EVENTS):
        where = f"{READERS}/{name}/{EVENTS}/{entry}"
        if (what := _event_problem(study, folder / EVENTS / entry, name)) is not None:
            yield Finding(where, what)
    for entry in _entries(folder / SEGMENTATIONS):
        if (what := _segmentation_problem(folder / SEGMENTATIONS / entry)) is not None:
            yield Finding(f"{READERS}/{name}/{SEGMENTATIONS}/{entry}", what)


def _event_problem(study: Study, path: Path, reader: str) -> str | None:
    if path.name.startswith(TEMPORARY):
        return LEFT
    try:
        event = decode(path.name, reader, path.read_bytes())
    except OSError as error:
        return f"it can not be read ({error.strerror})"
    except NotAnEventError as error:
        return f"no event: {error}"
    return _reference_problem(study, event)


def _reference_problem(study: Study, event: Event) -> str | None:
    if event.case_id not in study.case_ids:
        return f"an event of the case {event.case_id}, which is not in the study"
    try:
        if event.version is not None:
            read_segmentation(study, event.case_id, event.version)
    except InputError as error:
        return str(error)
    return None


def _segmentation_problem(path: Path) -> str | None:
    if path.name.startswith(TEMPORARY):
        return LEFT
    if not path.name.endswith(SUFFIX):
        return "no segmentation of a reader"
    try:
        read_version(path, path.name.removesuffix(SUFFIX))
    except InputError as error:
        return str(error)
    return None


def _entries(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []

"""A study: its folder, its cases, their model results, and the readers' events. See the package for the layout."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from StrokeSegLib.case_table import Case
from StrokeSegLib.disk import flush_to_disk
from StrokeSegLib.errors import InputError
from StrokeSegLib.review.durable import TEMPORARY, make_folder, write_once
from StrokeSegLib.review.event_log import READERS, EventLog
from StrokeSegLib.review.events import Event
from StrokeSegLib.review.names import check_name
from StrokeSegLib.review.results import MEASUREMENTS, MODELS, ModelResult, read_result, relative_path, write_result

FORMAT = 1
STUDY, CASES, CASE, SEGMENTATIONS = "study.json", "cases", "case.json", "segmentations"
ADJUDICATORS = "adjudicators"
#: Cases named in an error.
_NAMED = 5


@dataclass(frozen=True)
class StudyCase:
    """A case to be read.

    Attributes:
        case_id: Its name, chosen by the user.
        patient: ``patient-001`` and so on: which cases are of one patient, and nothing more.
        images: Role -> image file or DICOM folder (``FOLDER#SERIES_UID`` for one of several series).
        split: Of the case table, for training from the review.
    """

    case_id: str
    patient: str
    images: Mapping[str, Path]
    split: str | None = None


@dataclass(frozen=True, eq=False)
class Study:
    """An open study; remembers what it has read, and looks for new events with every question.

    Attributes:
        folder: Absolute, links resolved.
        study_id: Random; the same wherever the folder is.
        cases: In the order of the table that they came from.
        log: The readers' events.
        compared: Dice by case and two versions, as far as somebody asked; versions never change.
    """

    folder: Path
    study_id: str
    cases: tuple[StudyCase, ...]
    log: EventLog = field(repr=False)
    compared: dict[tuple[str, str, str], float] = field(default_factory=dict, repr=False)
    _numbers: dict[Path, dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def case_ids(self) -> tuple[str, ...]:
        """In the order of the table."""
        return tuple(case.case_id for case in self.cases)

    def case(self, case_id: str) -> StudyCase:
        """A case by its name.

        Raises:
            InputError: The study has no such case.
        """
        found = next((case for case in self.cases if case.case_id == case_id), None)
        if found is None:
            some = ", ".join(self.case_ids[:_NAMED])
            raise InputError(f"the study {self.folder} has no case {case_id!r}; it has {some} ...: give one of them")
        return found

    def results(self, case_id: str) -> tuple[ModelResult, ...]:
        """What models found in a case, by the files' names. The first one is where readers start from.

        Raises:
            InputError: The study has no such case, or a reference can not be read.
        """
        self.case(case_id)
        models = case_folder(self.folder, case_id) / MODELS
        paths = sorted(models.glob("*.json")) if models.is_dir() else []
        return tuple(read_result(path, case_id) for path in paths)

    def measurements(self, result: ModelResult) -> dict[str, Any]:
        """measurements.json of a result, read once.

        Raises:
            InputError: It can not be read.
        """
        if result.folder not in self._numbers:
            self._numbers[result.folder] = result.measurements()
        return self._numbers[result.folder]

    def readers(self) -> tuple[str, ...]:
        """Who has a folder in the study, sorted."""
        return self.log.readers()

    def adjudicators(self) -> tuple[str, ...]:
        """Who settles what the readers disagree on, sorted; see ``adjudication``."""
        folder = self.folder / ADJUDICATORS
        names = [path.name for path in folder.glob("*.json")] if folder.is_dir() else []
        return tuple(sorted(name.removesuffix(".json") for name in names if not name.startswith(TEMPORARY)))

    def events(self) -> tuple[Event, ...]:
        """All that all readers did, oldest first. Nobody is blinded here: see ``visible_state``."""
        return self.log.events()

    def segmentations(self, reader: str) -> Path:
        """The folder of a reader's own segmentations."""
        return self.folder / READERS / check_name(reader, "reader") / SEGMENTATIONS


def case_folder(study: Path, case_id: str) -> Path:
    """Where a study has a case's files."""
    return study / CASES / case_id


def create_study(
    folder: str | os.PathLike[str], cases: Sequence[Case], results: Path | None = None, *, copy: bool = False
) -> Study:
    """Makes a study's folder, whole or not at all.

    A table's truth is not taken over: readers do not see it. Patient ids become ``patient-001`` and so on.

    Args:
        folder: New, or empty.
        cases: As ``read_case_table`` gives them.
        results: Folder with ``<case_id>/`` for each case that a model has seen, as ``strokeseg batch`` writes it.
        copy: Copy the result folders into the study; else only their paths are kept.

    Raises:
        InputError: The folder is in use, a case's name or image does not fit, or a result can not be read.
    """
    folder = Path(os.path.realpath(folder))
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is in use, a new or an empty folder is needed for a study: choose another")
    _check_cases(cases)
    found = _found_results(cases, results)
    stage = folder.with_name(f"{TEMPORARY}{folder.name}-{secrets.token_hex(4)}")
    try:
        make_folder(stage)
        _write_study(stage, folder, cases)
        for case_id, result in found.items():
            place = case_folder(stage, case_id)
            write_result(place, case_id, result, copy=copy, home=case_folder(folder, case_id))
        if folder.is_dir():
            folder.rmdir()
        stage.rename(folder)
        flush_to_disk(folder.parent)
    except OSError as error:
        raise InputError(f"{folder} can not be written ({error.strerror}): choose another place") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return open_study(folder)


def open_study(folder: str | os.PathLike[str]) -> Study:
    """A study by its folder.

    Raises:
        InputError: It is not the folder of a study, or one of its cases can not be read.
    """
    folder = Path(os.path.realpath(folder))
    content = _read_json(folder / STUDY, "a study (strokeseg review create makes one)")
    try:
        study_id, case_ids = str(content["study_id"]), [check_name(each, "case") for each in content["case_ids"]]
        newer = content["format"] != FORMAT
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / STUDY} lacks {error}, which every study has: bring back the file") from error
    if newer:
        raise InputError(f"{folder} was made by a newer version of StrokeSeg: update")
    cases = tuple(_read_case(case_folder(folder, case_id), case_id) for case_id in case_ids)
    return Study(folder, study_id, cases, EventLog(folder))


def add_result(study: Study, case_id: str, result: str | os.PathLike[str], *, copy: bool = False) -> ModelResult:
    """Adds a model's result folder to a case of a study.

    Raises:
        InputError: The study has no such case, the folder is no result folder, or the study can not be written to.
    """
    study.case(case_id)
    return write_result(case_folder(study.folder, case_id), case_id, Path(result), copy=copy)


def _write_study(stage: Path, home: Path, cases: Sequence[Case]) -> None:
    patients = {patient: f"patient-{n:03d}" for n, patient in enumerate(dict.fromkeys(c.patient_id for c in cases), 1)}
    for case in cases:
        content = {
            "format": FORMAT,
            "case_id": case.case_id,
            "patient": patients[case.patient_id],
            "split": case.split,
            "images": {
                role: relative_path(path, case_folder(home, case.case_id)) for role, path in case.images.items()
            },
        }
        _write_json(case_folder(stage, case.case_id) / CASE, content)
    study = {"format": FORMAT, "study_id": secrets.token_hex(16), "case_ids": [case.case_id for case in cases]}
    _write_json(stage / STUDY, study)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_once(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def _read_json(path: Path, what: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path.parent} is not {what}: no {path.name} that can be read") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not {what}: bring back the file")
    return content


def _read_case(folder: Path, case_id: str) -> StudyCase:
    content = _read_json(folder / CASE, "a case of a study")
    try:
        images = {role: Path(os.path.normpath(folder / path)) for role, path in content["images"].items()}
        return StudyCase(case_id, str(content["patient"]), images, content["split"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / CASE} lacks {error}, which every case has: bring back the file") from error


def _check_cases(cases: Sequence[Case]) -> None:
    problems = [] if cases else ["there are no cases"]
    seen: set[str] = set()
    for case in cases:
        try:
            check_name(case.case_id, "case")
        except InputError as error:
            problems.append(str(error))
        if case.case_id.casefold() in seen:
            problems.append(f"case {case.case_id} comes twice")
        seen.add(case.case_id.casefold())
        problems += [f"case {case.case_id}: {path} does not exist" for path in case.images.values() if not _there(path)]
    if problems:
        raise InputError(f"these cases can not make a study: {'; '.join(problems)}")


def _there(image: Path) -> bool:
    return os.path.lexists(image) or os.path.lexists(str(image).rpartition("#")[0] or image)


def _found_results(cases: Sequence[Case], results: Path | None) -> dict[str, Path]:
    if results is None:
        return {}
    found = {c.case_id: results / c.case_id for c in cases if (results / c.case_id / MEASUREMENTS).is_file()}
    if not found:
        raise InputError(f"{results} has no result of any of the {len(cases)} cases, needed {results}/<case_id>/")
    return found

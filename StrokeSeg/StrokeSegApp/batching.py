"""Many cases, one model: ``strokeseg batch`` as a child process, and its summary, a row a case. Opens no dialogs."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp.command_run import CommandRun
from StrokeSegApp.dicom_cases import examinationsInSteps
from StrokeSegApp.input_roles import ROLES, roleOfName
from StrokeSegApp.model_store import modelWord
from StrokeSegApp.panel_words import inPanelWords
from StrokeSegApp.progress import Progress
from StrokeSegLib.case_table import Case, read_case_table, write_case_table
from StrokeSegLib.errors import InputError
from StrokeSegLib.readers import detect_layout, read_layout
from StrokeSegLib.steps import run_to_end

SUMMARY = "summary.csv"
#: The case table that the command is given.
CASES = "cases.csv"
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
#: The summary's words for a case that is done, and for one that is still to come.
DONE, WAITING = "done", "waiting"
#: Exit code of a batch that came to its end and could not do some cases: its summary says which.
SOME_FAILED = 3
#: Columns of the summary that are no volume.
_OTHER_COLUMNS = ("case_id", "status", "seconds", "error")


@dataclass(frozen=True)
class Row:
    """What is known of a case: ``status`` is ``done``, ``failed`` or ``waiting``.

    Attributes:
        volumes_ml: Name of the column without its unit -> mL.
    """

    caseId: str
    status: str = WAITING
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    error: str = ""


class BatchRun(CommandRun):
    """A batch in progress; see ``CommandRun``. ``cases`` are those that it works on."""

    goodCodes = (0, SOME_FAILED)

    def __init__(
        self,
        cases: Sequence[Case],
        model: Any,
        out: Path,
        *,
        resume: bool = False,
        command: Sequence[str] | None = None,
    ) -> None:
        """Start the command.

        Args:
            cases: What to segment.
            model: Card of the model.
            out: The results, a folder a case; stays, also after a cancel.
            resume: Go on with the batch in ``out``.
            command: Stands for ``PythonSlicer -m StrokeSegLib`` (tests).
        """
        self.cases = tuple(cases)
        self.out = out.expanduser().absolute()  # the child has another current folder

        def words(folder: Path) -> list[str]:
            table = folder / CASES
            write_case_table(self.cases, table)
            start = ["batch", "--model", modelWord(model), "--cases", str(table), "--out", str(self.out)]
            return start + (["--resume"] if resume else [])

        super().__init__(words, command)


def readCases(source: Path, roles: Collection[str] = ROLES) -> tuple[Case, ...]:
    """The cases of a case table, of a folder in a known layout, or of a folder with a folder of images a case.

    In the last, the names of the images say what they are, as ``dwi.nii.gz`` and ``patient 3 ADC.nrrd`` do; where a
    folder has no such names, its DICOM series do.

    Args:
        source: The table or folder.
        roles: That are looked for among DICOM series.

    Raises:
        InputError: Nothing there can be read as cases.
    """
    return run_to_end(casesInSteps(source, roles))


def casesInSteps(source: Path, roles: Collection[str] = ROLES) -> Generator[Progress, None, tuple[Case, ...]]:
    """As ``readCases``, for who must not wait for a folder of DICOM files: a turn reads one of them.

    Raises:
        InputError: As ``readCases``.
    """
    if not source.is_dir():
        return tuple(_absolute(case) for case in read_case_table(source))
    if detect_layout(source) is not None:
        return tuple(_absolute(case) for case in read_layout(source)[1])
    folders = sorted(each for each in source.iterdir() if each.is_dir() and not each.name.startswith("."))
    named = {folder: case for folder in (source, *folders) if (case := _caseOfFolder(folder)) is not None}
    cases = list(named.values())
    if source not in named:
        cases += yield from examinationsInSteps(source, [each for each in folders if each not in named], roles)
    if not cases:
        raise InputError(
            _(
                "{source} holds no images of which the name (such as dwi.nii.gz) or DICOM says what they are: a folder"
                " a case, or a case table, is needed"
            ).format(source=source)
        )
    return tuple(sorted(cases, key=lambda case: (case.case_id != source.name, case.case_id)))


def readSummary(out: Path) -> list[Row]:
    """The rows of a batch's summary; none where there is no summary yet."""
    try:
        text = (out / SUMMARY).read_text(encoding="utf-8-sig")
    except OSError:
        return []
    return [_row(cells) for cells in csv.DictReader(io.StringIO(text)) if cells.get("case_id")]


def mergedRows(cases: Sequence[Case], summary: Sequence[Row]) -> list[Row]:
    """A row for every case, in the order of the cases, then those that only the summary knows."""
    done = {row.caseId: row for row in summary}
    rows = [done.pop(case.case_id, Row(case.case_id)) for case in cases]
    return rows + list(done.values())


def _row(cells: Mapping[str, str | None]) -> Row:
    volumes = {
        name.removesuffix("_ml").replace("_", " "): value
        for name, text in cells.items()
        if name not in _OTHER_COLUMNS and name.endswith("_ml") and (value := _number(text)) is not None
    }
    return Row(
        cells.get("case_id") or "",
        cells.get("status") or "",
        volumes,
        _number(cells.get("seconds")),
        inPanelWords(cells.get("error") or ""),
    )


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _caseOfFolder(folder: Path) -> Case | None:
    """The images of one folder as a case; None where no name says anything.

    Raises:
        InputError: Two images say the same.
    """
    images: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        role = roleOfName(path.name) if path.is_file() and path.name.lower().endswith(SUFFIXES) else None
        if role not in ROLES:
            continue
        if role in images:
            raise InputError(
                _(
                    "{folder} holds two images for {role}: {first} and {second}; move one elsewhere, or write a case"
                    " table"
                ).format(folder=folder, role=role, first=images[role].name, second=path.name)
            )
        images[role] = path.absolute()
    return Case(folder.name, folder.name, images) if images else None


def _absolute(case: Case) -> Case:
    return Case(
        case.case_id,
        case.patient_id,
        {role: path.absolute() for role, path in case.images.items()},
        case.lesion and case.lesion.absolute(),
        case.split,
    )

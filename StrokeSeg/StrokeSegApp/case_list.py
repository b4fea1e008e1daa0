"""Many cases from the console, one after the other in the warm worker: nodes or files, a result each. No dialogs.

A case that fails is a result with its error; the others go on. ``strokeseg batch`` (batching.py) is for whole cohorts.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp.batching import readCases
from StrokeSegApp.logic import SegmentationRun, checkRoles, wordOf
from StrokeSegApp.progress import Progress
from StrokeSegApp.worker_client import RunError, WorkerRun
from StrokeSegLib.errors import InputError
from StrokeSegLib.models import ModelCard
from StrokeSegLib.worker.client import Worker

#: The key of a case's dictionary that is its name and no role.
NAME_KEY = "case_id"


@dataclass(frozen=True)
class CaseResult:
    """What became of one case.

    Attributes:
        caseId: Its name.
        measurements: The content of measurements.json; None where it failed.
        segmentation: The new node, for a case of nodes.
        out: The result folder, for a case of files.
        error: Why it failed: InputError or RunError.
    """

    caseId: str
    measurements: dict[str, Any] | None = None
    segmentation: Any = None
    out: Path | None = None
    error: Exception | None = None


class FilesRun(WorkerRun):
    """A segmentation from files to a result folder; ``finish`` gives the measurements."""

    def __init__(self, request: Mapping[str, Any], worker: Worker) -> None:
        super().__init__(worker, keepWorker=True)
        self.ask("segment", request)

    def finish(self) -> dict[str, Any]:
        """The content of measurements.json. Raises as ``WorkerRun.answer``."""
        self.poll()
        measurements: dict[str, Any] = self.answer()["measurements"]
        return measurements


class CaseListRun:
    """Cases in progress. Call ``poll`` until it says True, then ``finish``; or ``cancel`` at any time.

    Attributes:
        progress: Stage ``cases``; None before the first case has begun.
        results: Of the cases that have ended, in their order.
    """

    def __init__(
        self,
        cases: str | os.PathLike[str] | Sequence[Mapping[str, Any]],
        model: ModelCard,
        worker: Worker,
        out: str | os.PathLike[str] | None = None,
        *,
        resume: bool = False,
        device: str = "auto",
        threshold: float | None = None,
    ) -> None:
        """Check the list; nothing is started yet.

        Args:
            cases: A case table or a folder of images, or for each case a dictionary of nodes or of files by role, with
                its name under ``case_id``.
            model: What to run.
            worker: Stays warm.
            out: For cases of files: gets a result folder for each.
            resume: What lies in ``out`` already, made by this model, is not made again.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            threshold: Probability from which a voxel counts; the model's own when None.

        Raises:
            InputError: The list cannot be used: unreadable, empty, a name twice, files without ``out``.
        """
        self._cases = _named(cases, [each.role for each in model.inputs])
        self._out = None if out is None else Path(out).expanduser().absolute()
        if self._out is None and any(_isFiles(inputs) for inputs in self._cases.values()):
            raise InputError(_("a result folder is needed for cases of files, got none: give out=FOLDER"))
        self._model, self._worker, self._resume = model, worker, resume
        self._choices: dict[str, Any] = {"device": device, "threshold": threshold}
        self._left = list(self._cases)
        self._run: Any = None
        self._began = time.monotonic()
        self.progress: Progress | None = None
        self.results: list[CaseResult] = []

    def poll(self) -> bool:
        """Look after the case in progress, or begin the next one; True once all have ended."""
        try:
            if self._run is None and self._left:
                self._begin(self._left[0])
            elif self._run is not None and self._run.poll():
                self._note(self._ended())
        except (InputError, RunError) as error:
            if self._run is not None:
                self._run.cancel(wait=True)
            self._note(CaseResult(self._left[0], error=error))
        return not self._left

    def finish(self) -> list[CaseResult]:
        """A result for each case, in their order."""
        return list(self.results)

    def cancel(self, wait: bool = True) -> None:
        """End the case in progress and begin no other; the results so far stay."""
        run, self._run = self._run, None
        self._left.clear()
        if run is not None:
            run.cancel(wait)

    def _begin(self, name: str) -> None:
        inputs = self._cases[name]
        if not self.results:
            self._tell()
        if not _isFiles(inputs):
            self._run = SegmentationRun(inputs, self._model, worker=self._worker, **self._choices)
            return
        checkRoles(self._model, inputs)
        out = self._folderOf(name)
        if self._resume and (found := _resultIn(out, self._model.reading(inputs))) is not None:
            self._note(CaseResult(name, found, out=out))
            return
        roles = [each.role for each in self._model.inputs if each.role in inputs]
        files = {role: str(Path(inputs[role]).expanduser().absolute()) for role in roles}
        request = {"model": wordOf(self._model), "inputs": files, "out": str(out), **self._choices}
        self._run = FilesRun(request, self._worker)

    def _ended(self) -> CaseResult:
        name, result = self._left[0], self._run.finish()
        if isinstance(self._run, FilesRun):
            return CaseResult(name, result, out=self._folderOf(name))
        segmentation, measurements = result
        return CaseResult(name, measurements, segmentation)

    def _note(self, result: CaseResult) -> None:
        self._run = None
        self.results.append(result)
        self._left.pop(0)
        self._tell()

    def _tell(self) -> None:
        done, total = len(self.results), len(self._cases)
        left_s = (time.monotonic() - self._began) / done * (total - done) if done else None
        self.progress = Progress("cases", done, total, left_s)

    def _folderOf(self, name: str) -> Path:
        assert self._out is not None
        return self._out / name


def _named(
    cases: str | os.PathLike[str] | Sequence[Mapping[str, Any]], roles: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Name -> role -> node or file."""
    if isinstance(cases, (str, os.PathLike)):
        read = readCases(Path(cases).expanduser().absolute(), roles)
        return {case.case_id: dict(case.images) for case in read}
    result: dict[str, dict[str, Any]] = {}
    for number, case in enumerate(cases, 1):
        name = str(case.get(NAME_KEY, f"case-{number:03d}"))
        if name in result:
            raise InputError(
                _("two cases are named '{name}', different names are needed: change one {key}").format(
                    name=name, key=NAME_KEY
                )
            )
        if Path(name).name != name:
            raise InputError(
                _("'{name}' is no name for a case, it becomes a folder: leave out slashes and dots").format(name=name)
            )
        result[name] = {role: value for role, value in case.items() if role != NAME_KEY and value is not None}
    if not result:
        raise InputError(_("the list of cases is empty, at least one is needed: give a dictionary a case"))
    return result


def _isFiles(inputs: Mapping[str, Any]) -> bool:
    """Whether a case is given by files.

    Raises:
        InputError: By nodes and files.
    """
    files = [isinstance(value, (str, os.PathLike)) for value in inputs.values()]
    if any(files) and not all(files):
        raise InputError(_("a case has nodes and files, only one kind is needed: load the files, or save the nodes"))
    return any(files)


def _resultIn(folder: Path, model: ModelCard) -> dict[str, Any] | None:
    """The measurements of a whole result of this very model; None where there is none."""
    try:
        found: dict[str, Any] = json.loads((folder / "measurements.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if (found.get("model"), found.get("sha256")) == (model.id, model.sha256) else None

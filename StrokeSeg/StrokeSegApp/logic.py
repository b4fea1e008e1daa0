"""One run, from volume nodes to a segmentation node: the console's and the panel's way to a result. Opens no dialogs.

The network runs in a child process (``python -m StrokeSegLib segment``), so that Slicer neither freezes nor loads
torch or OpenVINO. Volumes go there, and the mask comes back, as files in a private temporary folder.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import slicer

from StrokeSegApp import dependencies, scene
from StrokeSegApp.child_process import ChildProcess
from StrokeSegApp.paths import rootFolder
from StrokeSegApp.progress import Progress, parseProgress
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.models import ModelCard, find_model

EXIT_BAD_INPUT = 2
POLL_INTERVAL_S = 0.05
#: Lines of the child's standard error that are kept for an error report.
KEPT_LINES = 200
#: How the command begins the one line in which it says what went wrong.
SPOKEN = "strokeseg: "
#: Uncompressed, and with all digits of the geometry.
INPUT_SUFFIX = ".mha"


class RunError(RuntimeError):
    """A run failed through a fault of ours or of the machine; ``details`` holds what the child process said."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


def missingInputs(model: ModelCard, roles: Sequence[str]) -> list[str]:
    """The required roles of the model that are not among ``roles``; all its other roles when too few are there."""
    missing = [each.role for each in model.inputs if each.required and each.role not in roles]
    known = [each.role for each in model.inputs]
    if not missing and len(set(roles) & set(known)) < model.minimum_inputs:
        missing = [role for role in known if role not in roles]
    return missing


class ChildRun:
    """A command in a child process: its progress, and the last lines that it said."""

    progress: Progress | None = None  # None until the child has said something
    _child: ChildProcess
    _lines: deque[str]

    def poll(self) -> bool:
        """Read the child's progress; True once it has ended."""
        ended = self._child.exitCode() is not None  # asked first: lines written before the end are then all read
        for line in self._child.newLines():
            progress = parseProgress(line)
            if progress is None:
                self._lines.append(line)
            else:
                self.progress = progress
        return ended

    def cancel(self) -> None:
        """End the child process."""
        raise NotImplementedError


def waitFor(run: ChildRun, progress: Callable[[str, int, int], None] | None) -> None:
    """Wait for a run's end; what ``progress`` raises, and an interrupt from the keyboard, cancels it."""
    try:
        said = None
        ended = False
        while not ended:
            ended = run.poll()
            if progress is not None and run.progress is not None and run.progress != said:
                said = run.progress
                progress(said.stage, said.done, said.total)
            if not ended:
                time.sleep(POLL_INTERVAL_S)
    except BaseException:
        run.cancel()
        raise


class SegmentationRun(ChildRun):
    """A run in progress. Call ``poll`` until it says True, then ``finish``; or ``cancel`` at any time.

    Nodes are remembered by id: one that the user deletes meanwhile is noticed, not touched.
    """

    def __init__(self, volumes: Mapping[str, Any], model: ModelCard, command: Sequence[str] | None = None) -> None:
        """Write the inputs and start the child process.

        Args:
            volumes: A volume node for each role, such as ``{"dwi": node, "adc": node}``.
            model: What to run.
            command: Stands for ``PythonSlicer -m StrokeSegLib`` (tests).

        Raises:
            InputError: A role is unknown or missing, or a volume cannot be used.
            RunError: The inputs cannot be written or the process cannot be started.
        """
        volumes = {role: node for role, node in volumes.items() if node is not None}
        _checkRoles(model, volumes)
        self.model = model
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._sources = {role: scene.sourceOf(node) for role, node in volumes.items()}
        self._names = {role: node.GetName() for role, node in volumes.items()}
        # The result lies on the grid of the first input, in the model's order, not in the caller's.
        roles = [each.role for each in model.inputs if each.role in volumes]
        self._referenceId = volumes[roles[0]].GetID()
        self._referenceName = self._names[roles[0]]
        self._folder = Path(tempfile.mkdtemp(prefix="StrokeSeg-"))
        try:
            arguments = []
            for role in roles:
                write_image(scene.volumeFromNode(volumes[role]), self._inputPath(role))
                arguments.append(f"{role}={self._inputPath(role)}")
            start = [*(command or childCommand()), "segment", "--model", model.id, *arguments]
            self._child = ChildProcess([*start, "--out", str(self._out), "--json"], self._folder, environment())
        except OSError as error:
            self._removeFiles()
            raise RunError(f"The segmentation could not be started: {error}") from error
        except BaseException:
            self._removeFiles()
            raise

    def cancel(self) -> None:
        """End the child process and remove every temporary file."""
        self._child.kill()
        self._removeFiles()

    def finish(self) -> tuple[Any, dict[str, Any]]:
        """Bring the result into the scene.

        Returns:
            The new segmentation node and the content of measurements.json.

        Raises:
            InputError: The child refused the input, or the first volume was deleted or moved during the run.
            RunError: The child failed.
        """
        try:
            self.poll()
            self._checkExit()
            reference = slicer.mrmlScene.GetNodeByID(self._referenceId)
            if reference is None:
                raise InputError(f"volume '{self._referenceName}' was removed during the run; nothing was added")
            try:
                labels = read_image(self._out / "lesion.nii.gz").volume
                measurements = json.loads((self._out / "measurements.json").read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise RunError("The segmentation ended without a readable result.", f"{error}\n{self._log}") from error
            for role, entry in measurements.get("inputs", {}).items():
                entry["path"] = self._sources.get(role, "")  # the temporary copy's path would say nothing
            names = {label.value: label.name.capitalize() for label in self.model.labels}
            algorithm = f"StrokeSeg {self.model.id} {self.model.version}"
            segmentation = scene.addSegmentation(reference, labels, names, algorithm)
            scene.storeMeasurements(segmentation, measurements)
            scene.showResult(segmentation, reference)
            return segmentation, measurements
        finally:
            self._removeFiles()

    @property
    def _out(self) -> Path:
        return self._folder / "result"

    @property
    def _log(self) -> str:
        return "\n".join(self._lines)

    def _inputPath(self, role: str) -> Path:
        return self._folder / f"{role}{INPUT_SUFFIX}"

    def _checkExit(self) -> None:
        code = self._child.exitCode()
        if code == 0:
            return
        last = self._lines[-1] if self._lines else ""
        message = last.removeprefix(SPOKEN)
        for role, name in self._names.items():  # the temporary copy's path would say nothing
            message = message.replace(str(self._inputPath(role)), f"volume '{name}'")
        if code == EXIT_BAD_INPUT:
            raise InputError(message or "the input was refused without a reason")
        if not last.startswith(SPOKEN):
            message = f"The segmentation stopped unexpectedly (exit code {code})."
        raise RunError(message, self._log)

    def _removeFiles(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def segment(
    volumes: Mapping[str, Any],
    model: str = "mri",
    progress: Callable[[str, int, int], None] | None = None,
    command: Sequence[str] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Segment and wait for the result.

    Args:
        volumes: A volume node for each role, such as ``{"dwi": node, "adc": node}``.
        model: Id of a bundled model.
        progress: Called with (stage, done, total) as the work goes on.
        command: Stands for ``PythonSlicer -m StrokeSegLib`` (tests).

    Returns:
        The new segmentation node and the content of measurements.json.

    Raises:
        InputError: The input or the request was wrong.
        RunError: The run failed, or a package that it needs is missing.
    """
    missing = dependencies.missingRequirements()
    if missing:
        needed = " ".join(missing)
        raise RunError(f"StrokeSeg needs {needed}: press Apply in the panel once, or pip_install('{needed}').")
    run = SegmentationRun(volumes, find_model(model), command)
    waitFor(run, progress)
    return run.finish()


def _checkRoles(model: ModelCard, volumes: Mapping[str, Any]) -> None:
    known = [each.role for each in model.inputs]
    unknown = [role for role in volumes if role not in known]
    if unknown:
        raise InputError(f"model '{model.id}' has no input '{unknown[0]}'; its inputs are {', '.join(known)}")
    missing = missingInputs(model, list(volumes))
    if missing:
        raise InputError(
            f"model '{model.id}' needs {', '.join(missing)} as well; got {', '.join(volumes) or 'nothing'}"
        )


def childCommand() -> list[str]:
    """The command line's program, in Slicer's own Python."""
    return [shutil.which("PythonSlicer") or sys.executable, "-m", "StrokeSegLib"]


def environment() -> dict[str, str]:
    """The child's environment: PythonSlicer sets Slicer's own up again, so it starts from the one before Slicer."""
    inSlicer = shutil.which("PythonSlicer") is not None
    result = dict(slicer.util.startupEnvironment() if inSlicer else os.environ)
    inherited = result.get("PYTHONPATH")
    result["PYTHONPATH"] = os.pathsep.join([str(rootFolder()), *([inherited] if inherited else [])])
    return result

"""Training from Slicer's console: ``strokeseg train`` as a child process, with progress and cancel. Opens no dialogs.

The run folder is the user's own and stays: a training that was cancelled or killed goes on with ``resume=True``.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from StrokeSegApp.child_process import ChildProcess
from StrokeSegApp.logic import (
    EXIT_BAD_INPUT,
    KEPT_LINES,
    SPOKEN,
    ChildRun,
    RunError,
    childCommand,
    environment,
    waitFor,
)
from StrokeSegLib.errors import InputError

#: A training that is cancelled has this long to end its step and keep what it has learned.
CANCEL_GRACE_S = 20.0


class TrainingRun(ChildRun):
    """A training in progress. Call ``poll`` until it says True, then ``finish``; or ``cancel`` at any time."""

    def __init__(
        self,
        system: str,
        data: str | Path,
        out: str | Path,
        *,
        preset: str = "bundled",
        settings: Mapping[str, Any] | None = None,
        init: str | Path | None = None,
        resume: bool = False,
        command: Sequence[str] | None = None,
    ) -> None:
        """Start the child process; see ``StrokeSegLogic.train`` for the arguments.

        Raises:
            RunError: The process cannot be started.
        """
        self.out = Path(out).expanduser().absolute()  # the child has another current folder
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        words = ["train", "--system", system, "--preset", preset, "--out", str(self.out)]
        words += ["--data", "synth" if data == "synth" else str(Path(data).expanduser().absolute())]
        for key, value in (settings or {}).items():
            words += ["--set", f"{key}={_asWord(value)}"]
        if init is not None:  # a checkpoint, a model's folder, or a model's id
            path = Path(init).expanduser()
            isPath = path.is_file() or (path / "model.json").is_file()
            words += ["--init", str(path.absolute() if isPath else init)]
        words += ["--resume"] if resume else []
        self._folder = Path(tempfile.mkdtemp(prefix="StrokeSeg-"))
        try:
            self._child = ChildProcess([*(command or childCommand()), *words], self._folder, environment())
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise RunError(f"The training could not be started: {error}") from error

    def cancel(self) -> None:
        """End the child process, after its step if that takes less than ``CANCEL_GRACE_S``; the run folder stays."""
        self._child.kill(CANCEL_GRACE_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def finish(self) -> Path:
        """The run folder.

        Raises:
            InputError: The data, the preset or a setting was wrong.
            RunError: The training failed.
        """
        try:
            self.poll()
            code = self._child.exitCode()
            last = self._lines[-1] if self._lines else ""
            if code == EXIT_BAD_INPUT:
                raise InputError(last.removeprefix(SPOKEN) or "the training was refused without a reason")
            if code != 0:
                said = last.removeprefix(SPOKEN) if last.startswith(SPOKEN) else f"exit code {code}"
                raise RunError(f"The training stopped: {said}", "\n".join(self._lines))
            return self.out
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


def train(
    run: TrainingRun,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Wait for a training; an interrupt from the keyboard, or of the callback, ends it."""
    waitFor(run, progress)
    return run.finish()


def _asWord(value: Any) -> str:
    """A setting as the command line takes it: numbers of a list have commas between them."""
    return ",".join(str(each) for each in value) if isinstance(value, (list, tuple)) else str(value)

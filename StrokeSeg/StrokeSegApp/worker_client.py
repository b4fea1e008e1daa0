"""The warm worker as Slicer has it: started with PythonSlicer, asked, looked after by a timer. Opens no dialogs.

What the worker is and how it is talked to lies in StrokeSegLib.worker; here is only what Slicer adds.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from StrokeSegApp.ask_again import untilTrue
from StrokeSegApp.failures import explained
from StrokeSegApp.panel_words import inPanelWords
from StrokeSegApp.paths import rootFolder
from StrokeSegApp.progress import Progress
from StrokeSegLib.errors import InputError
from StrokeSegLib.worker.call import Call, JobCancelledError, WorkerError
from StrokeSegLib.worker.client import CANCEL_S, Worker

POLL_INTERVAL_S = 0.05


class RunError(RuntimeError):
    """A run failed through a fault of ours or of the machine; ``details`` holds what the child process said."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class WorkerRun:
    """A job of the worker in progress. Call ``poll`` until it says True, then ``finish``; or ``cancel`` at any time.

    Attributes:
        progress: How far it is; None until the worker has said something.
        words: What the messages call it.
    """

    progress: Progress | None = None
    words = "segmentation"

    def __init__(self, worker: Worker, keepWorker: bool) -> None:
        """Start the worker, unless it runs; ``keepWorker`` leaves it running at the end.

        Raises:
            RunError: The process cannot be started.
        """
        self._worker = worker
        self._keepWorker = keepWorker
        self._call: Call | None = None
        try:
            worker.start()
        except OSError as error:
            raise self._startError(error) from error
        self._child = worker.child

    @property
    def _log(self) -> str:
        """The last lines that the worker's process has said beside its answers."""
        return "\n".join(self._child.said()) if self._child is not None else ""

    def ask(self, method: str, params: Mapping[str, Any]) -> None:
        """Send the job.

        Raises:
            RunError: The process cannot be started again.
        """
        try:
            self._call = self._worker.ask(method, params)
        except OSError as error:
            raise self._startError(error) from error
        self._child = self._worker.child

    def poll(self) -> bool:
        """Take in what the worker has said, without waiting; True once the run has ended."""
        if self._call is None:
            return False
        self._worker.poll()
        step = self._call.progress
        if step is not None:
            self.progress = Progress(step.stage, step.done, step.total, step.eta_s)
        return self._call.ended

    def answer(self) -> dict[str, Any]:
        """What the worker answered.

        Raises:
            InputError: The input or the request was wrong.
            RunError: It failed or was canceled.
        """
        if self._call is None or not self._call.ended:
            raise RunError(_("The {what} has not ended yet.").format(what=self.words))
        try:
            return self._call.result()
        except JobCancelledError as error:
            raise RunError(_("The {what} was canceled.").format(what=self.words)) from error
        except InputError as error:
            raise InputError(inPanelWords(str(error))) from error
        except WorkerError as error:
            if error.exit_code is None:
                raise RunError(explained(str(error), error.details), error.details) from error
            message = self.stoppedMessage(error.exit_code)
            raise RunError(explained(message, error.details, error.exit_code), error.details) from error

    def stoppedMessage(self, exitCode: int) -> str:
        """What is said when the process died in the middle of the job."""
        text = _("The {what} stopped unexpectedly (exit code {code}).")
        return text.format(what=self.words, code=exitCode)

    def cancel(self, wait: bool = True) -> None:
        """End the job and remove its temporary files; harmless when it has ended.

        The worker stays warm where it obeys within a second; where not, its whole process tree is killed.

        Args:
            wait: Return when that is done. Otherwise return at once, and a timer of Qt looks after it.
        """
        call, self._call = self._call, None
        if call is not None and not call.ended:
            if wait or not self._keepWorker:
                self._worker.cancel_and_wait(call)
            else:
                self._worker.cancel(call)
                lookAfter(self._worker, call, self.release)
        self.release()

    @property
    def gone(self) -> bool:
        """Whether the process that worked for this run has ended: after a cancel, nothing writes any more then."""
        child = self._worker.child
        return child is None or child.gone

    def release(self) -> None:
        """Let go of what only this run needed."""
        if not self._keepWorker:
            self._worker.close()

    def _startError(self, error: OSError) -> RunError:
        return RunError(_("The {what} could not be started: {error}").format(what=self.words, error=error))


def newWorker(command: Sequence[str] | None = None, cancelS: float = CANCEL_S) -> Worker:
    """A worker that is not started yet; ``command`` stands for ``PythonSlicer -m StrokeSegLib`` (tests)."""
    return Worker([*(command or childCommand()), "worker"], environment(), cancel_s=cancelS)


def lookAfter(worker: Worker, call: Call, ended: Callable[[], None]) -> None:
    """Poll with a timer of Qt until a canceled call has ended, or its time is over and the process tree is killed."""

    def look() -> bool:
        worker.poll()
        if call.ended:
            ended()
        return call.ended

    untilTrue(look)


def waitFor(run: Any, progress: Callable[[str, int, int], None] | None) -> None:
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


def childCommand() -> list[str]:
    """The command line's program, in Slicer's own Python."""
    return [shutil.which("PythonSlicer") or sys.executable, "-m", "StrokeSegLib"]


def environment() -> dict[str, str]:
    """The child's environment: PythonSlicer sets Slicer's own up again, so it starts from the one before Slicer."""
    inSlicer = shutil.which("PythonSlicer") is not None
    result = dict(slicer.util.startupEnvironment() if inSlicer else os.environ)
    inherited = result.get("PYTHONPATH")
    result["PYTHONFAULTHANDLER"] = "1"  # a crash says what it was: its exit code does not pass Slicer's launcher
    result["PYTHONPATH"] = os.pathsep.join([str(rootFolder()), *([inherited] if inherited else [])])
    return result

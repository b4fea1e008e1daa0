"""A command of ``strokeseg`` that works in a folder of the user's: batch and export. Opens no dialogs."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from slicer.i18n import tr as _

from StrokeSegApp.ask_again import untilTrue
from StrokeSegApp.child_process import ChildProcess
from StrokeSegApp.failures import explained
from StrokeSegApp.panel_words import inPanelWords
from StrokeSegApp.progress import Progress, parseProgress
from StrokeSegApp.worker_client import RunError, childCommand, environment
from StrokeSegLib.errors import InputError

EXIT_BAD_INPUT = 2
#: Lines of the command's standard error that are kept for an error report.
KEPT_LINES = 200
#: How the command begins the one line in which it says what went wrong.
SPOKEN = "strokeseg: "
#: A command that is asked to end has this long to finish what it writes.
GRACE_S = 5.0


class CommandRun:
    """A command in progress. Call ``poll`` until it says True, then ``finish``; or ``cancel`` at any time.

    Attributes:
        progress: How far it is; None until it has said something.
    """

    progress: Progress | None = None
    #: Exit codes that are no failure of the command.
    goodCodes: tuple[int, ...] = (0,)

    def __init__(self, makeWords: Callable[[Path], Sequence[str]], command: Sequence[str] | None = None) -> None:
        """Start the command.

        Args:
            makeWords: Gives the command's words; called with a private folder that lives as long as the run.
            command: Stands for ``PythonSlicer -m StrokeSegLib`` (tests).

        Raises:
            InputError: ``makeWords`` refused.
            RunError: The process cannot be started.
        """
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._folder = Path(tempfile.mkdtemp(prefix="StrokeSeg-"))
        try:
            words = [*(command or childCommand()), *makeWords(self._folder)]
            self._child = ChildProcess(words, self._folder, environment())
        except OSError as error:
            self._removeFiles()
            raise RunError(_("The command could not be started: {error}").format(error=error)) from error
        except BaseException:
            self._removeFiles()
            raise

    @property
    def folder(self) -> Path:
        """Private to the run, gone after ``finish`` and ``cancel``."""
        return self._folder

    @property
    def gone(self) -> bool:
        """Whether the child process has ended: after a cancel, nothing writes any more then."""
        return self._child.gone

    def poll(self) -> bool:
        """Read what the command says of its progress; True once it has ended."""
        ended = self._child.exitCode() is not None  # asked first: lines written before the end are then all read
        for line in self._child.newLines():
            progress = parseProgress(line)
            if progress is None:
                self._lines.append(line)
            else:
                self.progress = progress
        return ended

    def cancel(self, wait: bool = True) -> None:
        """End the child process; what it has written into the user's folder stays.

        Args:
            wait: Return when it is gone. Otherwise return at once, and a timer of Qt looks after it.
        """
        if wait:
            self._child.kill(GRACE_S)
            self._removeFiles()
        else:
            self._child.askToEnd()
            until = time.monotonic() + GRACE_S
            untilTrue(lambda: self._isOver(until))

    def _isOver(self, until: float) -> bool:
        if self.gone:
            self._child.kill(0)  # what it started may have outlived it
            self._removeFiles()
            return True
        if time.monotonic() >= until or os.name == "nt":  # Windows has no way to ask
            self._child.kill(0, wait=False)
        return False

    def finish(self) -> None:
        """Judge the end.

        Raises:
            InputError: The command refused its input.
            RunError: It failed.
        """
        try:
            self.poll()
            code = self._child.exitCode()
            last = self._lines[-1] if self._lines else ""
            if code == EXIT_BAD_INPUT:
                raise InputError(inPanelWords(last.removeprefix(SPOKEN)) or _("the input was refused without a reason"))
            if code not in self.goodCodes:
                codeText = _("exit code {code}").format(code=code)
                said = last.removeprefix(SPOKEN) if last.startswith(SPOKEN) else codeText
                log = "\n".join(self._lines)
                raise RunError(explained(_("It stopped: {reason}").format(reason=said), log, code), log)
            self.beforeRemoval()
        finally:
            self._removeFiles()

    def beforeRemoval(self) -> None:
        """What a successful command still has to do with its private folder."""

    def _removeFiles(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

"""A command in a process of its own: start, read what it says, end it with everything it started.

No thread and no pipe: the child writes into two files that are read on request, so nothing can block on a full pipe and
Slicer's event loop decides when to look. Knows nothing of Slicer. Segmentation and training go through the worker
instead (worker_client.py), which stays warm.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from StrokeSegApp.progress import Progress, parseProgress

EXIT_BAD_INPUT = 2
#: Lines of the child's standard error that are kept for an error report.
KEPT_LINES = 200
#: How the command begins the one line in which it says what went wrong.
SPOKEN = "strokeseg: "
#: A child that is asked to end may clean up for this long before it is killed.
GRACE_S = 0.5


class ChildProcess:
    """A running command whose standard output and error go to ``stdout.txt`` and ``stderr.txt`` in ``folder``."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Start the command, without a shell, in ``folder``.

        Raises:
            OSError: The program cannot be started.
        """
        self._stderrPath = folder / "stderr.txt"
        self._readUpTo = 0
        self._unfinishedLine = b""
        platform: dict[str, object] = {"start_new_session": True}  # its own group, so that the whole tree can be ended
        if os.name == "nt":
            platform = {"creationflags": subprocess.CREATE_NO_WINDOW}
        with open(folder / "stdout.txt", "wb") as out, open(self._stderrPath, "wb") as err:
            self._process = subprocess.Popen(
                list(command),
                cwd=folder,
                env={**environment, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                **platform,
            )

    @property
    def processId(self) -> int:
        return self._process.pid

    def exitCode(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def newLines(self) -> list[str]:
        """The complete lines on standard error since the last call; after the end, an unfinished last line too."""
        ended = self.exitCode() is not None
        with open(self._stderrPath, "rb") as file:
            file.seek(self._readUpTo)
            chunk = file.read()
        self._readUpTo += len(chunk)
        # A progress bar rewrites its line with carriage returns: each rewrite counts as a line.
        *lines, self._unfinishedLine = (self._unfinishedLine + chunk).replace(b"\r", b"\n").split(b"\n")
        if ended and self._unfinishedLine:
            lines.append(self._unfinishedLine)
            self._unfinishedLine = b""
        return [text for line in lines if (text := line.decode("utf-8", "replace").strip())]

    def askToEnd(self) -> None:
        """Ask the process and all that it started to end, without waiting; Windows has no such thing: nothing then."""
        if self.exitCode() is None and os.name != "nt":
            self._signalGroup(signal.SIGTERM)

    def kill(self, graceS: float = GRACE_S) -> None:
        """End the process and all that it started; returns when it is gone. Harmless when it has ended already.

        A child that is asked to end may clean up for ``graceS`` seconds (not on Windows, where it is killed at once).

        PythonSlicer is a launcher with the interpreter as its child on Windows and Linux: ending only the launcher
        would leave the interpreter running.
        """
        if self.exitCode() is not None:
            return
        if os.name == "nt":
            tree = ["taskkill", "/T", "/F", "/PID", str(self.processId)]
            subprocess.run(tree, capture_output=True, check=False, creationflags=subprocess.CREATE_NO_WINDOW)
        else:
            self._signalGroup(signal.SIGTERM)
            try:
                self._process.wait(graceS)
            except subprocess.TimeoutExpired:
                pass
            self._signalGroup(signal.SIGKILL)  # also reaches grandchildren that outlived the launcher
        self._process.wait()

    def _signalGroup(self, number: int) -> None:
        try:
            os.killpg(self.processId, number)
        except (ProcessLookupError, PermissionError):  # macOS says "not permitted" of a group that has only zombies
            pass


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

    def cancel(self, wait: bool = True) -> None:
        """End the child process."""
        raise NotImplementedError

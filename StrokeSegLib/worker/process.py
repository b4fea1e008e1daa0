"""A child process with a pipe to its stdin: start it, read what it writes, end it with everything it started.

Its stdout and stderr go into files in a private folder that are read on request: no thread, nothing can block on a full
pipe, and an event loop decides when to look. Needs only Python itself.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

#: A child that is asked to end may clean up for this long before it is killed.
GRACE_S = 0.5
#: A file of this name says that the folder around it is one of ours.
SCRATCH_MARK = ".strokeseg-scratch"
#: Of what the child said on stderr, the end is kept for an error report.
TAIL_BYTES = 20_000
#: On Windows: no console window, and a group of its own.
_CREATION_FLAGS = 0
if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP


def make_scratch() -> Path:
    """A new private temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="StrokeSeg-"))
    (folder / SCRATCH_MARK).touch()
    return folder


class Child:
    """A running program."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Starts the program, without a shell.

        Args:
            command: The program and its words.
            folder: Where it runs and where ``stdout-*.txt`` and ``stderr-*.txt`` go.
            environment: All of its environment variables.

        Raises:
            OSError: The program cannot be started.
        """
        out, self._out_path = tempfile.mkstemp(".txt", "stdout-", folder)
        err, self._err_path = tempfile.mkstemp(".txt", "stderr-", folder)
        self._read_up_to = 0
        self._unfinished_line = b""
        self._killed = False
        try:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                list(command),
                cwd=folder,
                env={**environment, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                bufsize=0,
                creationflags=_CREATION_FLAGS,
                start_new_session=True,  # its own group, so that the whole tree can be ended; Windows ignores it
            )
        finally:
            os.close(out)
            os.close(err)

    @property
    def process_id(self) -> int:
        """Of the program that was started; also the process group on Linux and macOS."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; the negative number of the signal that ended it."""
        return self._process.poll()

    def write(self, line: bytes) -> None:
        """Sends a line to its stdin.

        Raises:
            OSError: It listens no more.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(line)

    def new_lines(self) -> list[bytes]:
        """The whole lines on its stdout since the last call."""
        try:
            with open(self._out_path, "rb") as file:
                file.seek(self._read_up_to)
                chunk = file.read()
        except FileNotFoundError:  # a worker whose stdin is closed removes the folder
            return []
        self._read_up_to += len(chunk)
        *lines, self._unfinished_line = (self._unfinished_line + chunk).split(b"\n")
        return lines

    def said(self) -> list[str]:
        """The last lines on its stderr."""
        try:
            with open(self._err_path, "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                text = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        return [line for each in text.splitlines() if (line := each.strip())]

    def close_input(self) -> None:
        """Tells it that nothing more comes; a worker ends then."""
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:  # what was not sent yet has nobody to go to
                pass

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self, grace_s: float = GRACE_S) -> None:
        """Ends it and all that it started; returns when it is gone. Harmless when it has ended already.

        It is asked to end, by the end of its stdin and a SIGTERM, and may clean up for ``grace_s`` seconds.

        PythonSlicer is a launcher with the interpreter as its child on Windows and Linux: ending only the launcher
        would leave the interpreter running.
        """
        if self._killed:  # its number may be another process's by now
            return
        self._killed = True
        self.close_input()
        if sys.platform == "win32":
            if not self.wait(grace_s):  # the end of its stdin asks it to end: Windows has no signal for that
                tree = ["taskkill", "/T", "/F", "/PID", str(self.process_id)]
                subprocess.run(tree, capture_output=True, check=False, creationflags=subprocess.CREATE_NO_WINDOW)
        else:
            if self.exit_code() is None:
                self._signal_group(signal.SIGTERM)
                self.wait(grace_s)
            self._signal_group(signal.SIGKILL)  # also reaches grandchildren that outlived the launcher
        self._process.wait()

    def _signal_group(self, number: int) -> None:
        if sys.platform != "win32":
            try:
                os.killpg(self.process_id, number)
            except (ProcessLookupError, PermissionError):  # macOS: "not permitted" of a group that has only zombies
                pass


def remove(folder: Path) -> None:
    """Removes a folder with all that is in it, as far as it can be removed now."""
    shutil.rmtree(folder, ignore_errors=True)

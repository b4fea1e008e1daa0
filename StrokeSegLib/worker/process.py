"""The worker's process as its client has it: a pipe to its stdin, and what it writes read from files.

Its stdout and stderr go into files in a private folder that are read on request: no thread, nothing can block on a full
pipe, and an event loop decides when to look. Needs only Python itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from StrokeSegLib.worker.process_tree import GRACE_S, ProcessTree

#: A file of this name says that the folder around it is one of ours.
SCRATCH_MARK = ".strokeseg-scratch"
#: Of what the child said on stderr, the end is kept for an error report.
TAIL_BYTES = 20_000


def make_scratch() -> Path:
    """A new private temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="StrokeSeg-"))
    (folder / SCRATCH_MARK).touch()
    return folder


class Child(ProcessTree):
    """A running program that is talked to."""

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
        try:
            super().__init__(command, folder, environment, out=out, err=err, stdin=subprocess.PIPE)
        finally:
            os.close(out)
            os.close(err)

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

    def kill(self, grace_s: float = GRACE_S, *, wait: bool = True) -> None:
        """Ends it and all that it started, see ``ProcessTree.kill``; given time, the end of its stdin asks it first."""
        if grace_s > 0:
            self.close_input()
            if sys.platform == "win32":  # which has no signal for that
                self.wait(grace_s)
        super().kill(grace_s, wait=wait)
        self.close_input()


def remove(folder: Path) -> None:
    """Removes a folder with all that is in it, as far as it can be removed now."""
    shutil.rmtree(folder, ignore_errors=True)

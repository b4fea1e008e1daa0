"""A command in a process of its own: start, read what it says, end it with everything it started.

No thread and no pipe: the child writes into two files that are read on request, so nothing can block on a full pipe and
Slicer's event loop decides when to look. Knows nothing of Slicer. Segmentation and training go through the worker
instead (worker_client.py), which stays warm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from StrokeSegLib.worker.process_tree import GRACE_S, ProcessTree


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
        with open(folder / "stdout.txt", "wb") as out, open(self._stderrPath, "wb") as err:
            self._tree = ProcessTree(command, folder, environment, out=out.fileno(), err=err.fileno())

    def exitCode(self) -> int | None:
        """None while it runs."""
        return self._tree.exit_code()

    @property
    def gone(self) -> bool:
        """Whether it has ended with all that it started."""
        return self._tree.gone

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
        """Ask the process and all that it started to end, without waiting; see ``ProcessTree``."""
        self._tree.ask_to_end()

    def kill(self, graceS: float = GRACE_S, wait: bool = True) -> None:
        """End the process and all that it started within ``graceS`` seconds; see ``ProcessTree``."""
        self._tree.kill(graceS, wait=wait)

"""A program in a process of its own: started so that it can be ended with everything that it has started.

Needs only Python itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

#: A program that is asked to end may clean up for this long before it is killed.
GRACE_S = 0.5
_LOOK_AGAIN_S = 0.02
#: On Windows: no console window, and a group of its own.
_HIDDEN = _CREATION_FLAGS = 0
if sys.platform == "win32":
    _HIDDEN = subprocess.CREATE_NO_WINDOW
    _CREATION_FLAGS = _HIDDEN | subprocess.CREATE_NEW_PROCESS_GROUP
#: Programs that nobody waits for, until they have ended.
_ending: list[subprocess.Popen[bytes]] = []


class ProcessTree:
    """A running program with all that it started."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        out: int,
        err: int,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """Starts the program, without a shell.

        Args:
            command: The program and its words.
            folder: Where it runs.
            environment: All of its environment variables.
            out: Number of the open file that its stdout goes to.
            err: The same of its stderr.
            stdin: ``subprocess.PIPE`` for a program that is talked to.

        Raises:
            OSError: The program cannot be started.
        """
        self._killed = False
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            list(command),
            cwd=folder,
            env={**environment, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
            stdin=stdin,
            stdout=out,
            stderr=err,
            bufsize=0,
            creationflags=_CREATION_FLAGS,
            start_new_session=True,  # its own group, so that the whole tree can be ended; Windows ignores it
        )

    @property
    def process_id(self) -> int:
        """Of the program that was started; also the process group on Linux and macOS."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; the negative number of the signal that ended it."""
        return self._process.poll()

    @property
    def gone(self) -> bool:
        """Whether it has ended and, on Linux and macOS, all that it started too."""
        return self.exit_code() is not None and not self._signal_group(0)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ask_to_end(self) -> None:
        """Asks it and all that it started to end, without waiting; Windows has no such thing: nothing then."""
        if self.exit_code() is None and sys.platform != "win32":
            self._signal_group(signal.SIGTERM)

    def kill(self, grace_s: float = GRACE_S, *, wait: bool = True) -> None:
        """Ends it and all that it started; returns when it is gone. Harmless when it has ended already.

        It is asked to end and may clean up for ``grace_s`` seconds; not on Windows, where it is killed at once. With no
        time for it, it is not asked: half a clean-up would take away what another process is to go on with.

        PythonSlicer is a launcher with the interpreter as its child: ending only the launcher would leave the
        interpreter running, and the launcher is gone at once when it is asked, while the interpreter cleans up.

        Args:
            grace_s: Seconds for a clean-up.
            wait: False returns at once on Windows, where the system's own tool takes a good part of a second.
        """
        if self._killed:  # its number may be another process's by now
            return
        self._killed = True
        if sys.platform == "win32":
            if not self._kill_on_windows(wait):
                return
        else:
            if grace_s > 0 and self.exit_code() is None:
                self._signal_group(signal.SIGTERM)
                self._wait_for_all(grace_s)
            self._signal_group(signal.SIGKILL)  # also reaches grandchildren that outlived the launcher
        self._process.wait()

    def _wait_for_all(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.gone and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN_S)

    def _kill_on_windows(self, wait: bool) -> bool:
        """Whether it is over; what a launcher that is gone has started can not be found, and ends as its stdin does."""
        if self.exit_code() is not None:
            return True
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        tool = subprocess.Popen(kill_words(self.process_id), creationflags=_HIDDEN, **quiet)  # type: ignore[call-overload]
        if wait:
            tool.wait()
        else:
            _ending[:] = [*(each for each in _ending if each.poll() is None), tool, self._process]
        return wait

    def _signal_group(self, number: int) -> bool:
        """Sends a signal, 0 to none of them; False where nobody is there, and on Windows, which has no such groups."""
        if sys.platform == "win32":
            return False
        try:
            os.killpg(self.process_id, number)
        except (ProcessLookupError, PermissionError):  # macOS: "not permitted" of a group that has only zombies
            return False
        return True


def kill_words(process_id: int) -> list[str]:
    """The command of Windows that ends a process and all below it, asking none of them."""
    return ["taskkill", "/T", "/F", "/PID", str(process_id)]

"""Drives a worker: starts it, asks, follows progress, cancels, kills what does not answer, starts it again.

    worker = Worker([sys.executable, "-m", "StrokeSegLib", "worker"])
    inputs = {"dwi": "/data/dwi.nii.gz", "adc": "/data/adc.nii.gz"}
    call = worker.ask("segment", {"model": "mri", "inputs": inputs, "out": "/data/result"})
    found = worker.wait(call)["measurements"]
    worker.close()

Nothing here blocks but ``wait``, ``close`` and ``cancel_and_wait``: a timer calls ``poll``. Needs only Python itself,
no Slicer and no thread. Paths must be absolute: the worker has a current folder of its own. One worker runs one job at
a time; whoever wants two at once starts two.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.errors import InputError
from StrokeSegLib.result_folder import clear_leftovers
from StrokeSegLib.worker.call import Call, JobCancelledError, Step, WorkerError
from StrokeSegLib.worker.process import Child, make_scratch, remove
from StrokeSegLib.worker.process_tree import GRACE_S
from StrokeSegLib.worker.protocol import CANCELLED, INPUT_ERROR, Message, ProtocolError, decode, encode

#: A job that is canceled has this long to end before the whole process tree is killed.
CANCEL_S = 1.0
#: Between two looks of ``wait``.
LOOK_EVERY_S = 0.02
#: A worker that is told to end when it has nothing to do needs no longer.
CLOSE_S = 1.0
KEPT_LOG_LINES = 200


class Worker:
    """A worker process that starts when it is needed, and again when it has ended."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        cancel_s: float = CANCEL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts nothing yet.

        Args:
            command: The worker, such as ``[sys.executable, "-m", "StrokeSegLib", "worker"]``.
            environment: All of its environment variables; those of this process when None.
            cancel_s: A canceled job that has not ended after so many seconds is killed, with the whole process tree.
            clock: Tells seconds.
        """
        self._command = list(command)
        self._environment = dict(os.environ if environment is None else environment)
        self._cancel_s = cancel_s
        self._clock = clock
        self._ids = itertools.count(1)
        self._calls: dict[int, Call] = {}
        self._folder: Path | None = None
        self.child: Child | None = None
        self.log: deque[str] = deque(maxlen=KEPT_LOG_LINES)

    @property
    def folder(self) -> Path:
        """A private temporary folder, for files on their way to and from the worker; ``close`` removes it."""
        # A worker whose stdin was closed removes it before it ends.
        if self._folder is None or not self._folder.is_dir():
            self._folder = make_scratch()
        return self._folder

    def start(self) -> None:
        """Starts the process, unless it runs.

        Raises:
            OSError: It cannot be started.
        """
        if self.child is not None and self.child.exit_code() is None:
            return
        command = [*self._command, "--scratch", str(self.folder)]
        try:
            self.child = Child(command, self.folder, self._environment)
        except OSError:
            self.close()
            raise

    def ask(self, method: str, params: Mapping[str, Any]) -> Call:
        """Sends a request; the process is started if need be.

        Raises:
            OSError: The process cannot be started.
        """
        self.poll()  # what ended meanwhile is noticed before, and a job that does not obey is killed
        self.start()
        call = Call(method, params)
        self._send(call)
        return call

    def poll(self) -> None:
        """Takes in what the worker has said, without waiting."""
        if self.child is None:
            return
        ended = self.child.exit_code()  # asked first: lines written before the end are then all read
        for line in self.child.new_lines():
            self._take(line)
        if ended is not None:
            self._after_end(ended)
        elif any(self._overdue(call) for call in self._calls.values()):
            self._kill(0.0, wait=False)  # it had its time

    def wait(self, call: Call, progress: Progress | None = None) -> dict[str, Any]:
        """Waits for a call; what ``progress`` raises, and an interrupt from the keyboard, cancels it.

        Raises:
            InputError, JobCancelledError, WorkerError: See ``Call.result``.
        """
        told = None
        try:
            while True:
                self.poll()
                if progress is not None and call.progress is not None and call.progress != told:
                    told = call.progress
                    progress(told.stage, told.done, told.total)
                if call.ended:
                    return call.result()
                time.sleep(LOOK_EVERY_S)
        except BaseException:
            self.cancel_and_wait(call)
            raise

    def cancel(self, call: Call) -> None:
        """Asks the worker to end a call. Does not wait: ``poll`` kills the process tree when it does not obey."""
        if call.ended or call.cancelled_at is not None:
            return
        call.cancelled_at = self._clock()
        id_ = next(id_ for id_, each in self._calls.items() if each is call)
        self._write({"id": next(self._ids), "method": "cancel", "params": {"id": id_}})

    def cancel_and_wait(self, call: Call) -> None:
        """Ends a call; returns when it has ended, killed if need be."""
        self.cancel(call)
        while not call.ended:
            self.poll()
            if not call.ended:
                time.sleep(LOOK_EVERY_S)

    def close(self, grace_s: float = GRACE_S) -> None:
        """Ends the process, with all that it started, and removes its temporary folder. It can be used again after.

        Args:
            grace_s: A worker with a job may clean up for so long.
        """
        if self.child is not None:
            if not self._calls:
                self.child.close_input()
                self.child.wait(CLOSE_S)
            self._kill(grace_s, again=False)
        folder, self._folder = self._folder, None
        if folder is not None:
            remove(folder)

    # What goes out

    def _send(self, call: Call) -> None:
        id_ = next(self._ids)
        self._calls[id_] = call
        call.sent += 1
        call.progress = None
        self._write({"id": id_, "method": call.method, "params": call.params})

    def _write(self, message: Message) -> None:
        assert self.child is not None
        try:
            self.child.write(encode(message))
        except OSError:
            pass  # it has ended, which the next poll sees

    # What comes in

    def _take(self, line: bytes, *, last: bool = False) -> None:
        try:
            message = decode(line)
        except ProtocolError:
            self.log.append(line.decode("utf-8", "replace"))
            return
        params = message.get("params", {})
        if message.get("method") == "progress":
            call = self._calls.get(params["id"])
            if call is not None:
                call.progress = Step(params["stage"], params["done"], params["total"], params["eta_s"])
        elif message.get("method") == "log":
            self.log.append(f"{params['level']}: {params['text']}")
        elif (call := self._calls.get(message.get("id"))) is not None:  # type: ignore[arg-type]
            if last and call.cancelled_at is None and "error" in message and message["error"]["code"] == CANCELLED:
                return  # nobody asked for that: a worker that is ended gives up what it had not begun
            del self._calls[message["id"]]
            if "result" in message:
                call.end(message["result"])
            else:
                call.end(error=_as_exception(message["error"]))

    # What goes wrong

    def _overdue(self, call: Call) -> bool:
        return call.cancelled_at is not None and self._clock() - call.cancelled_at > self._cancel_s

    def _after_end(self, code: int) -> None:
        """The process has ended by itself, or somebody killed it."""
        assert self.child is not None
        details = "\n".join(self.child.said())
        self.child.kill()  # what it has started may live on
        self.child = None
        calls, self._calls = list(self._calls.values()), {}
        again = []
        for call in calls:
            # The first one was running; those behind it, and those that came as an idle worker ended, did no harm.
            # An idle worker ends its own group: where a launcher stands between, that one dies of the signal.
            if call.cancelled_at is not None:
                self._end_cancelled(call)
            elif call.sent < 2 and (code in (0, -signal.SIGTERM) or call is not calls[0]):
                again.append(call)
            else:
                _clear(call)
                call.end(error=WorkerError(f"the worker stopped unexpectedly (exit code {code})", details, code))
        self._ask_again(again)

    def _kill(self, grace_s: float, *, again: bool = True, wait: bool = True) -> None:
        """Ends the process tree; calls that were not canceled are asked again of a new one, or end as canceled."""
        assert self.child is not None
        self.child.kill(grace_s, wait=wait)
        for line in self.child.new_lines():  # the last words may be an answer
            self._take(line, last=True)
        self.child = None
        calls, self._calls = list(self._calls.values()), {}
        left = [call for call in calls if again and call.cancelled_at is None]
        for call in calls:
            if call not in left:
                self._end_cancelled(call)
        self._ask_again(left)

    def _ask_again(self, calls: Sequence[Call]) -> None:
        if not calls:
            return
        try:
            self.start()
        except OSError as error:
            for call in calls:
                call.end(error=WorkerError(f"the worker could not be started again: {error}"))
            return
        for call in calls:
            self._send(call)

    def _end_cancelled(self, call: Call) -> None:
        _clear(call)
        call.end(error=JobCancelledError("cancelled"))


def _as_exception(error: Mapping[str, Any]) -> Exception:
    code, message = error["code"], error["message"]
    if code == INPUT_ERROR:
        return InputError(message)
    if code == CANCELLED:
        return JobCancelledError(message)
    return WorkerError(message, error.get("data", {}).get("details", ""))


def _clear(call: Call) -> None:
    """Removes what a killed segmentation left half-written beside its result folder."""
    if call.method == "segment" and "out" in call.params:
        out = Path(os.path.realpath(call.params["out"]))
        base = out.parent
        while not base.is_dir() and base != base.parent:
            base = base.parent
        clear_leftovers(out, base)

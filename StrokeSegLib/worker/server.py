"""The worker's side of the protocol: one thread listens, the main thread runs one job after the other."""

from __future__ import annotations

import os
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from StrokeSegLib import __version__
from StrokeSegLib.callbacks import Progress
from StrokeSegLib.errors import InputError
from StrokeSegLib.worker.protocol import (
    CANCELLED,
    FAULT,
    INPUT_ERROR,
    INVALID_REQUEST,
    UNKNOWN_METHOD,
    WRONG_PARAMETERS,
    Message,
    ProtocolError,
    RequestId,
    check_request,
    decode,
    error,
    is_id,
)
from StrokeSegLib.worker.telling import CancelledError, Telling

#: Checks parameters and gives what does the work, called with a progress callback; raises ProtocolError.
Method: TypeAlias = Callable[[Mapping[str, Any]], Callable[[Progress], dict[str, Any]]]
OUT_OF_MEMORY = "out of memory; close other programs or use a machine with more"
_CANCELLED_WORDS = "cancelled; nothing was written"


@dataclass(eq=False)
class _Job:
    """A request that takes time."""

    id: RequestId
    work: Callable[[Progress], dict[str, Any]]
    stopped: threading.Event = field(default_factory=threading.Event)


class Server:
    """Serves until ``shutdown``, the end of the input, or nothing to do for ``idle_s`` seconds."""

    def __init__(
        self,
        lines: Iterable[bytes],
        send: Callable[[Message], None],
        methods: Mapping[str, Method],
        *,
        idle_s: float,
        grace_s: float,
        models: Callable[[], list[str]] = list,
        at_end: Callable[[], None] = lambda: None,
        abandon: Callable[[], None] = lambda: os._exit(1),
    ) -> None:
        """Prepares; ``serve`` begins.

        Args:
            lines: What the client says; its end is the client's end.
            send: Takes each message to the client; called from two threads.
            methods: The jobs by name.
            idle_s: Without a job for so long it ends by itself.
            grace_s: At the end of the input a running job may clean up for so long before the process ends.
            models: Which models are warm, for ``status``.
            at_end: Called when the client is gone.
            abandon: Ends this process though a job hangs.
        """
        self._lines, self._send, self._methods = lines, send, methods
        self._idle_s, self._grace_s = idle_s, grace_s
        self._models, self._at_end, self._abandon = models, at_end, abandon
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._stopping = False
        self._client_gone = False
        self._ended = threading.Event()

    def serve(self) -> None:
        """Runs jobs in this thread until the end."""
        threading.Thread(target=self._listen, daemon=True, name="listener").start()
        try:
            while (job := self._next()) is not None:
                self._run(job)
        finally:
            self._ended.set()
            if self._client_gone:
                self._at_end()

    def _next(self) -> _Job | None:
        """The next job, when there is one; None at the end."""
        with self._changed:
            self._running = None
            self._changed.wait_for(lambda: self._waiting or self._stopping, self._idle_s)
            if self._stopping or not self._waiting:
                self._stopping = True
                return None
            self._running = self._waiting.popleft()
            return self._running

    def _run(self, job: _Job) -> None:
        try:
            answer: Message = {"id": job.id, "result": job.work(Telling(job.id, self._send, job.stopped))}
        except CancelledError:
            answer = error(job.id, CANCELLED, _CANCELLED_WORDS)
        except KeyboardInterrupt:  # a signal: somebody wants this process to end
            self._stop()
            answer = error(job.id, CANCELLED, _CANCELLED_WORDS)
        except InputError as fault:
            answer = error(job.id, INPUT_ERROR, str(fault))
        except MemoryError:
            answer = error(job.id, FAULT, OUT_OF_MEMORY, traceback.format_exc())
        except (Exception, SystemExit) as fault:
            first = (str(fault).splitlines() or [""])[0]
            answer = error(job.id, FAULT, f"{type(fault).__name__}: {first}", traceback.format_exc())
        if job.id is not None:
            self._send(answer)

    # The listening thread

    def _listen(self) -> None:
        for line in self._lines:
            if line.strip():
                self._obey(line)
        self._client_gone = True
        self._stop()
        if not self._ended.wait(self._grace_s):  # a job that hangs: nobody is left who could end it
            self._at_end()
            self._abandon()

    def _obey(self, line: bytes) -> None:
        id_: RequestId = None
        try:
            message = decode(line)
            id_ = message.get("id") if is_id(message.get("id")) else None
            check_request(message)
            result = self._answer(id_, message["method"], message.get("params", {}))
        except ProtocolError as fault:
            self._send(error(id_, fault.code, str(fault)))
            return
        if result is not None and id_ is not None:
            self._send({"id": id_, "result": result})
        if message["method"] == "shutdown":
            self._stop()

    def _answer(self, id_: RequestId, method: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """The result of a request that is answered at once; None for a job, which is answered when it is done."""
        if method == "status":
            return self._status()
        if method == "cancel":
            return {"cancelled": self._cancel(params)}
        if method == "shutdown":
            return {}
        if method not in self._methods:
            known = ", ".join([*self._methods, "cancel", "status", "shutdown"])
            raise ProtocolError(UNKNOWN_METHOD, f"unknown method {method!r}; known: {known}")
        job = _Job(id_, self._methods[method](params))
        with self._changed:
            if id_ is not None and id_ in [each.id for each in self._jobs()]:
                raise ProtocolError(INVALID_REQUEST, f"a request with id {id_!r} is not answered yet; use another id")
            self._waiting.append(job)
            self._changed.notify()
        return None

    def _jobs(self) -> list[_Job]:
        return [*([self._running] if self._running else []), *self._waiting]

    def _status(self) -> dict[str, Any]:
        with self._changed:
            running, queued = self._running, len(self._waiting)
        return {
            "busy": running is not None,
            "job": running.id if running else None,
            "queued": queued,
            "models": self._models(),
            "version": __version__,
            "pid": os.getpid(),
        }

    def _cancel(self, params: Mapping[str, Any]) -> bool:
        """Whether there was something to cancel. A running job ends at its next word of progress."""
        if set(params) != {"id"} or not is_id(params["id"]) or params["id"] is None:
            raise ProtocolError(WRONG_PARAMETERS, "cancel needs {id}: the id of the request that shall end")
        with self._changed:
            found = next((job for job in self._jobs() if job.id == params["id"]), None)
            if found is None:
                return False
            if found is self._running:
                found.stopped.set()
                return True
            self._waiting.remove(found)
        self._send(error(found.id, CANCELLED, _CANCELLED_WORDS))
        return True

    def _stop(self) -> None:
        """Cancels everything; the main thread ends after the running job has."""
        with self._changed:
            self._stopping = True
            left = list(self._waiting)
            self._waiting.clear()
            if self._running is not None:
                self._running.stopped.set()
            self._changed.notify()
        for job in left:
            if job.id is not None:
                self._send(error(job.id, CANCELLED, _CANCELLED_WORDS))

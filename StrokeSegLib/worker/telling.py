"""Progress of a job as notifications: with an ETA, not too many, and the place where a cancel takes effect."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from StrokeSegLib.callbacks import remaining_s
from StrokeSegLib.worker.protocol import Message, RequestId

#: Between two notifications of the same stage; its first and last step are always told.
INTERVAL_S = 0.1


class CancelledError(Exception):
    """The job was canceled by the client."""


class Telling:
    """The progress callback of one job. Raises CancelledError once ``stopped`` is set."""

    def __init__(
        self,
        id_: RequestId,
        send: Callable[[Message], None],
        stopped: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._id, self._send, self._stopped, self._clock = id_, send, stopped, clock
        self._stage, self._first = "", 0
        self._began = self._told = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """See ``callbacks.Progress``.

        Raises:
            CancelledError: The client asked for it.
        """
        if self._stopped.is_set():
            raise CancelledError
        now = self._clock()
        first = stage != self._stage
        if first:
            self._stage, self._began, self._first = stage, now, done
        elif done < total and now - self._told < INTERVAL_S:
            return
        self._told = now
        eta_s = remaining_s(now - self._began, done - self._first, total - done)
        rounded = None if eta_s is None else round(eta_s, 1)
        params = {"id": self._id, "stage": stage, "done": int(done), "total": int(total), "eta_s": rounded}
        self._send({"method": "progress", "params": params})

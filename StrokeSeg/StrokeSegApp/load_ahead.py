"""Reads the files of the cases that come next while the reader looks at this one, so that opening them does not wait.

One thread reads; it knows neither the scene nor Qt nor the study, only files. Python's threads go on only while nothing
else runs Python, so that somebody has to call ``turn`` now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

#: What is asked for: a name for it, and what reads it.
Wanted = tuple[Hashable, Callable[[], Any]]


class LoadAhead:
    """Keeps what was asked for last, and nothing else: memory stays that of a few cases."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="StrokeSeg-load-ahead")
        self._loads: dict[Hashable, Future[Any]] = {}

    def want(self, wanted: Iterable[Wanted]) -> None:
        """Begin to read these, in this order; all others are forgotten."""
        asked = dict(wanted)
        for name in self._loads.keys() - asked.keys():
            self._loads.pop(name).cancel()
        for name, read in asked.items():
            if name not in self._loads:
                self._loads[name] = self._thread.submit(read)

    def turn(self, seconds: float) -> bool:
        """Give the thread some time; True while there is something left to read."""
        waiting = [load for load in self._loads.values() if not load.done()]
        return bool(wait(waiting, seconds).not_done) if waiting else False

    def take(self, name: Hashable) -> Any:
        """What was read, waited for where it is not whole yet; None where it was not asked for.

        Raises:
            Exception: What reading it raised.
        """
        load = self._loads.pop(name, None)
        return None if load is None else load.result()

    def close(self) -> None:
        """Forget all, without waiting."""
        self.want(())
        self._thread.shutdown(wait=False, cancel_futures=True)

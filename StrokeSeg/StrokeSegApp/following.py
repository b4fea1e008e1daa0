"""A run that nobody waits for: a timer of Qt looks after it and calls back. Opens no dialogs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from StrokeSegApp.ask_again import POLL_INTERVAL_MS

#: Runs that are looked after; nobody else may hold them.
_followed: set[Follower] = set()


class Follower:
    """Looks after one run until it ends. ``cancel`` ends it without a call of ``finished``."""

    def __init__(
        self,
        run: Any,
        finished: Callable[[Any, Exception | None], None],
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        """Begin.

        Args:
            run: Has ``poll``, ``finish``, ``cancel`` and ``progress``.
            finished: Called once, with what ``finish`` returned and None, or with None and the error.
            progress: Called with (stage, done, total) as the work goes on.
        """
        import qt

        self.run = run
        self._finished, self._progress = finished, progress
        self._said: Any = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self.look)
        self._timer.start()
        _followed.add(self)

    def cancel(self) -> None:
        """End the run, without waiting."""
        if self._stop():
            self.run.cancel(wait=False)

    def look(self) -> None:
        """Once a turn of the timer."""
        try:
            ended = self.run.poll()
            now = self.run.progress
            if self._progress is not None and now is not None and now != self._said:
                self._said = now
                self._progress(now.stage, now.done, now.total)
            if not ended:
                return
            self._stop()
            result = self.run.finish()
        except Exception as error:
            if self._stop():
                self.run.cancel(wait=False)
            self._finished(None, error)
        else:
            self._finished(result, None)

    def _stop(self) -> bool:
        """Whether it was still going on."""
        if self not in _followed:
            return False
        self._timer.stop()
        self._timer.disconnect("timeout()", self.look)
        _followed.discard(self)
        return True

"""Something is asked again and again by a timer of Qt, until it is done; nobody waits for it.

One timer for all the asking: Slicer never frees those of ``QTimer.singleShot`` before it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

POLL_INTERVAL_MS = 50
#: Timers that run; nobody else may hold them.
_running: set[Any] = set()


def untilTrue(done: Callable[[], bool]) -> None:
    """Call ``done`` every ``POLL_INTERVAL_MS`` until it returns True, or raises."""
    import qt

    timer = qt.QTimer()

    def ask() -> None:
        ended = True
        try:
            ended = done()
        finally:
            if ended:
                timer.stop()
                timer.disconnect("timeout()", ask)
                _running.discard(timer)

    timer.setInterval(POLL_INTERVAL_MS)
    timer.connect("timeout()", ask)
    _running.add(timer)
    timer.start()

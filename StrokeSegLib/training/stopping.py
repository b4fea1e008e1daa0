"""Stopping a training in good order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopper() -> Iterator[threading.Event]:
    """Turns the first Ctrl-C or SIGTERM into a wish to stop after this step; a second one stops at once."""
    stopped = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            # None stands for a handler that is not Python's, which cannot be given back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

"""How long a reader has a case before them: a clock that can be stopped while the module is left."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Counts seconds while it runs; made stopped."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._counted = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Counted so far."""
        return self._counted + (0.0 if self._since is None else self._now() - self._since)

    def restart(self) -> None:
        """From zero."""
        self._counted, self._since = 0.0, self._now()

    def pause(self) -> None:
        """Stop counting; calling twice is fine."""
        self._counted, self._since = self.seconds, None

    def goOn(self) -> None:
        """Count again; calling twice is fine."""
        if self._since is None:
            self._since = self._now()

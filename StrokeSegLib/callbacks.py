"""What long work calls to say how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

#: Called with (stage, done, total) as the work goes on; what it raises ends the work.
Progress: TypeAlias = Callable[[str, int, int], None]


def remaining_s(elapsed_s: float, done: int, left: int) -> float | None:
    """Seconds that the rest takes at the pace so far; None before the first step is done.

    Args:
        elapsed_s: Since the work began.
        done: Steps since then. What an earlier run had done, before this one went on with it, is none of them.
        left: Steps that are left.
    """
    if left == 0:
        return 0.0
    return elapsed_s / done * left if done else None

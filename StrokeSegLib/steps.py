"""Long work as a generator: it yields where it can be left alone for a while, and returns what it found."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_end(steps: Generator[Any, None, T]) -> T:
    """What the work returns, waited for."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found

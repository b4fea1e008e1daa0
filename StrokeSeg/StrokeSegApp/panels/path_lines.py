"""What ctkPathLineEdit tells of a path, whole: it is silent about a line that was emptied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def whenChanged(line: Any, slot: Callable[..., None]) -> None:
    """Have ``slot(text or flag)`` called whenever the path of a ctkPathLineEdit is another one, also an empty one."""
    line.connect("currentPathChanged(QString)", slot)
    line.connect("validInputChanged(bool)", slot)

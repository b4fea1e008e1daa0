"""What long work calls to say how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

#: Called with (stage, done, total) as the work goes on; what it raises ends the work.
Progress: TypeAlias = Callable[[str, int, int], None]

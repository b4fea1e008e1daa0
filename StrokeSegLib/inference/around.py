"""A backend inside another that adds something to its runs."""

from __future__ import annotations

from typing import Any

from StrokeSegLib.inference.backends import Backend


class AroundBackend:
    """Has all that the backend inside has; a subclass adds to ``run``.

    On a rung of the memory ladder that the same backend takes, this object stays around it; where another takes over,
    it is left.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._backend, name)
        if name != "on_rung":
            return value

        def on_rung(rung: Any) -> Any:
            other = value(rung)
            return self if other is self._backend else other

        return on_rung

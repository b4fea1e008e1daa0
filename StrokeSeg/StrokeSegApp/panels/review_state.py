"""What the parts of the review section share: the open study with its reader, and the line that says how it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from StrokeSegApp.reviewing import Reviewing
from StrokeSegLib.errors import InputError


class ReviewState:
    """One for the whole section.

    Attributes:
        work: The open study with its reader; None without one.
        updating: Whether widgets are being brought in line: what they tell meanwhile is not the user's doing.
    """

    def __init__(self, statusLabel: Any) -> None:
        self.work: Reviewing | None = None
        self.updating = False
        self._label = statusLabel

    @property
    def files(self) -> Any:
        """What the study says of the open case; None without one."""
        return self.work.files if self.work is not None else None

    @property
    def nodes(self) -> Any:
        """The open case in the scene; None without one."""
        return self.work.nodes if self.work is not None else None

    @property
    def caseId(self) -> str | None:
        """Of the open case."""
        return self.work.caseId if self.work is not None else None

    def do(self, work: Callable[[], object]) -> bool:
        """Carry out; what could not be done is said, and then False."""
        try:
            work()
        except (InputError, OSError) as error:
            self.say(str(error))
            return False
        return True

    def say(self, text: str) -> None:
        """Put something on the line; it is hidden while it is empty."""
        self._label.setText(text)
        self.refresh()

    def refresh(self) -> None:
        """Hide the line when it is empty: unfolding the section may have shown it."""
        self._label.setVisible(bool(self._label.text))

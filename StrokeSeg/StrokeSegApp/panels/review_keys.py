"""Keys of the review section: they work everywhere in Slicer, since the views have the focus while one reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

NEXT, PREVIOUS = "Ctrl+PgDown", "Ctrl+PgUp"


class ReviewKeys:
    """Off until ``enable``: while another module is shown, the keys are that one's."""

    def __init__(self, section: Any, slots: dict[str, Callable[[], None]]) -> None:
        """Bind keys.

        Args:
            section: Widget that the keys belong to; without it on the screen they do nothing.
            slots: What each key does.
        """
        self._shortcuts = []
        for keys, slot in slots.items():
            shortcut = qt.QShortcut(qt.QKeySequence(keys), section)
            shortcut.setContext(qt.Qt.ApplicationShortcut)
            shortcut.connect("activated()", slot)
            self._shortcuts.append(shortcut)
        self.enable(False)

    def enable(self, enabled: bool) -> None:
        """Turn all of them on or off."""
        for shortcut in self._shortcuts:
            shortcut.setEnabled(enabled)

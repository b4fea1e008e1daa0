"""Other readers' marks on the open case, once they may be seen: as outlines, and to go on from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp.panels.review_state import ReviewState


class ReviewMarks:
    """A choice of readers; hidden while there is nobody to choose."""

    def __init__(self, ui: Any, state: ReviewState, stored: Callable[[str], None]) -> None:
        """Connect the widgets.

        Args:
            ui: Widgets by name.
            state: Of the section.
            stored: Called when marks were taken over, with what is to be said of it.
        """
        self._ui = ui
        self._state = state
        self._stored = stored
        self._offered: tuple[str | None, list[str]] = (None, [])
        ui.reviewMarksSelector.connect("currentIndexChanged(int)", self.onChosen)
        ui.reviewMarksButton.connect("clicked(bool)", self.onTakeOver)

    def onChosen(self, index: int) -> None:
        work, reader = self._state.work, self._ui.reviewMarksSelector.currentData
        if work is not None and not self._state.updating:
            self._state.do(lambda: work.showMarks(reader or None))
            self._ui.reviewMarksButton.setEnabled(bool(reader))

    def onTakeOver(self, checked: bool = False) -> None:
        work, reader = self._state.work, self._ui.reviewMarksSelector.currentData
        if work is not None and reader and self._state.do(lambda: work.takeOver(reader)):
            self._stored(_("You go on from the marks of {reader}.").format(reader=reader))

    def show(self) -> None:
        """Bring the choice in line with the open case and with whom the reader may see."""
        work = self._state.work
        there = list(work.marks()) if work is not None and work.files is not None else []
        for widget in (self._ui.reviewMarksLabel, self._ui.reviewMarksWidget):
            widget.setVisible(bool(there))
        if (self._state.caseId, there) == self._offered:
            return
        self._offered = (self._state.caseId, there)
        selector = self._ui.reviewMarksSelector
        selector.blockSignals(True)
        selector.clear()
        selector.addItem(_("nobody else"), "")
        for reader in there:
            selector.addItem(reader, reader)
        selector.blockSignals(False)
        self._ui.reviewMarksButton.setEnabled(False)

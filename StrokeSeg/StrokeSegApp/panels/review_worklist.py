"""The list of cases in the review section: filtered and ordered, with the ways from one case to the next."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp.panels.review_choices import chosenItems, fillChoices, offerDisagreements
from StrokeSegApp.panels.review_state import ReviewState
from StrokeSegApp.panels.review_tables import fillWorklist, prepareWorklist
from StrokeSegLib.review import DONE, next_case, previous_case, resume_case, upcoming

CASES_AHEAD = 2


class ReviewWorklist:
    """The cases that are listed; which of them is opened, the panel decides."""

    def __init__(self, ui: Any, state: ReviewState) -> None:
        self._ui = ui
        self._state = state
        self._items: list[Any] = []
        prepareWorklist(ui.reviewCaseTable)
        fillChoices(ui.reviewFilterSelector, ui.reviewSortSelector)

    @property
    def count(self) -> int:
        """How many cases are listed."""
        return len(self._items)

    @property
    def decided(self) -> int:
        """How many of them the reader has decided on."""
        return sum(item.status in DONE for item in self._items)

    def read(self) -> None:
        """List the study's cases anew, with the filter and the order that are chosen.

        Raises:
            InputError: The study cannot be read.
        """
        ui = self._ui
        offerDisagreements(ui.reviewFilterSelector, self._state.work.adjudicates)
        chosen = ui.reviewFilterSelector.currentData, ui.reviewSortSelector.currentData
        self._items = chosenItems(self._state.work, *chosen)

    def clear(self) -> None:
        """The study is left."""
        self._items = []

    def readAgain(self, *caseIds: str | None) -> None:
        """Only these rows: the order of the list stays while the reader works through it."""

        def refresh() -> None:
            work = self._state.work
            self._items = [work.refreshed(item) if item.case_id in caseIds else item for item in self._items]

        self._state.do(refresh)

    def caseOf(self, row: int) -> str | None:
        """The case in a row of the table."""
        return self._items[row].case_id if 0 <= row < len(self._items) else None

    def next(self) -> str | None:
        """The next case of the list; at first, the one where the reader stopped."""
        work = self._state.work
        if work is None:
            return None
        if work.caseId is None:
            return resume_case(work.study, work.reader, self._items) or next_case(self._items, None)
        return next_case(self._items, work.caseId)

    def previous(self) -> str | None:
        """The case before the open one."""
        return previous_case(self._items, self._state.caseId) if self._state.work is not None else None

    def upcoming(self) -> tuple[str, ...]:
        """The cases whose files are worth reading ahead."""
        return upcoming(self._items, self._state.caseId, CASES_AHEAD)

    def show(self) -> None:
        """Bring the table and the ways to other cases in line."""
        ui = self._ui
        there, caseId = self._state.work is not None, self._state.caseId
        for widget in (ui.reviewFilterSelector, ui.reviewSortSelector):
            widget.setEnabled(there)
        ui.reviewCaseTable.setVisible(there)
        if there:
            fillWorklist(ui.reviewCaseTable, self._items, caseId)
        ui.reviewNextButton.setText(_("Next") if caseId or not self._items else _("Begin or continue"))
        ui.reviewNextButton.setEnabled(bool(self._items) and self.next() is not None)
        ui.reviewPreviousButton.setEnabled(self.previous() is not None)

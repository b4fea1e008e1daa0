"""The decision on the open case in the review section: accept, reject or flag it, comment on it, sign it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp.panels.review_lesions import ReviewLesions
from StrokeSegApp.panels.review_state import ReviewState
from StrokeSegApp.panels.review_tables import statusText
from StrokeSegApp.reviewing import Reviewing


class ReviewDecision:
    """The lines for a reason and a comment, and the buttons under them."""

    def __init__(
        self,
        ui: Any,
        state: ReviewState,
        lesions: ReviewLesions,
        stored: Callable[[str], None],
        commented: Callable[[], None],
    ) -> None:
        """Connect the widgets.

        Args:
            ui: Widgets by name.
            state: Of the section.
            lesions: Of the open case; a decision may take some of them away.
            stored: Called when a decision or a signature is stored, with what is to be said of it.
            commented: Called after a comment.
        """
        self._ui = ui
        self._state = state
        self._lesions = lesions
        self._stored = stored
        self._commented = commented
        ui.reviewCommentEdit.connect("returnPressed()", self.onComment)
        ui.reviewReasonEdit.connect("textChanged(QString)", self.onReason)
        ui.reviewAcceptButton.connect("clicked(bool)", self.onAccept)
        ui.reviewRejectButton.connect("clicked(bool)", self.onReject)
        ui.reviewFlagButton.connect("clicked(bool)", self.onFlag)
        ui.reviewSignButton.connect("clicked(bool)", self.onSign)

    def onComment(self) -> None:
        self.sendComment()
        self._commented()

    def onReason(self, text: str = "") -> None:
        self.show()

    def onAccept(self, checked: bool = False) -> None:
        self._decide(lambda work, comment: work.accept(comment))

    def onReject(self, checked: bool = False) -> None:
        self._decide(lambda work, comment: work.reject(self._ui.reviewReasonEdit.text, comment))

    def onFlag(self, checked: bool = False) -> None:
        self._decide(lambda work, comment: work.flag(self._ui.reviewReasonEdit.text, comment))

    def onSign(self, checked: bool = False) -> None:
        self.sendComment()
        work = self._state.work
        if work is not None and work.files is not None and self._state.do(work.sign):
            self._stored(_("Signed. Any later change makes the signature void."))

    def clear(self) -> None:
        """Another case: its reason and its comment are not written yet."""
        self._ui.reviewReasonEdit.setText("")
        self._ui.reviewCommentEdit.setText("")

    def sendComment(self) -> None:
        """What stands in the comment's line is not lost when the case is left."""
        work = self._state.work
        if work is not None:
            self._state.do(lambda: self._sendCommentOf(work))

    def show(self) -> None:
        """Bring the buttons in line with the open case and with what is written."""
        work = self._state.work
        reason = bool(self._ui.reviewReasonEdit.text.strip())
        self._ui.reviewRejectButton.setEnabled(reason)
        self._ui.reviewFlagButton.setEnabled(reason)
        decided = work is not None and work.files is not None and work.files.reading.done and not work.edited
        self._ui.reviewSignButton.setEnabled(decided and work.files.reading.signature is None)

    def _decide(self, decide: Callable[[Reviewing, str], None]) -> None:
        work = self._state.work
        if work is None or work.files is None:
            return
        comment = self._ui.reviewCommentEdit.text.strip()
        if self._state.do(lambda: decide(work, comment)):
            self._ui.reviewCommentEdit.setText("")
            self._lesions.chooseDoubtful()
            self._stored(statusText(work.files.reading.status).capitalize())

    def _sendCommentOf(self, work: Reviewing) -> None:
        text = self._ui.reviewCommentEdit.text.strip()
        if text and work.files is not None:
            work.comment(text)
            self._ui.reviewCommentEdit.setText("")

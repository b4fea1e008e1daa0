"""Review: a worklist of cases, each shown with what was found, corrected, decided on and signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from StrokeSegApp import scene
from StrokeSegApp.panels.review_editor import ReviewEditor
from StrokeSegApp.panels.review_tables import (
    fillLesions,
    fillWorklist,
    prepareLesions,
    prepareWorklist,
    statusText,
)
from StrokeSegApp.panels.run_view import durationText
from StrokeSegApp.reviewing import Reviewing
from StrokeSegLib.errors import InputError
from StrokeSegLib.review import DONE, next_case, previous_case, resume_case, upcoming

STUDY_SETTING, READER_SETTING = "StrokeSeg/ReviewStudy", "StrokeSeg/ReviewReader"
NEXT_KEYS, PREVIOUS_KEYS = "Ctrl+PgDown", "Ctrl+PgUp"
#: An edit is on the disk after so long, should Slicer crash.
AUTOSAVE_MS = 20_000
#: Files of the next cases are read in turns of so long, so that nothing stutters.
TURN_MS, TURN_S = 20, 0.005
CASES_AHEAD = 2
ALL, OPEN, LOOK = "all", "open", "needs-human"
UNDECIDED = ("new", "opened", "corrected")


class ReviewPanel:
    """The review section; ``work`` is the open study with its reader, or None."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self.work: Reviewing | None = None
        self._items: list[Any] = []
        self._lesion: int | None = None
        self._updating = False
        self._shortcuts: list[Any] = []
        self._editor = ReviewEditor(ui.reviewEditorWidget)
        ui.reviewCollapsibleButton.collapsed = True
        ui.reviewStudyPath.filters = ctk.ctkPathLineEdit.Dirs
        prepareWorklist(ui.reviewCaseTable)
        prepareLesions(ui.reviewLesionTable)
        self._fillChoices()
        self._autosave = _timer(AUTOSAVE_MS, self.onAutosave, once=True)
        self._reading = _timer(TURN_MS, self.onTurn)
        ui.reviewCollapsibleButton.connect("contentsCollapsed(bool)", self.onFold)
        ui.reviewStudyPath.connect("currentPathChanged(QString)", self.onStudy)
        ui.reviewReaderEdit.connect("editingFinished()", self.onStudy)
        ui.reviewFilterSelector.connect("currentIndexChanged(int)", self.onList)
        ui.reviewSortSelector.connect("currentIndexChanged(int)", self.onList)
        ui.reviewCaseTable.connect("cellClicked(int,int)", self.onCase)
        ui.reviewPreviousButton.connect("clicked(bool)", self.onPrevious)
        ui.reviewNextButton.connect("clicked(bool)", self.onNext)
        ui.reviewImageSelector.connect("currentIndexChanged(int)", self.onImage)
        ui.reviewLesionTable.connect("cellClicked(int,int)", self.onLesion)
        ui.reviewLesionTable.connect("currentCellChanged(int,int,int,int)", self.onLesion)
        ui.reviewLesionAcceptButton.connect("clicked(bool)", self.onLesionAccept)
        ui.reviewLesionRejectButton.connect("clicked(bool)", self.onLesionReject)
        ui.reviewEditButton.connect("toggled(bool)", self.onEdit)
        ui.reviewCommentEdit.connect("returnPressed()", self.onComment)
        ui.reviewReasonEdit.connect("textChanged(QString)", self.onReason)
        ui.reviewAcceptButton.connect("clicked(bool)", self.onAccept)
        ui.reviewRejectButton.connect("clicked(bool)", self.onReject)
        ui.reviewFlagButton.connect("clicked(bool)", self.onFlag)
        ui.reviewSignButton.connect("clicked(bool)", self.onSign)
        self._makeShortcuts()
        self._remembered()
        self.update()

    # The module, the scene, and the section come and go

    def onFold(self, folded: bool) -> None:
        if not folded and self.work is None:
            self.onStudy()  # a remembered study is opened when somebody wants to see it, not when Slicer starts
        self.update()

    def onEnter(self) -> None:
        self._enableShortcuts(True)
        self._editor.enter()
        if self.work is not None:
            self.work.goOn()

    def onExit(self) -> None:
        """Another module is shown: edits are stored, and no time counts."""
        self._enableShortcuts(False)
        self._editor.exit()
        if self.work is not None:
            self._do(self.work.pause)

    def onSceneStartClose(self) -> None:
        self._editor.setCase(None)
        if self.work is not None and self.work.nodes is not None:
            self._sendComment()
            self._do(self.work.closeAnyway)
        self.update()

    def close(self) -> None:
        self._enableShortcuts(False)
        self._leaveStudy()
        self._reading.disconnect("timeout()", self.onTurn)
        self._autosave.disconnect("timeout()", self.onAutosave)

    def update(self) -> None:
        """Bring the widgets in line with the study, the list and the open case."""
        if self._updating:
            return
        self._updating = True
        try:
            self._noticeRemoval()
            self._showList()
            self._showCase()
            self._ui.reviewStatusLabel.setVisible(bool(self._ui.reviewStatusLabel.text))
        finally:
            self._updating = False

    # The study and its list

    def onStudy(self, text: str = "") -> None:
        """Open the study, once there are a folder and a reader's name."""
        self._leaveStudy()
        folder, reader = self._ui.reviewStudyPath.currentPath, self._ui.reviewReaderEdit.text.strip()
        self._say(_("Choose the folder of a study.") if not folder else "")
        if folder and not reader:
            self._say(_("Who reads? Give a pseudonym: letters, digits, - and _."))
        if folder and reader and Path(folder).is_dir() and not self._ui.reviewCollapsibleButton.collapsed:
            self._do(lambda: self._openStudy(folder, reader))
        self.update()

    def onList(self, index: int = 0) -> None:
        """Another filter or another order."""
        if self.work is not None and not self._updating:
            self._do(self._readList)
            self._lookAhead()
            self.update()

    def _openStudy(self, folder: str, reader: str) -> None:
        self.work = Reviewing(folder, reader)
        self.work.onEdited = self.onEdited
        settings = slicer.app.userSettings()
        settings.setValue(STUDY_SETTING, folder)
        settings.setValue(READER_SETTING, reader)
        self._readList()
        self._lookAhead()
        done = sum(item.status in DONE for item in self._items)
        self._say(_("{done} of {count} cases are decided.").format(done=done, count=len(self._items)))

    def _leaveStudy(self) -> None:
        self._autosave.stop()
        self._reading.stop()
        work, self.work = self.work, None
        self._items = []
        self._editor.setCase(None)
        if work is None:
            return
        try:
            self._sendCommentOf(work)
            work.close()
        except (InputError, OSError) as error:
            self._say(str(error))
        work.end()

    def _readList(self) -> None:
        work = self.work
        chosen = self._ui.reviewFilterSelector.currentData
        statuses = {ALL: None, LOOK: None, OPEN: UNDECIDED}.get(chosen, (chosen,))
        self._items = work.items(self._ui.reviewSortSelector.currentData, statuses, chosen == LOOK)

    def _remembered(self) -> None:
        settings = slicer.app.userSettings()
        self._ui.reviewStudyPath.currentPath = settings.value(STUDY_SETTING) or ""
        self._ui.reviewReaderEdit.setText(settings.value(READER_SETTING) or "")

    def _showList(self) -> None:
        table = self._ui.reviewCaseTable
        there = self.work is not None
        for widget in (self._ui.reviewFilterSelector, self._ui.reviewSortSelector):
            widget.setEnabled(there)
        table.setVisible(there)
        caseId = self.work.caseId if self.work is not None else None
        if there:
            fillWorklist(table, self._items, caseId)
        self._ui.reviewNextButton.setText(_("Next") if caseId or not self._items else _("Begin or continue"))
        self._ui.reviewNextButton.setEnabled(bool(self._items) and self._nextId() is not None)
        self._ui.reviewPreviousButton.setEnabled(there and previous_case(self._items, caseId) is not None)

    def _nextId(self) -> str | None:
        if self.work is None:
            return None
        if self.work.caseId is None:
            return resume_case(self.work.study, self.work.reader, self._items) or next_case(self._items, None)
        return next_case(self._items, self.work.caseId)

    # A case

    def onCase(self, row: int, column: int = 0) -> None:
        if 0 <= row < len(self._items):
            self._open(self._items[row].case_id)

    def onNext(self, checked: bool = False) -> None:
        """The next case of the list; at first, the one where the reader stopped."""
        caseId = self._nextId()
        if caseId is not None:
            self._open(caseId)

    def onPrevious(self, checked: bool = False) -> None:
        if self.work is not None:
            caseId = previous_case(self._items, self.work.caseId)
            if caseId is not None:
                self._open(caseId)

    def _open(self, caseId: str) -> None:
        work = self.work
        if work is None or caseId == work.caseId:
            return
        self._sendComment()
        before = work.caseId
        if self._do(lambda: work.open(caseId)):
            self._autosave.stop()
            self._editor.setCase(work.nodes)
            self._ui.reviewReasonEdit.setText("")
            self._ui.reviewCommentEdit.setText("")
            self._lesion = work.files.first_doubtful
            self._fillImages()
            self._say("")
            self._jump()
        self._refreshItems(before, caseId)
        self._lookAhead()
        self.update()

    def onImage(self, index: int) -> None:
        role = self._ui.reviewImageSelector.currentData
        if not self._updating and self.work is not None and self.work.nodes is not None and role is not None:
            self.work.nodes.showImage(role)

    def onLesion(self, row: int, column: int = 0) -> None:
        if self._updating or self.work is None or self.work.files is None:
            return
        if 0 <= row < len(self.work.files.lesions):
            self._lesion = row
            self._jump()
            self._editor.chooseSegment(self._segmentId())
            self._showLesionButtons()

    def onLesionAccept(self, checked: bool = False) -> None:
        self._decideLesion(True)

    def onLesionReject(self, checked: bool = False) -> None:
        self._decideLesion(False)

    def onEdit(self, shown: bool) -> None:
        """Unfold the Segment Editor at the chosen lesion."""
        self._editor.show(shown)
        if shown:
            self._jump()
            self._editor.edit(self._segmentId())

    def onEdited(self) -> None:
        """Voxels were changed by hand."""
        if not self._autosave.active:
            self._autosave.start()
        self.update()

    def onAutosave(self) -> None:
        if self.work is not None and self._do(self.work.store):
            self._afterStoring()

    def onComment(self) -> None:
        self._sendComment()
        self.update()

    def onReason(self, text: str = "") -> None:
        self._showDecision()

    def onAccept(self, checked: bool = False) -> None:
        self._decide(lambda work, comment: work.accept(comment))

    def onReject(self, checked: bool = False) -> None:
        self._decide(lambda work, comment: work.reject(self._ui.reviewReasonEdit.text, comment))

    def onFlag(self, checked: bool = False) -> None:
        self._decide(lambda work, comment: work.flag(self._ui.reviewReasonEdit.text, comment))

    def onSign(self, checked: bool = False) -> None:
        self._sendComment()
        work = self.work
        if work is not None and work.files is not None and self._do(work.sign):
            self._afterStoring(_("Signed. Any later change makes the signature void."))

    def _decide(self, decide: Any) -> None:
        work = self.work
        if work is None or work.files is None:
            return
        comment = self._ui.reviewCommentEdit.text.strip()
        if self._do(lambda: decide(work, comment)):
            self._ui.reviewCommentEdit.setText("")
            self._lesion = work.files.first_doubtful
            self._afterStoring(statusText(work.files.reading.status).capitalize())

    def _decideLesion(self, accepted: bool) -> None:
        work = self.work
        if work is None or work.files is None or self._lesion is None:
            return
        row = work.files.lesions[self._lesion]

        def decide() -> None:
            work.store()
            # What was stored just now may have brought other rows: the decision is on the one that was shown.
            same = next((each for each in work.files.lesions if each.mark == row.mark), None)
            if same is None:
                raise InputError("the lesion was changed by hand meanwhile: choose it again in the table")
            work.decideLesion(same, accepted)

        if self._do(decide):
            self._lesion = work.files.first_doubtful if work.files.first_doubtful is not None else self._lesion
            self._jump()
        self._afterStoring()

    def _afterStoring(self, said: str | None = None) -> None:
        self._autosave.stop()
        work = self.work
        if work is None or work.files is None:
            return
        if said is not None:
            self._say(said)
        if self._lesion is not None and self._lesion >= len(work.files.lesions):
            self._lesion = work.files.first_doubtful
        self._refreshItems(work.caseId)
        self.update()

    def _sendComment(self) -> None:
        if self.work is not None:
            self._do(lambda: self._sendCommentOf(self.work))

    def _sendCommentOf(self, work: Any) -> None:
        """What stands in the comment's line is not lost when the case is left."""
        text = self._ui.reviewCommentEdit.text.strip()
        if text and work.files is not None:
            work.comment(text)
            self._ui.reviewCommentEdit.setText("")

    def _noticeRemoval(self) -> None:
        """Somebody removed the case's segmentation: what was edited is stored, and the case is closed."""
        work = self.work
        if work is not None and work.nodes is not None and not work.nodes.there:
            self._editor.setCase(None)
            self._say(_("The segmentation was removed: the case is closed, its edits are stored."))
            self._do(work.closeAnyway)

    # What is shown of the open case

    def _showCase(self) -> None:
        work = self.work
        files = work.files if work is not None else None
        self._ui.reviewCaseWidget.setVisible(files is not None)
        if work is None or files is None:
            return
        title = _("{case}: {status}").format(case=files.case_id, status=statusText(files.reading.status))
        if files.reading.signature is not None:
            title = _("{title}, signed").format(title=title)
        if work.edited:
            title = _("{title}, edits not stored yet").format(title=title)
        self._ui.reviewCaseLabel.setText(title)
        names = {int(label["value"]): str(label["name"]) for label in files.measurements.get("labels", ())}
        fillLesions(self._ui.reviewLesionTable, files.lesions, names, self._lesion)
        self._ui.reviewLesionTable.setVisible(bool(files.lesions))
        self._showLesionButtons()
        self._showDecision()
        notes = [*self._reasons(), *self._comments(), *self._othersText(), *self._strangers()]
        self._ui.reviewNotesLabel.setText("\n".join(notes))
        self._ui.reviewNotesLabel.setVisible(bool(notes))

    def _showLesionButtons(self) -> None:
        chosen = self._lesion is not None
        self._ui.reviewLesionAcceptButton.setEnabled(chosen)
        self._ui.reviewLesionRejectButton.setEnabled(chosen)

    def _showDecision(self) -> None:
        files = self.work.files if self.work is not None else None
        reason = bool(self._ui.reviewReasonEdit.text.strip())
        self._ui.reviewRejectButton.setEnabled(reason)
        self._ui.reviewFlagButton.setEnabled(reason)
        decided = files is not None and files.reading.done and not self.work.edited
        self._ui.reviewSignButton.setEnabled(decided and files.reading.signature is None)

    def _reasons(self) -> list[str]:
        reasons = self.work.files.measurements.get("needs_review", {}).get("reasons", [])
        own = [self.work.files.reading.reason] if self.work.files.reading.reason else []
        return [_("Please check: {reason}").format(reason=reason) for reason in reasons] + [
            _("Your reason: {reason}").format(reason=reason) for reason in own
        ]

    def _comments(self) -> list[str]:
        return [_("You: {text}").format(text=each.text) for each in self.work.files.reading.comments]

    def _othersText(self) -> list[str]:
        if not self.work.files.reading.finished_once:
            return [_("What other readers did is hidden until you have decided.")]
        lines = []
        for name, reading in sorted(self.work.others().items()):
            words = [statusText(reading.status), reading.reason, *(each.text for each in reading.comments)]
            lines.append(_("{reader}: {text}").format(reader=name, text=", ".join(word for word in words if word)))
        return lines

    def _strangers(self) -> list[str]:
        names = self.work.nodes.strangers() if self.work.nodes is not None else []
        return [
            _("Segment {name} is none of this case's findings and is not stored.").format(name=name) for name in names
        ]

    def _fillImages(self) -> None:
        selector, nodes = self._ui.reviewImageSelector, self.work.nodes
        selector.blockSignals(True)
        selector.clear()
        for role, node in nodes.volumes.items():
            selector.addItem(role.upper(), role)
            if node is nodes.reference:
                selector.setCurrentIndex(selector.count - 1)
        selector.blockSignals(False)

    def _jump(self) -> None:
        files = self.work.files if self.work is not None else None
        if files is not None and self._lesion is not None:
            scene.jumpTo(files.lesions[self._lesion].centroid_ras_mm)

    def _segmentId(self) -> str:
        files, nodes = self.work.files, self.work.nodes
        label = files.lesions[self._lesion].label if self._lesion is not None else nodes.firstLabel
        return nodes.segmentId(label)

    # The small change

    def _lookAhead(self) -> None:
        if self.work is not None:
            self.work.loadAhead(upcoming(self._items, self.work.caseId, CASES_AHEAD))
            self._reading.start()

    def onTurn(self) -> None:
        """Let the files of the next cases be read for a moment."""
        if self.work is None or not self.work.turn(TURN_S):
            self._reading.stop()

    def _refreshItems(self, *caseIds: Any) -> None:
        """Only these rows: the order of the list stays while the reader works through it."""
        self._items = [
            self.work.refreshed(item) if item.case_id in caseIds else item for item in self._items
        ]

    def _do(self, work: Any) -> bool:
        """Carry out; what could not be done is said, and then False."""
        try:
            work()
        except (InputError, OSError) as error:
            self._say(str(error))
            self._ui.reviewStatusLabel.setVisible(True)
            return False
        return True

    def _say(self, text: str) -> None:
        self._ui.reviewStatusLabel.setText(text)
        self._ui.reviewStatusLabel.setVisible(bool(text))

    def _fillChoices(self) -> None:
        filters = [
            (_("All cases"), ALL),
            (_("Not decided"), OPEN),
            (_("A human must look"), LOOK),
            (_("Accepted"), "accepted"),
            (_("Rejected"), "rejected"),
            (_("Flagged"), "flagged"),
        ]
        sorts = [
            (_("A human must look first"), "needs-human"),
            (_("Largest doubt first"), "uncertainty"),
            (_("Largest lesions first"), "largest"),
            (_("At random, for audits"), "random"),
            (_("As in the case table"), "table"),
        ]
        for selector, choices in ((self._ui.reviewFilterSelector, filters), (self._ui.reviewSortSelector, sorts)):
            for title, name in choices:
                selector.addItem(title, name)

    def _makeShortcuts(self) -> None:
        """Keys that work everywhere in Slicer: the views have the focus while one reads."""
        for keys, slot in ((NEXT_KEYS, self.onNext), (PREVIOUS_KEYS, self.onPrevious)):
            shortcut = qt.QShortcut(qt.QKeySequence(keys), self._ui.reviewCollapsibleButton)
            shortcut.setContext(qt.Qt.ApplicationShortcut)
            shortcut.connect("activated()", slot)
            self._shortcuts.append(shortcut)
        self._ui.reviewNextButton.setToolTip(_("The next case of the list ({keys})").format(keys=NEXT_KEYS))
        self._ui.reviewPreviousButton.setToolTip(_("The case before ({keys})").format(keys=PREVIOUS_KEYS))
        self._enableShortcuts(False)

    def _enableShortcuts(self, enabled: bool) -> None:
        for shortcut in self._shortcuts:
            shortcut.setEnabled(enabled)


def _timer(interval_ms: int, slot: Any, once: bool = False) -> Any:
    timer = qt.QTimer()
    timer.setInterval(interval_ms)
    timer.setSingleShot(once)
    timer.connect("timeout()", slot)
    return timer

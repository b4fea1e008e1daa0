"""Review: a worklist of cases, each shown with what was found, corrected, decided on and signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from StrokeSegApp import parameters, scene
from StrokeSegApp.panels.review_choices import chosenItems, fillChoices
from StrokeSegApp.panels.review_editor import ReviewEditor
from StrokeSegApp.panels.review_keys import NEXT, PREVIOUS, ReviewKeys
from StrokeSegApp.panels.review_notes import caseNotes, caseTitle
from StrokeSegApp.panels.review_tables import (
    fillLesions,
    fillWorklist,
    prepareLesions,
    prepareWorklist,
    statusText,
)
from StrokeSegApp.review_result import canBegin, studyOfResult
from StrokeSegApp.reviewing import Reviewing
from StrokeSegLib.errors import InputError
from StrokeSegLib.review import DONE, next_case, previous_case, resume_case, upcoming
from StrokeSegLib.review.names import check_name

STUDY_SETTING, READER_SETTING = "StrokeSeg/ReviewStudy", "StrokeSeg/ReviewReader"
#: An edit is on the disk after so long, should Slicer crash.
AUTOSAVE_MS = 20_000
#: Files of the next cases are read in turns of so long, so that nothing stutters.
TURN_MS, TURN_S = 20, 0.005
CASES_AHEAD = 2


class ReviewPanel:
    """The review section; ``work`` is the open study with its reader, or None."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self.work: Reviewing | None = None
        self._opened = ("", "")
        self._items: list[Any] = []
        self._lesion: int | None = None
        self._updating = False
        self._editor = ReviewEditor(ui.reviewEditorWidget)
        ui.reviewCollapsibleButton.collapsed = True
        ui.reviewStudyPath.filters = ctk.ctkPathLineEdit.Dirs
        prepareWorklist(ui.reviewCaseTable)
        prepareLesions(ui.reviewLesionTable)
        fillChoices(ui.reviewFilterSelector, ui.reviewSortSelector)
        self._autosave = _timer(AUTOSAVE_MS, self.onAutosave, once=True)
        self._reading = _timer(TURN_MS, self.onTurn)
        ui.reviewCollapsibleButton.connect("contentsCollapsed(bool)", self.onFold)
        ui.reviewStudyPath.connect("currentPathChanged(QString)", self.onStudy)
        ui.reviewReaderEdit.connect("editingFinished()", self.onStudy)
        ui.reviewFilterSelector.connect("currentIndexChanged(int)", self.onList)
        ui.reviewSortSelector.connect("currentIndexChanged(int)", self.onList)
        ui.reviewBeginButton.connect("clicked(bool)", self.onBegin)
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
        self._keys = ReviewKeys(ui.reviewCollapsibleButton, {NEXT: self.onNext, PREVIOUS: self.onPrevious})
        ui.reviewNextButton.setToolTip(_("The next case of the list ({keys})").format(keys=NEXT))
        ui.reviewPreviousButton.setToolTip(_("The case before ({keys})").format(keys=PREVIOUS))
        self._remembered()
        self.update()

    # The module, the scene, and the section come and go

    def onFold(self, folded: bool) -> None:
        if not folded and self.work is None:
            self.onStudy()  # a remembered study is opened when somebody wants to see it, not when Slicer starts
        self.update()

    def onEnter(self) -> None:
        self._keys.enable(True)
        self._editor.enter()
        if self.work is not None:
            self.work.goOn()

    def onExit(self) -> None:
        """Another module is shown: edits are stored, and no time counts."""
        self._keys.enable(False)
        self._editor.exit()
        if self.work is not None and self._do(self.work.pause):
            self._afterStoring()

    def onSceneStartClose(self) -> None:
        self._editor.setCase(None)
        if self.work is not None and self.work.nodes is not None:
            self._sendComment()
            self._do(self.work.closeAnyway)
        self.update()

    def close(self) -> None:
        self._keys.enable(False)
        self._leaveStudy(anyway=True)
        self._reading.disconnect("timeout()", self.onTurn)
        self._autosave.disconnect("timeout()", self.onAutosave)

    def update(self) -> None:
        """Bring the widgets in line with the study, the list and the open case."""
        if self._updating:
            return
        self._updating = True
        try:
            self._noticeRemoval()
            if self._ui.reviewCollapsibleButton.collapsed:
                return  # looking into the study's folder costs time; unfolding brings all in line
            self._do(self._showList)  # a shared folder may be gone at any time
            self._do(self._showCase)
            self._ui.reviewStatusLabel.setVisible(bool(self._ui.reviewStatusLabel.text))
        finally:
            self._updating = False

    # The study and its list

    def onStudy(self, text: str = "") -> None:
        """Open the study, once there are a folder and a reader's name."""
        folder, reader = self._ui.reviewStudyPath.currentPath, self._ui.reviewReaderEdit.text.strip()
        if self.work is not None and self._opened == (folder, reader):
            return  # the line was only left, not changed
        if not self._leaveStudy():
            return  # what was edited could not be stored: the study stays, and the line below says why
        self._say(_("Choose the folder of a study.") if not folder else "")
        if folder and not reader:
            self._say(_("Who reads? Give a pseudonym: letters, digits, - and _."))
        if folder and reader and not self._ui.reviewCollapsibleButton.collapsed:
            if canBegin(folder, parameters.result(self._logic.getParameterNode())):
                self._say(_("A new study can be made here of the result that is shown."))
            elif Path(folder).is_dir():
                self._do(lambda: self._openStudy(folder, reader))
        self.update()

    def onBegin(self, checked: bool = False) -> None:
        """Make a study of the result that is shown, and open it."""
        folder, reader = self._ui.reviewStudyPath.currentPath, self._ui.reviewReaderEdit.text.strip()
        segmentation = parameters.result(self._logic.getParameterNode())

        def begin() -> None:
            caseId = studyOfResult(folder, check_name(reader, "reader"), segmentation)
            segmentation.GetDisplayNode().SetVisibility(False)  # its copy in the study is what is edited from now on
            self._openStudy(folder, reader)
            self._open(caseId)

        if segmentation is not None:
            self._do(begin)
        self.update()

    def onList(self, index: int = 0) -> None:
        """Another filter or another order."""
        if self.work is not None and not self._updating:
            self._do(self._readList)
            self._lookAhead()
            self.update()

    def _openStudy(self, folder: str, reader: str) -> None:
        self.work, self._opened = Reviewing(folder, reader), (folder, reader)
        self.work.onEdited = self.onEdited
        settings = slicer.app.userSettings()
        settings.setValue(STUDY_SETTING, folder)
        settings.setValue(READER_SETTING, reader)
        self._readList()
        self._lookAhead()
        done = sum(item.status in DONE for item in self._items)
        self._say(_("{done} of {count} cases are decided.").format(done=done, count=len(self._items)))

    def _leaveStudy(self, anyway: bool = False) -> bool:
        """False where something could not be stored; the study is left then only ``anyway``, its nodes stay."""
        work = self.work
        if work is None:
            return True
        self._editor.setCase(None)
        self._sendComment()
        if not self._do(work.close) and not anyway:
            self._editor.setCase(work.nodes)
            return False
        self._autosave.stop()
        self._reading.stop()
        work.end()
        self.work, self._items = None, []
        return True

    def _readList(self) -> None:
        ui = self._ui
        self._items = chosenItems(self.work, ui.reviewFilterSelector.currentData, ui.reviewSortSelector.currentData)

    def _remembered(self) -> None:
        settings = slicer.app.userSettings()
        self._ui.reviewStudyPath.currentPath = settings.value(STUDY_SETTING) or ""
        self._ui.reviewReaderEdit.setText(settings.value(READER_SETTING) or "")

    def _showList(self) -> None:
        table = self._ui.reviewCaseTable
        there = self.work is not None
        segmentation = parameters.result(self._logic.getParameterNode())
        self._ui.reviewBeginButton.setVisible(
            not there and canBegin(self._ui.reviewStudyPath.currentPath, segmentation)
        )
        self._ui.reviewBeginButton.setEnabled(bool(self._ui.reviewReaderEdit.text.strip()))
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
            self._sendComment()
            if self._do(work.closeAnyway):
                self._say(_("The segmentation was removed: the case is closed, its edits are stored."))

    # What is shown of the open case

    def _showCase(self) -> None:
        work = self.work
        files = work.files if work is not None else None
        for widget in (self._ui.reviewCaseLabel, self._ui.reviewCaseWidget, self._ui.reviewNotesLabel):
            widget.setVisible(files is not None)
        if work is None or files is None:
            return
        self._ui.reviewCaseLabel.setText(caseTitle(work))
        names = {int(label["value"]): str(label["name"]) for label in files.measurements.get("labels", ())}
        fillLesions(self._ui.reviewLesionTable, files.lesions, names, self._lesion)
        self._ui.reviewLesionTable.setVisible(bool(files.lesions))
        self._showLesionButtons()
        self._showDecision()
        notes = caseNotes(work)
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

        def refresh() -> None:
            self._items = [self.work.refreshed(item) if item.case_id in caseIds else item for item in self._items]

        self._do(refresh)

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


def _timer(interval_ms: int, slot: Any, once: bool = False) -> Any:
    timer = qt.QTimer()
    timer.setInterval(interval_ms)
    timer.setSingleShot(once)
    timer.connect("timeout()", slot)
    return timer

"""Review: a worklist of cases, each shown with what was found, corrected, decided on and signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from StrokeSegApp import parameters
from StrokeSegApp.panels.path_lines import whenChanged
from StrokeSegApp.panels.review_decision import ReviewDecision
from StrokeSegApp.panels.review_editor import ReviewEditor
from StrokeSegApp.panels.review_keys import NEXT, PREVIOUS, ReviewKeys
from StrokeSegApp.panels.review_lesions import ReviewLesions
from StrokeSegApp.panels.review_marks import ReviewMarks
from StrokeSegApp.panels.review_notes import caseNotes, caseTitle
from StrokeSegApp.panels.review_state import ReviewState
from StrokeSegApp.panels.review_worklist import ReviewWorklist
from StrokeSegApp.review_result import canBegin, studyOfResult
from StrokeSegApp.reviewing import Reviewing
from StrokeSegLib.review.names import check_name

STUDY_SETTING, READER_SETTING = "StrokeSeg/ReviewStudy", "StrokeSeg/ReviewReader"
#: An edit is on the disk after so long, should Slicer crash.
AUTOSAVE_MS = 20_000
#: Files of the next cases are read in turns of so long, so that nothing stutters.
TURN_MS, TURN_S = 20, 0.005


class ReviewPanel:
    """The review section: opens and leaves studies and cases; what is shown of them lies in its parts."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self._opened = ("", "")
        self._state = ReviewState(ui.reviewStatusLabel)
        self._editor = ReviewEditor(ui.reviewEditorWidget)
        self._worklist = ReviewWorklist(ui, self._state)
        self._lesions = ReviewLesions(ui, self._state, self._editor, self.onStored)
        self._marks = ReviewMarks(ui, self._state, self.onStored)
        self._decision = ReviewDecision(ui, self._state, self._lesions, self.onStored, self.update)
        ui.reviewCollapsibleButton.collapsed = True
        ui.reviewStudyPath.filters = ctk.ctkPathLineEdit.Dirs
        self._autosave = _timer(AUTOSAVE_MS, self.onAutosave, once=True)
        self._reading = _timer(TURN_MS, self.onTurn)
        ui.reviewCollapsibleButton.connect("contentsCollapsed(bool)", self.onFold)
        whenChanged(ui.reviewStudyPath, self.onStudy)
        ui.reviewReaderEdit.connect("editingFinished()", self.onStudy)
        ui.reviewFilterSelector.connect("currentIndexChanged(int)", self.onList)
        ui.reviewSortSelector.connect("currentIndexChanged(int)", self.onList)
        ui.reviewBeginButton.connect("clicked(bool)", self.onBegin)
        ui.reviewCaseTable.connect("cellClicked(int,int)", self.onCase)
        ui.reviewPreviousButton.connect("clicked(bool)", self.onPrevious)
        ui.reviewNextButton.connect("clicked(bool)", self.onNext)
        self._keys = ReviewKeys(ui.reviewCollapsibleButton, {NEXT: self.onNext, PREVIOUS: self.onPrevious})
        ui.reviewNextButton.setToolTip(_("The next case of the list ({keys})").format(keys=NEXT))
        ui.reviewPreviousButton.setToolTip(_("The case before ({keys})").format(keys=PREVIOUS))
        self._remembered()
        self.update()

    @property
    def work(self) -> Reviewing | None:
        """The open study with its reader; None without one."""
        return self._state.work

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
        if self.work is not None and self._state.do(self.work.pause):
            self.onStored()

    def onSceneStartClose(self) -> None:
        self._editor.setCase(None)
        if self.work is not None and self.work.nodes is not None:
            self._decision.sendComment()
            self._state.do(self.work.closeAnyway)
        self.update()

    def close(self) -> None:
        self._keys.enable(False)
        self._leaveStudy(anyway=True)
        self._reading.disconnect("timeout()", self.onTurn)
        self._autosave.disconnect("timeout()", self.onAutosave)

    def update(self) -> None:
        """Bring the widgets in line with the study, the list and the open case."""
        if self._state.updating:
            return
        self._state.updating = True
        try:
            self._noticeRemoval()
            if self._ui.reviewCollapsibleButton.collapsed:
                return  # looking into the study's folder costs time; unfolding brings all in line
            self._state.do(self._showStudy)  # a shared folder may be gone at any time
            self._state.do(self._showCase)
            self._state.refresh()
        finally:
            self._state.updating = False

    def _noticeRemoval(self) -> None:
        """Somebody removed the case's segmentation: what was edited is stored, and the case is closed."""
        work = self.work
        if work is not None and work.nodes is not None and not work.nodes.there:
            self._editor.setCase(None)
            self._decision.sendComment()
            if self._state.do(work.closeAnyway):
                self._state.say(_("The segmentation was removed: the case is closed, its edits are stored."))

    def _showStudy(self) -> None:
        segmentation = parameters.result(self._logic.getParameterNode())
        begins = self.work is None and canBegin(self._ui.reviewStudyPath.currentPath, segmentation)
        self._ui.reviewBeginButton.setVisible(begins)
        self._ui.reviewBeginButton.setEnabled(bool(self._ui.reviewReaderEdit.text.strip()))
        self._worklist.show()

    def _showCase(self) -> None:
        there = self._state.files is not None
        for widget in (self._ui.reviewCaseLabel, self._ui.reviewCaseWidget, self._ui.reviewNotesLabel):
            widget.setVisible(there)
        if not there:
            return
        self._ui.reviewCaseLabel.setText(caseTitle(self.work))
        self._lesions.show()
        self._marks.show()
        self._decision.show()
        notes = caseNotes(self.work)
        self._ui.reviewNotesLabel.setText("\n".join(notes))
        self._ui.reviewNotesLabel.setVisible(bool(notes))

    # A study is opened and left

    def onStudy(self, text: str = "") -> None:
        """Open the study, once there are a folder and a reader's name."""
        folder, reader = self._ui.reviewStudyPath.currentPath, self._ui.reviewReaderEdit.text.strip()
        if self.work is not None and self._opened == (folder, reader):
            return  # the line was only left, not changed
        if not self._leaveStudy():
            return  # what was edited could not be stored: the study stays, and the line below says why
        self._state.say(_("Choose the folder of a study.") if not folder else "")
        if folder and not reader:
            self._state.say(_("Who reads? Give a pseudonym: letters, digits, - and _."))
        if folder and reader and not self._ui.reviewCollapsibleButton.collapsed:
            if canBegin(folder, parameters.result(self._logic.getParameterNode())):
                self._state.say(_("A new study can be made here of the result that is shown."))
            elif Path(folder).is_dir():
                self._state.do(lambda: self._openStudy(folder, reader))
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
            self._state.do(begin)
        self.update()

    def _openStudy(self, folder: str, reader: str) -> None:
        work = self._state.work = Reviewing(folder, reader)
        self._opened = (folder, reader)
        work.onEdited = self.onEdited
        settings = slicer.app.userSettings()
        settings.setValue(STUDY_SETTING, folder)
        settings.setValue(READER_SETTING, reader)
        self._worklist.read()
        self._lookAhead()
        decided, count = self._worklist.decided, self._worklist.count
        self._state.say(_("{done} of {count} cases are decided.").format(done=decided, count=count))

    def _leaveStudy(self, anyway: bool = False) -> bool:
        """False where something could not be stored; the study is left then only ``anyway``, its nodes stay."""
        work = self.work
        if work is None:
            return True
        self._editor.setCase(None)
        self._decision.sendComment()
        if not self._state.do(work.close) and not anyway:
            self._editor.setCase(work.nodes)
            return False
        self._autosave.stop()
        self._reading.stop()
        work.end()
        self._state.work = None
        self._worklist.clear()
        return True

    def _remembered(self) -> None:
        settings = slicer.app.userSettings()
        self._ui.reviewStudyPath.currentPath = settings.value(STUDY_SETTING) or ""
        self._ui.reviewReaderEdit.setText(settings.value(READER_SETTING) or "")

    # From case to case

    def onList(self, index: int = 0) -> None:
        """Another filter or another order."""
        if self.work is not None and not self._state.updating:
            self._state.do(self._worklist.read)
            self._lookAhead()
            self.update()

    def onCase(self, row: int, column: int = 0) -> None:
        self._open(self._worklist.caseOf(row))

    def onNext(self, checked: bool = False) -> None:
        self._open(self._worklist.next())

    def onPrevious(self, checked: bool = False) -> None:
        self._open(self._worklist.previous())

    def _open(self, caseId: str | None) -> None:
        work = self.work
        if work is None or caseId is None or caseId == work.caseId:
            return
        self._decision.sendComment()
        before = work.caseId
        if self._state.do(lambda: work.open(caseId)):
            self._autosave.stop()
            self._editor.setCase(work.nodes)
            self._decision.clear()
            self._lesions.chooseDoubtful()
            self._lesions.fillImages()
            self._state.say("")
            self._lesions.jump()
        self._worklist.readAgain(before, caseId)
        self._lookAhead()
        self.update()

    def _lookAhead(self) -> None:
        if self.work is not None:
            self.work.loadAhead(self._worklist.upcoming())
            self._reading.start()

    def onTurn(self) -> None:
        """Let the files of the next cases be read for a moment."""
        if self.work is None or not self.work.turn(TURN_S):
            self._reading.stop()

    # The open case is edited and stored

    def onEdited(self) -> None:
        """Voxels were changed by hand."""
        if not self._autosave.active:
            self._autosave.start()
        self.update()

    def onAutosave(self) -> None:
        if self.work is not None and self._state.do(self.work.store):
            self.onStored()

    def onStored(self, said: str | None = None) -> None:
        """Edits or a decision are on the disk."""
        self._autosave.stop()
        if self._state.files is None:
            return
        if said is not None:
            self._state.say(said)
        self._lesions.checkChoice()
        self._worklist.readAgain(self._state.caseId)
        self.update()


def _timer(interval_ms: int, slot: Any, once: bool = False) -> Any:
    timer = qt.QTimer()
    timer.setInterval(interval_ms)
    timer.setSingleShot(once)
    timer.connect("timeout()", slot)
    return timer

"""The images and lesions of the open case in the review section: where one looks and edits, the verdict on each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp import scene
from StrokeSegApp.panels.review_editor import ReviewEditor
from StrokeSegApp.panels.review_state import ReviewState
from StrokeSegApp.panels.review_tables import fillLesions, prepareLesions
from StrokeSegLib.errors import InputError


class ReviewLesions:
    """One of the lesions is chosen, as long as there are any."""

    def __init__(self, ui: Any, state: ReviewState, editor: ReviewEditor, stored: Callable[[], None]) -> None:
        """Connect the widgets.

        Args:
            ui: Widgets by name.
            state: Of the section.
            editor: Slicer's Segment Editor.
            stored: Called when something about the case was stored.
        """
        self._ui = ui
        self._state = state
        self._editor = editor
        self._stored = stored
        self._chosen: int | None = None
        prepareLesions(ui.reviewLesionTable)
        ui.reviewImageSelector.connect("currentIndexChanged(int)", self.onImage)
        ui.reviewLesionTable.connect("cellClicked(int,int)", self.onLesion)
        ui.reviewLesionTable.connect("currentCellChanged(int,int,int,int)", self.onLesion)
        ui.reviewLesionAcceptButton.connect("clicked(bool)", self.onAccept)
        ui.reviewLesionRejectButton.connect("clicked(bool)", self.onReject)
        ui.reviewEditButton.connect("toggled(bool)", self.onEdit)

    def onImage(self, index: int) -> None:
        role, nodes = self._ui.reviewImageSelector.currentData, self._state.nodes
        if not self._state.updating and nodes is not None and role is not None:
            nodes.showImage(role)

    def onLesion(self, row: int, column: int = 0) -> None:
        files = self._state.files
        if not self._state.updating and files is not None and 0 <= row < len(files.lesions):
            self._chosen = row
            self.jump()
            self._editor.chooseSegment(self._segmentId())
            self._showButtons()

    def onAccept(self, checked: bool = False) -> None:
        self._decide(True)

    def onReject(self, checked: bool = False) -> None:
        self._decide(False)

    def onEdit(self, shown: bool) -> None:
        """Unfold the Segment Editor at the chosen lesion."""
        self._editor.show(shown)
        if shown:
            self.jump()
            self._editor.edit(self._segmentId())

    def chooseDoubtful(self) -> None:
        """The first lesion that still needs a verdict; none where there is none."""
        self._chosen = self._state.files.first_doubtful

    def checkChoice(self) -> None:
        """There may be fewer lesions now than there were."""
        if self._chosen is not None and self._chosen >= len(self._state.files.lesions):
            self.chooseDoubtful()

    def fillImages(self) -> None:
        """The images of the case that was opened."""
        selector, nodes = self._ui.reviewImageSelector, self._state.nodes
        selector.blockSignals(True)
        selector.clear()
        for role, node in nodes.volumes.items():
            selector.addItem(role.upper(), role)
            if node is nodes.reference:
                selector.setCurrentIndex(selector.count - 1)
        selector.blockSignals(False)

    def jump(self) -> None:
        """Show the chosen lesion in all views."""
        files = self._state.files
        if files is not None and self._chosen is not None:
            scene.jumpTo(files.lesions[self._chosen].centroid_ras_mm)

    def show(self) -> None:
        """Bring the table in line with the open case."""
        files = self._state.files
        names = {int(label["value"]): str(label["name"]) for label in files.measurements.get("labels", ())}
        fillLesions(self._ui.reviewLesionTable, files.lesions, names, self._chosen)
        self._ui.reviewLesionTable.setVisible(bool(files.lesions))
        self._showButtons()

    def _showButtons(self) -> None:
        chosen = self._chosen is not None
        self._ui.reviewLesionAcceptButton.setEnabled(chosen)
        self._ui.reviewLesionRejectButton.setEnabled(chosen)

    def _decide(self, accepted: bool) -> None:
        work = self._state.work
        if work is None or work.files is None or self._chosen is None:
            return
        row = work.files.lesions[self._chosen]

        def decide() -> None:
            work.store()
            # What was stored just now may have brought other rows: the decision is on the one that was shown.
            same = next((each for each in work.files.lesions if each.mark == row.mark), None)
            if same is None:
                raise InputError(_("the lesion was changed by hand meanwhile: choose it again in the table"))
            work.decideLesion(same, accepted)

        if self._state.do(decide):
            if work.files.first_doubtful is not None:
                self.chooseDoubtful()
            self.jump()
        self._stored()

    def _segmentId(self) -> str:
        files, nodes = self._state.files, self._state.nodes
        label = files.lesions[self._chosen].label if self._chosen is not None else nodes.firstLabel
        return nodes.segmentId(label)

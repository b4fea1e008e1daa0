"""The result section: how a result is shown, another threshold, two side by side, and the way back."""

from __future__ import annotations

import json
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from StrokeSegApp import parameters, relabel, result_nodes, result_watch, scene, views
from StrokeSegLib.errors import InputError

#: A new threshold waits this long for the slider to rest, so that dragging stays smooth.
SETTLE_MS = 80


class ResultPanel:
    """Shows the chosen result, and the one that it is compared with."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self._updating = False
        self._label: int | None = None  # whose threshold the slider is
        self._tips = [(button, button.toolTip) for button in (ui.thresholdResetButton, ui.undoButton)]
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.connect("timeout()", self.onThresholdSettled)
        for selector in (ui.resultSelector, ui.compareSelector):
            selector.addAttribute("vtkMRMLSegmentationNode", scene.MEASUREMENTS_ATTRIBUTE)
        ui.resultSelector.connect("nodeActivated(vtkMRMLNode*)", self.onResultChosen)
        ui.compareSelector.connect("nodeActivated(vtkMRMLNode*)", self.onComparedChosen)
        ui.opacitySlider.connect("valueChanged(double)", self.onOpacity)
        ui.thresholdLabelSelector.connect("currentIndexChanged(int)", self.onThresholdLabel)
        ui.thresholdSlider.connect("valueChanged(double)", self.onThreshold)
        ui.thresholdResetButton.connect("clicked(bool)", self.onThresholdReset)
        ui.surfaceCheckBox.connect("toggled(bool)", self.onSurface)
        ui.uncertaintyCheckBox.connect("toggled(bool)", self.onUncertainty)
        ui.windowStrokeButton.connect("clicked(bool)", lambda checked=False: self.setWindow("stroke"))
        ui.windowBrainButton.connect("clicked(bool)", lambda checked=False: self.setWindow("brain"))
        ui.windowBloodButton.connect("clicked(bool)", lambda checked=False: self.setWindow("blood"))
        ui.windowDwiButton.connect("clicked(bool)", lambda checked=False: self.setWindow("dwi"))
        ui.compareButton.connect("toggled(bool)", self.onCompare)
        ui.undoButton.connect("clicked(bool)", self.onUndo)
        result_watch.install()

    def close(self) -> None:
        self._timer.stop()
        self._timer.disconnect("timeout()", self.onThresholdSettled)

    def onSceneStartClose(self) -> None:
        self._timer.stop()

    # What is shown

    def update(self) -> None:
        node = self._logic.getParameterNode()
        self._chooseWhatIsThere(node)
        segmentation = parameters.result(node)
        measurements = scene.storedMeasurements(segmentation)
        self._ui.resultCollapsibleButton.setVisible(measurements is not None)
        self._updating = True
        try:
            self._ui.resultSelector.setCurrentNode(segmentation)
            self._ui.compareSelector.setCurrentNode(parameters.compared(node))
            self._ui.resultSelector.setToolTip(segmentation.GetName() if segmentation else "")
            if measurements is not None:
                self._showDisplay(segmentation)
                self._showThreshold(segmentation)
                self._showWhatIsLost(segmentation)
            self._showComparison(node)
        finally:
            self._updating = False

    def _chooseWhatIsThere(self, node: Any) -> None:
        """The newest result where the chosen one is gone, and another one to compare it with."""
        results = _results()
        if parameters.result(node) not in results:
            parameters.setResult(node, results[-1] if results else None)
        others = [each for each in results if each is not parameters.result(node)]
        if parameters.compared(node) not in others:
            parameters.setCompared(node, others[-1] if others else None)

    def _showDisplay(self, segmentation: Any) -> None:
        display = segmentation.GetDisplayNode()
        if display is None:
            return
        uncertainty = result_nodes.uncertaintyOf(segmentation)
        self._ui.opacitySlider.value = round(100 * display.GetOpacity2DFill())
        self._ui.surfaceCheckBox.setChecked(bool(display.GetVisibility3D()))
        self._ui.uncertaintyCheckBox.setVisible(uncertainty is not None)
        self._ui.uncertaintyCheckBox.setChecked(views.isForeground(uncertainty))

    def _showThreshold(self, segmentation: Any) -> None:
        hindrance = relabel.hindrance(segmentation)
        found = result_nodes.asFound(segmentation)
        self._ui.thresholdSlider.setEnabled(not hindrance)
        self._showLabels(relabel.choices(segmentation))
        self._ui.thresholdSlider.value = relabel.threshold(segmentation, self._label)
        note = hindrance or relabel.remark(segmentation)
        self._ui.thresholdNoteLabel.setText(note)
        self._ui.thresholdNoteLabel.setVisible(bool(note))
        changed = found is not None and found[1] != scene.storedMeasurements(segmentation)
        self._ui.thresholdResetButton.setEnabled(found is not None and (changed or result_watch.isEdited(segmentation)))

    def _showLabels(self, names: dict[int, str]) -> None:
        """The findings that have a threshold of their own; a single one needs no choice."""
        selector = self._ui.thresholdLabelSelector
        selector.clear()
        for value, name in names.items():
            selector.addItem(name.capitalize(), value)
        selector.setCurrentIndex(max(0, selector.findData(self._label)))
        selector.setVisible(len(names) > 1)
        self._label = selector.currentData

    def _showWhatIsLost(self, segmentation: Any) -> None:
        edited = result_watch.isEdited(segmentation)
        warning = _("It was edited by hand: you are asked before the edits are lost.")
        for button, tip in self._tips:
            button.setToolTip(f"{tip}. {warning}" if edited else tip)

    def _showComparison(self, node: Any) -> None:
        comparable = parameters.compared(node) is not None and parameters.result(node) is not None
        for widget in (self._ui.compareLabel, self._ui.compareSelector, self._ui.compareButton):
            widget.setVisible(comparable)
        beside = parameters.viewBefore(node)
        if beside and not comparable:  # one of the two was removed
            parameters.setViewBefore(node, "")
            views.restore(json.loads(beside))
        self._ui.compareButton.setChecked(bool(parameters.viewBefore(node)))

    # What the user does

    def onResultChosen(self, segmentation: Any = None) -> None:
        if not self._updating and segmentation is not None:
            if segmentation.GetDisplayNode() is not None:
                segmentation.GetDisplayNode().SetVisibility(True)  # a case under review may have put it out of sight
            parameters.setResult(self._logic.getParameterNode(), segmentation)
            self._refreshComparison()

    def onComparedChosen(self, segmentation: Any = None) -> None:
        if not self._updating and segmentation is not None:
            parameters.setCompared(self._logic.getParameterNode(), segmentation)
            self._refreshComparison()

    def onOpacity(self, percent: float) -> None:
        display = self._display()
        if display is not None:
            display.SetOpacity2DFill(percent / 100)
            display.SetOpacity2DOutline(1.0 if percent > 0 else 0.0)

    def onThresholdLabel(self, index: int = 0) -> None:
        """The slider is for another finding from now on."""
        if self._updating:
            return
        if self._timer.active:  # what was chosen for the one before is not lost
            self._timer.stop()
            self.onThresholdSettled()
        self._label = self._ui.thresholdLabelSelector.itemData(index)
        self.update()

    def onThreshold(self, value: float) -> None:
        if not self._updating:
            self._timer.start()

    def onThresholdSettled(self) -> None:
        """Relabel from the probabilities; the run is not repeated."""
        segmentation = parameters.result(self._logic.getParameterNode())
        if segmentation is None or relabel.hindrance(segmentation):
            return
        self._change(lambda: relabel.relabel(segmentation, round(self._ui.thresholdSlider.value, 2), self._label))

    def onThresholdReset(self, checked: bool = False) -> None:
        segmentation = parameters.result(self._logic.getParameterNode())
        if segmentation is None or result_nodes.asFound(segmentation) is None:
            return
        question = _("'{name}' was edited by hand. Go back to what the model found, and lose the edits?")
        if _mayLoseEdits(segmentation, question):
            self._change(lambda: relabel.restore(segmentation))

    def onSurface(self, shown: bool) -> None:
        display = self._display()
        if display is not None:
            display.SetVisibility3D(shown)
            if shown:
                parameters.result(self._logic.getParameterNode()).CreateClosedSurfaceRepresentation()

    def onUncertainty(self, shown: bool) -> None:
        segmentation = parameters.result(self._logic.getParameterNode())
        if not self._updating and segmentation is not None:
            views.showUncertainty(result_nodes.uncertaintyOf(segmentation) if shown else None)

    def setWindow(self, preset: str) -> None:
        """Give the volumes behind the slices a window, or the result's own volume when nothing is shown."""
        reference = result_nodes.referenceOf(parameters.result(self._logic.getParameterNode()))
        views.setWindow(views.shownVolumes() or ([reference] if reference else []), preset)

    def onCompare(self, beside: bool) -> None:
        if self._updating:
            return
        node = self._logic.getParameterNode()
        if beside:
            before = json.dumps(views.remember())
            self._showBeside(node)
            parameters.setViewBefore(node, before)
        else:
            self._endComparison(node)

    def onUndo(self, checked: bool = False) -> None:
        node = self._logic.getParameterNode()
        segmentation = parameters.result(node)
        question = _("'{name}' was edited by hand. Remove it, and lose the edits?")
        if segmentation is not None and _mayLoseEdits(segmentation, question):
            self._endComparison(node)
            result_nodes.remove(segmentation)
            node.Modified()

    def _refreshComparison(self) -> None:
        node = self._logic.getParameterNode()
        before = parameters.viewBefore(node)
        if before and parameters.compared(node) is not None:
            views.restore(json.loads(before))
            self._showBeside(node)

    def _showBeside(self, node: Any) -> None:
        left, right = parameters.result(node), parameters.compared(node)
        views.showSideBySide(left, result_nodes.referenceOf(left), right, result_nodes.referenceOf(right))

    def _endComparison(self, node: Any) -> None:
        before = parameters.viewBefore(node)
        if before:
            views.restore(json.loads(before))
            parameters.setViewBefore(node, "")

    def _change(self, change: Any) -> None:
        try:
            change()
        except InputError as error:
            self._ui.thresholdNoteLabel.setText(str(error))
            self._ui.thresholdNoteLabel.setVisible(True)
        else:
            self._logic.getParameterNode().Modified()

    def _display(self) -> Any:
        """The display node of the chosen result; None while the widgets are brought in line, or without a result."""
        segmentation = parameters.result(self._logic.getParameterNode())
        return segmentation.GetDisplayNode() if segmentation is not None and not self._updating else None


def _mayLoseEdits(segmentation: Any, question: str) -> bool:
    """Whether there are none, or the user says yes: neither can be undone."""
    name = segmentation.GetName()
    return not result_watch.isEdited(segmentation) or slicer.util.confirmOkCancelDisplay(question.format(name=name))


def _results() -> list[Any]:
    return [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        if node.GetAttribute(scene.MEASUREMENTS_ATTRIBUTE)
    ]

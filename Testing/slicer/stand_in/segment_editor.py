"""Stand-in for qMRMLSegmentEditorWidget: it keeps what it is told, and paints when a test asks it to.

It has the methods of Slicer's that the module calls, by the same names, and refuses every attribute that the original
does not have. Its effects do nothing: painting, erasing, thresholds, islands and undo are Slicer's own, and only Slicer
shows that they work.
"""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtWidgets

#: Effects of Slicer's Segment Editor.
EFFECTS = (
    "Threshold", "Paint", "Draw", "Erase", "Level tracing", "Grow from seeds", "Fill between slices", "Margin",
    "Hollow", "Smoothing", "Scissors", "Islands", "Logical operators", "Mask volume",
)  # fmt: skip


class qMRMLSegmentEditorWidget(QtWidgets.QWidget):
    """Attributes: ``told``, the last value of each setter by its name; ``calls``, the names of all calls in order."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.told: dict[str, Any] = {}
        self.calls: list[str] = []
        self._scene: Any = None
        self._node: Any = None
        row = QtWidgets.QVBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QtWidgets.QLabel("Segment Editor"))

    def __setattr__(self, name: str, value: Any) -> None:
        known = {"told", "calls", "_scene", "_node", "unorderedEffectsVisible"}
        if name not in known:
            raise AttributeError(f"qMRMLSegmentEditorWidget has no property {name!r}")
        if name == "unorderedEffectsVisible":
            self.told[name] = bool(value)
        else:
            super().__setattr__(name, value)

    def _tell(self, name: str, value: Any) -> None:
        self.calls.append(name)
        self.told[name] = value

    def setMaximumNumberOfUndoStates(self, count: int) -> None:
        self._tell("maximumNumberOfUndoStates", int(count))

    def setUndoEnabled(self, enabled: bool) -> None:
        self._tell("undoEnabled", bool(enabled))

    def setEffectNameOrder(self, names: list[str]) -> None:
        assert set(names) <= set(EFFECTS)
        self._tell("effectNameOrder", list(names))

    def setSegmentationNodeSelectorVisible(self, visible: bool) -> None:
        self._tell("segmentationNodeSelectorVisible", bool(visible))

    def setSourceVolumeNodeSelectorVisible(self, visible: bool) -> None:
        self._tell("sourceVolumeNodeSelectorVisible", bool(visible))

    def setSwitchToSegmentationsButtonVisible(self, visible: bool) -> None:
        self._tell("switchToSegmentationsButtonVisible", bool(visible))

    def setAddRemoveSegmentButtonsVisible(self, visible: bool) -> None:
        self._tell("addRemoveSegmentButtonsVisible", bool(visible))

    def setAutoShowSourceVolumeNode(self, shown: bool) -> None:
        self._tell("autoShowSourceVolumeNode", bool(shown))

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        assert node is None or node.IsA("vtkMRMLSegmentEditorNode")
        self._node = node
        self._tell("mrmlSegmentEditorNode", node)

    def setMRMLScene(self, scene: Any) -> None:
        assert self._node is not None, "the original makes a parameter node of its own when the scene comes first"
        self._scene = scene
        self._tell("mrmlScene", scene)

    def setSegmentationNode(self, node: Any) -> None:
        assert node is None or (self._scene is not None and node.IsA("vtkMRMLSegmentationNode"))
        if self._node is not None:
            self._node.SetAndObserveSegmentationNode(node)
        self._tell("segmentationNode", node)

    def setSourceVolumeNode(self, node: Any) -> None:
        assert self.told.get("segmentationNode") is not None
        if self._node is not None:
            self._node.SetAndObserveSourceVolumeNode(node)
        self._tell("sourceVolumeNode", node)

    def setCurrentSegmentID(self, identifier: str) -> None:
        node = self.told.get("segmentationNode")
        assert node is not None
        assert node.GetSegmentation().GetSegment(identifier) is not None
        self._tell("currentSegmentID", identifier)

    def setActiveEffectByName(self, name: str) -> None:
        assert name in self.told["effectNameOrder"] or self.told.get("unorderedEffectsVisible", True)
        self._tell("activeEffect", name)

    def setActiveEffect(self, effect: Any) -> None:
        assert effect is None, "no effect objects here"
        self._tell("activeEffect", None)

    def installKeyboardShortcuts(self) -> None:
        self._tell("keyboardShortcuts", True)

    def uninstallKeyboardShortcuts(self) -> None:
        self._tell("keyboardShortcuts", False)

    def setupViewObservations(self) -> None:
        self._tell("viewObservations", True)

    def removeViewObservations(self) -> None:
        self._tell("viewObservations", False)


def install() -> None:
    """Make ``slicer.qMRMLSegmentEditorWidget`` work."""
    slicer.qMRMLSegmentEditorWidget = qMRMLSegmentEditorWidget

"""Slicer's Segment Editor inside the review section, with the effects that a correction needs."""

from __future__ import annotations

from typing import Any

import slicer

EFFECTS = ["Paint", "Erase", "Threshold", "Islands"]
UNDO_STATES = 10
NODE_TAG = "StrokeSegReview"


class ReviewEditor:
    """Made when it is first shown: the widget is a large one. Its scissors and brushes are Slicer's own."""

    def __init__(self, place: Any) -> None:
        """Prepare.

        Args:
            place: Widget with a layout, which gets the editor.
        """
        self._place = place
        self._widget: Any = None
        self._case: Any = None
        self._active = True
        self._shown = False
        self._listening = False
        place.setVisible(False)

    def show(self, shown: bool) -> None:
        """Unfold or fold the editor."""
        if shown and self._widget is None:
            self._build()
        self._shown = shown
        self._listen()
        self._place.setVisible(shown)

    def setCase(self, nodes: Any) -> None:
        """Edit the segmentation of a case (``review_case.CaseNodes``); None lets go of it."""
        self._case = nodes
        if self._widget is not None:
            self._give()
            self._listen()

    def chooseSegment(self, segmentId: str) -> None:
        """What is painted belongs to this segment."""
        if self._widget is not None and self._case is not None:
            self._widget.setCurrentSegmentID(segmentId)

    def edit(self, segmentId: str) -> None:
        """Choose a segment and the brush."""
        self.chooseSegment(segmentId)
        if self._widget is not None and self._case is not None:
            self._widget.setActiveEffectByName("Paint")

    def enter(self) -> None:
        """The module is shown."""
        self._active = True
        self._listen()

    def exit(self) -> None:
        """Another module is shown, whose keys and mouse these are then."""
        self._active = False
        self._listen()

    def _listen(self) -> None:
        """Keys and mouse are the editor's only while it is seen and has a case.

        Its keys lie on Slicer's main window: Space takes the brush, whether or not anybody sees the editor.
        """
        listens = self._active and self._shown and self._case is not None
        if self._widget is None or listens == self._listening:
            return
        self._listening = listens
        if listens:
            self._widget.setupViewObservations()
            self._widget.installKeyboardShortcuts()
        else:
            self._widget.setActiveEffect(None)
            self._widget.uninstallKeyboardShortcuts()
            self._widget.removeViewObservations()

    def _build(self) -> None:
        widget = slicer.qMRMLSegmentEditorWidget()
        widget.setMaximumNumberOfUndoStates(UNDO_STATES)
        widget.setUndoEnabled(True)
        widget.setEffectNameOrder(EFFECTS)
        widget.unorderedEffectsVisible = False
        widget.setSegmentationNodeSelectorVisible(False)
        widget.setSourceVolumeNodeSelectorVisible(False)
        widget.setSwitchToSegmentationsButtonVisible(False)
        widget.setAddRemoveSegmentButtonsVisible(False)
        widget.setAutoShowSourceVolumeNode(False)  # the reader chooses which image lies behind
        self._place.layout().addWidget(widget)
        self._widget = widget
        self._give()

    def _give(self) -> None:
        widget, case = self._widget, self._case
        if case is None or not case.there:
            widget.setActiveEffect(None)
            widget.setSegmentationNode(None)
            return
        # In this order: a widget that gets the scene first takes the node of the Segment Editor module.
        widget.setMRMLSegmentEditorNode(_editorNode())
        widget.setMRMLScene(slicer.mrmlScene)
        widget.setSegmentationNode(case.segmentation)
        widget.setSourceVolumeNode(case.reference)


def _editorNode() -> Any:
    """The editor's parameters, kept apart from those of the Segment Editor module."""
    node = slicer.mrmlScene.GetSingletonNode(NODE_TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.vtkMRMLSegmentEditorNode()
        node.SetSingletonTag(NODE_TAG)
        node.SetSaveWithScene(False)
        node = slicer.mrmlScene.AddNode(node)
        # A lesion is of one kind: painting one takes the voxel from another.
        node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
    return node

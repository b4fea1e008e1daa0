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
        place.setVisible(False)

    def show(self, shown: bool) -> None:
        """Unfold or fold the editor."""
        if shown and self._widget is None:
            self._build()
        if not shown:
            self.putAwayTools()
        self._place.setVisible(shown)

    def setCase(self, nodes: Any) -> None:
        """Edit the segmentation of a case (``review_case.CaseNodes``); None lets go of it."""
        self._case = nodes
        if self._widget is not None:
            self._give()

    def chooseSegment(self, segmentId: str) -> None:
        """What is painted belongs to this segment."""
        if self._widget is not None and self._case is not None:
            self._widget.setCurrentSegmentID(segmentId)

    def edit(self, segmentId: str) -> None:
        """Choose a segment and the brush."""
        self.chooseSegment(segmentId)
        if self._widget is not None and self._case is not None:
            self._widget.setActiveEffectByName("Paint")

    def putAwayTools(self) -> None:
        """No effect is active: the mouse moves the slices again."""
        if self._widget is not None:
            self._widget.setActiveEffect(None)

    def enter(self) -> None:
        """The module is shown."""
        self._active = True
        if self._widget is not None:
            self._widget.setupViewObservations()
            self._widget.installKeyboardShortcuts()

    def exit(self) -> None:
        """Another module is shown, whose keys and mouse these are then."""
        self._active = False
        if self._widget is not None:
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
        if self._active:
            self.enter()

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

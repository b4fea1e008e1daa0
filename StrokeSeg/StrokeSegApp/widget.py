"""The panels in the order of the work, and what they have in common: the scene, and one parameter node in it."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

from StrokeSegApp import parameters
from StrokeSegApp.panels.batch import BatchPanel
from StrokeSegApp.panels.export import ExportPanel
from StrokeSegApp.panels.help import HelpPanel
from StrokeSegApp.panels.input import InputPanel
from StrokeSegApp.panels.lesions import LesionsPanel
from StrokeSegApp.panels.models import ModelsPanel
from StrokeSegApp.panels.result import ResultPanel
from StrokeSegApp.panels.review import ReviewPanel
from StrokeSegApp.panels.segment import SegmentPanel
from StrokeSegApp.panels.train import TrainPanel

#: One class a section of StrokeSeg.ui, built as ``Panel(ui, logic)``, in the order in which they are told of changes.
PANELS: tuple[Any, ...] = (
    InputPanel,
    SegmentPanel,
    ResultPanel,
    ExportPanel,
    LesionsPanel,
    ReviewPanel,
    TrainPanel,
    BatchPanel,
    ModelsPanel,
    HelpPanel,
)


class StrokeSegPanel(VTKObservationMixin):
    """Mounts the panels and tells them what happens; ``close`` must be called at the end.

    A panel has those of these methods that it needs: ``onEnter()`` and ``onExit()`` (of the module),
    ``onSceneStartClose()``, ``onSceneChanged()`` (a scene was opened, imported or emptied, or the user entered the
    module), ``onNodeAdded(node)``, ``onModelsChanged()``, ``update()`` (the parameter node changed or a node was
    removed: bring the widgets in line) and ``close()``. Panels know nothing of each other: what one chooses and another
    needs lies in the parameter node, ``logic.getParameterNode()``.
    """

    def __init__(self, ui: Any, logic: Any) -> None:
        VTKObservationMixin.__init__(self)
        self.logic = logic
        self.parameterNode: Any = None
        self._updating = False
        self._changedInBatch = False
        self.panels = tuple(Panel(ui, logic) for Panel in PANELS)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneChanged)
        self.addObserver(scene, scene.EndBatchProcessEvent, self.onBatchEnd)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        self.onSceneChanged()

    def panel(self, kind: type) -> Any:
        """The mounted panel of a class."""
        return next(each for each in self.panels if isinstance(each, kind))

    def enter(self) -> None:
        """The user opened the module."""
        self.onSceneChanged()
        self._tell("onEnter")

    def exit(self) -> None:
        """The user went to another module."""
        self._tell("onExit")

    def close(self) -> None:
        """End what goes on and let go of the scene."""
        self.removeObservers()
        for panel in reversed(self.panels):
            _call(panel, "close")
        self.parameterNode = None

    def onSceneStartClose(self, caller: Any = None, event: Any = None) -> None:
        self._tell("onSceneStartClose")
        self._observeParameterNode(None)

    def onSceneChanged(self, caller: Any = None, event: Any = None) -> None:
        if slicer.mrmlScene.IsBatchProcessing():
            self._changedInBatch = (
                True  # a scene that is opened in the place of another one: what comes is not all there
            )
            return
        self._changedInBatch = False
        self._observeParameterNode(self.logic.getParameterNode())
        self._tell("onSceneChanged")
        self.update()

    def onBatchEnd(self, caller: Any = None, event: Any = None) -> None:
        """A batch of other changes, as those of a review, is nothing that the panels look at."""
        if self._changedInBatch:
            self.onSceneChanged()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller: Any, event: Any, node: Any) -> None:
        if node is not None and not slicer.mrmlScene.IsBatchProcessing():
            self._tell("onNodeAdded", node)

    def onNodeRemoved(self, caller: Any, event: Any) -> None:
        if not slicer.mrmlScene.IsBatchProcessing():
            self.update()

    def onModelsChanged(self, caller: Any = None, event: Any = None) -> None:
        self._tell("onModelsChanged")
        self.update()

    def update(self, caller: Any = None, event: Any = None) -> None:
        """Bring every widget in line; what the panels change on the way does not start it again."""
        # While a scene is being read, what the parameter node refers to is not all there yet.
        if self._updating or self.parameterNode is None or slicer.mrmlScene.IsBatchProcessing():
            return
        self._updating = True
        try:
            self._tell("update")
        finally:
            self._updating = False

    def _tell(self, method: str, *arguments: Any) -> None:
        for panel in self.panels:
            _call(panel, method, *arguments)

    def _observeParameterNode(self, node: Any) -> None:
        if node is self.parameterNode:
            return
        if self.parameterNode is not None:
            self.removeObserver(self.parameterNode, vtk.vtkCommand.ModifiedEvent, self.update)
            self.removeObserver(self.parameterNode, parameters.MODELS_CHANGED_EVENT, self.onModelsChanged)
        self.parameterNode = node
        if node is not None:
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.update)
            self.addObserver(node, parameters.MODELS_CHANGED_EVENT, self.onModelsChanged)


def _call(panel: Any, method: str, *arguments: Any) -> None:
    function = getattr(panel, method, None)
    if function is not None:
        function(*arguments)

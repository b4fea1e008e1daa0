"""The panel: choices on the screen <-> parameter node, Apply <-> a run. No computation, no MRML geometry."""

from __future__ import annotations

import traceback
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from StrokeSegApp import dependencies, parameters
from StrokeSegApp.input_roles import chooseInputs
from StrokeSegApp.logic import missingInputs
from StrokeSegApp.panels.result import ResultPanel
from StrokeSegLib.errors import InputError

#: Every role that a model may ask for; StrokeSeg.ui has a row for each and the panel shows those of the chosen model.
ROLES = ("dwi", "adc", "flair", "t1", "t2", "ct", "cbf", "cbv", "mtt", "tmax")
POLL_INTERVAL_MS = 150
#: Ticks of the progress bar: enough to move smoothly.
PROGRESS_STEPS = 100


class StrokeSegPanel(VTKObservationMixin):
    """Connects the widgets of StrokeSeg.ui with the logic; ``close`` must be called at the end."""

    def __init__(self, ui: Any, logic: Any) -> None:
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self.logic = logic
        self.run: Any = None
        self.parameterNode: Any = None
        self._details = ""
        self._updating = False
        self._starting = False
        self._cleared: set[str] = set()  # roles that the user has emptied: never guessed again in this scene
        self._result = ResultPanel(ui)
        self._roleTitles = {role: self._label(role).text for role in ROLES}
        self._models, problem = self._readModels()
        for model in self._models.values():
            ui.modelSelector.addItem(model.title, model.id)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self.onPoll)
        ui.modelSelector.connect("currentIndexChanged(int)", self.onModelChosen)
        for role in ROLES:
            self._selector(role).connect("currentNodeChanged(vtkMRMLNode*)", self._onVolumeChosen)
        ui.applyButton.connect("clicked(bool)", self.onApply)
        ui.detailsButton.connect("clicked(bool)", self.onDetails)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneChanged)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        self._say(problem)
        self.onSceneChanged()

    def enter(self) -> None:
        """The user opened the module: guess inputs for what is not chosen yet."""
        self.onSceneChanged()

    def close(self) -> None:
        """End a run and let go of the scene."""
        self._endRun()
        self._timer.disconnect("timeout()", self.onPoll)
        self.removeObservers()
        self.parameterNode = None

    # The scene

    def onSceneStartClose(self, caller: Any = None, event: Any = None) -> None:
        if self.run is not None:
            self._endRun()
            self._say(_("The run was canceled because the scene was closed."))
        self._cleared.clear()
        self._observeParameterNode(None)

    def onSceneChanged(self, caller: Any = None, event: Any = None) -> None:
        node = self.logic.getParameterNode()
        self._observeParameterNode(node)
        if parameters.modelId(node) not in self._models and self._models:
            parameters.setModelId(node, next(iter(self._models)))
        self._guessInputs()
        self.updateGUI()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller: Any, event: Any, node: Any) -> None:
        if node is not None and node.IsA("vtkMRMLScalarVolumeNode") and not slicer.mrmlScene.IsBatchProcessing():
            self._guessInputs()

    def onNodeRemoved(self, caller: Any, event: Any) -> None:
        if not slicer.mrmlScene.IsBatchProcessing():
            self.updateGUI()

    def _observeParameterNode(self, node: Any) -> None:
        if node is self.parameterNode:
            return
        if self.parameterNode is not None:
            self.removeObserver(self.parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateGUI)
        self.parameterNode = node
        if node is not None:
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.updateGUI)

    def _guessInputs(self) -> None:
        """Fill roles that have no volume: the active volume first, then by name. What is chosen stays."""
        node = self.parameterNode
        if node is None or self.run is not None:
            return
        taken = parameters.inputVolumes(node, self._modelRoles())
        free = [role for role in self._modelRoles() if role not in taken and role not in self._cleared]
        volumes = [
            volume
            for volume in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            # A label map is a scalar volume by class, but never an input.
            if volume.GetClassName() == "vtkMRMLScalarVolumeNode"
            and not volume.GetHideFromEditors()
            and volume not in taken.values()
        ]
        activeId = slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID()
        active = next((index for index, volume in enumerate(volumes) if volume.GetID() == activeId), None)
        for role, index in chooseInputs(free, [volume.GetName() for volume in volumes], active).items():
            parameters.setInputVolume(node, role, volumes[index])

    # Choices

    def onModelChosen(self, index: int) -> None:
        if not self._updating and self.parameterNode is not None and index >= 0:
            parameters.setModelId(self.parameterNode, self.ui.modelSelector.itemData(index))
            self._guessInputs()

    def _onVolumeChosen(self, node: Any = None) -> None:
        if self._updating or self.parameterNode is None:
            return
        for role in self._modelRoles():
            before, now = parameters.inputVolume(self.parameterNode, role), self._selector(role).currentNode()
            if now is not None:
                self._cleared.discard(role)
            elif before is not None and slicer.mrmlScene.IsNodePresent(before):
                self._cleared.add(role)
            parameters.setInputVolume(self.parameterNode, role, now)

    def updateGUI(self, caller: Any = None, event: Any = None) -> None:
        """Bring every widget in line with the parameter node and the run."""
        if self._updating or self.parameterNode is None:
            return
        self._updating = True
        try:
            self.ui.modelSelector.setCurrentIndex(
                self.ui.modelSelector.findData(parameters.modelId(self.parameterNode))
            )
            model = self._model()
            self.ui.modelSelector.setToolTip(f"{model.title} ({model.version})" if model else "")
            inputs = {each.role: each for each in model.inputs} if model else {}
            for role in ROLES:
                label, selector = self._label(role), self._selector(role)
                title = self._roleTitles[role]
                optional = role in inputs and not inputs[role].required
                label.setText(_("{title} (optional)").format(title=title) if optional else title)
                label.setVisible(role in inputs)
                selector.setVisible(role in inputs)
                selector.setCurrentNode(parameters.inputVolume(self.parameterNode, role))
            self._updateRun()
            self._result.show(parameters.result(self.parameterNode))
        finally:
            self._updating = False

    def _updateRun(self) -> None:
        running = self.run is not None
        problem = self._problem()
        self.ui.checkLabel.setText(problem)
        self.ui.checkLabel.setVisible(bool(problem) and not running)
        self.ui.inputsCollapsibleButton.setEnabled(not running)
        self.ui.applyButton.setEnabled(running or not (problem or self._starting))
        self.ui.applyButton.setText(_("Cancel") if running else _("Apply"))
        self.ui.progressBar.setVisible(running)
        fraction = self.run.progress.fraction if running and self.run.progress is not None else None
        self.ui.progressBar.setRange(0, 0 if running and fraction is None else PROGRESS_STEPS)
        self.ui.progressBar.setValue(round((fraction or 0) * PROGRESS_STEPS))

    def _problem(self) -> str:
        """Why Apply cannot be pressed, in one line; empty when it can."""
        model = self._model()
        if model is None:
            return _("No model is installed.")
        chosen = parameters.inputVolumes(self.parameterNode, self._modelRoles())
        missing = [self._roleTitles[role] for role in missingInputs(model, list(chosen))]
        if missing:
            return _("Choose a volume for: {roles}").format(roles=", ".join(missing))
        if len({volume.GetID() for volume in chosen.values()}) < len(chosen):
            return _("The same volume is chosen for two inputs.")
        return ""

    # The run

    def onApply(self, checked: bool = False) -> None:
        if self.run is not None:
            self._endRun()
            self._say(_("Canceled"))
        elif not self._starting:
            self._starting = True  # questions about packages let the user click on
            try:
                self._start()
            finally:
                self._starting = False
        self.updateGUI()

    def _start(self) -> None:
        self._say(_("Preparing..."))
        self.updateGUI()
        slicer.app.processEvents()
        missing = dependencies.ensureRequirements()
        if missing is not None:
            self._say(_("These packages are needed and not installed: {packages}").format(packages=missing))
            return
        try:
            volumes = parameters.inputVolumes(self.parameterNode, self._modelRoles())
            self.run = self.logic.start(volumes, self._model())
        except Exception as error:
            self._sayError(error)
        else:
            self._timer.start()

    def onPoll(self) -> None:
        """Look after the run: called by the timer, a few times a second."""
        run = self.run
        if run is None:
            self._timer.stop()
            return
        try:
            ended = run.poll()
            if run.progress is not None:
                self._say(_progressText(run.progress))
            if ended:
                self._timer.stop()
                self.run = None
                segmentation, _measurements = run.finish()
                parameters.setResult(self.parameterNode, segmentation)
                self._say(_("Done"))
        except Exception as error:
            self._endRun()
            self._sayError(error)
        self.updateGUI()

    def _endRun(self) -> None:
        self._timer.stop()
        run, self.run = self.run, None
        if run is not None:
            run.cancel()

    def onDetails(self, checked: bool = False) -> None:
        slicer.util.errorDisplay(self.ui.statusLabel.text, detailedText=self._details)

    def _say(self, text: str, details: str = "") -> None:
        self._details = details
        self.ui.statusLabel.setText(text)
        self.ui.statusLabel.setVisible(bool(text))
        self.ui.detailsButton.setVisible(bool(details))

    def _sayError(self, error: Exception) -> None:
        if isinstance(error, InputError):  # the message says everything there is to say
            self._say(str(error))
        else:
            self._say(str(error), getattr(error, "details", "") or traceback.format_exc())

    # Small lookups

    def _readModels(self) -> tuple[dict[str, Any], str]:
        """The bundled models by id, and why there are none when they cannot be read."""
        try:
            return {model.id: model for model in self.logic.models()}, ""
        except (InputError, FileNotFoundError) as error:
            return {}, str(error)

    def _model(self) -> Any:
        return self._models.get(parameters.modelId(self.parameterNode))

    def _modelRoles(self) -> list[str]:
        model = self._model()
        return [each.role for each in model.inputs] if model else []

    def _selector(self, role: str) -> Any:
        return getattr(self.ui, f"{role}Selector")

    def _label(self, role: str) -> Any:
        return getattr(self.ui, f"{role}Label")


def _progressText(progress: Any) -> str:
    stages = {
        "read": _("Reading"),
        "prepare": _("Preparing"),
        "network": _("Looking for lesions"),
        "restore": _("Putting the result on the grid of the volume"),
        "measure": _("Measuring"),
        "write": _("Writing"),
    }
    text = stages.get(progress.stage, progress.stage)
    if progress.remaining_s is not None and progress.remaining_s >= 1:
        return _("{stage}, {seconds} s left").format(stage=text, seconds=round(progress.remaining_s))
    return text

"""The input section: which model, on which volumes, and what is wrong with them before Apply."""

from __future__ import annotations

import os
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from StrokeSegApp import input_checks, loading, parameters, scene
from StrokeSegApp.input_roles import ROLES, chooseInputs, roleOf, roleTitle
from StrokeSegApp.model_card_text import cardText, needsText
from StrokeSegApp.model_list import chosenModel, defaultModel, fittingModel, matches, readModels
from StrokeSegApp.volume_facts import factsOf
from StrokeSegLib.errors import InputError

IMAGE_FILES = "*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm"


class InputPanel:
    """Model list, a selector for each input, loading, and the check line."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self._models, _problem = readModels(logic)
        self._folder = ""
        self._series: list[Any] = []
        self._cleared: set[str] = set()  # roles that the user has emptied: never guessed again in this scene
        self._guessed: dict[str, tuple[str, str | None]] = {}  # role -> volume's ID, and the role that it spoke of
        self._tags: dict[str, list[int]] = {}  # volume's ID -> our observers; the node itself would be kept alive
        self._settled = qt.QTimer()
        self._settled.setSingleShot(True)
        self._settled.setInterval(0)
        self._settled.connect("timeout()", self.onSettled)
        self._modelChosen = False  # by the user, in this scene
        self._updating = False
        ui.modelFilterEdit.connect("textChanged(QString)", self.onSearch)
        ui.modelSelector.connect("currentIndexChanged(int)", self.onModelChosen)
        ui.modelCardButton.connect("toggled(bool)", self.onCardToggled)
        ui.modelCardBrowser.connect("anchorClicked(QUrl)", self.onCardLink)
        # What the user chooses, not "currentNodeChanged": that tells also of the neighbor in the list which takes the
        # place of a volume that is about to be removed.
        for role in ROLES:
            self._selector(role).connect("nodeActivated(vtkMRMLNode*)", self.onVolumeChosen)
        ui.loadFileButton.connect("clicked(bool)", self.onLoadFile)
        ui.loadDicomButton.connect("clicked(bool)", self.onLoadFolder)
        ui.loadSeriesButton.connect("clicked(bool)", self.onLoadSeries)
        ui.seriesSelector.connect("currentIndexChanged(int)", self.onSeriesChosen)
        self._showSeries()
        self._say("")

    # What happens

    def close(self) -> None:
        self._settled.stop()
        self._settled.disconnect("timeout()", self.onSettled)
        self._letGo()

    def onSceneStartClose(self) -> None:
        self._settled.stop()
        self._cleared.clear()
        self._guessed.clear()
        self._modelChosen = False
        self._letGo()

    def onSceneChanged(self) -> None:
        node = self._logic.getParameterNode()
        if parameters.modelId(node) not in self._models and self._models:
            parameters.setModelId(node, defaultModel(self._models))
        for volume in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            if not volume.GetHideFromEditors():
                self._watch(volume)
        self._guessInputs()

    def onNodeAdded(self, node: Any) -> None:
        if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetHideFromEditors():
            self._watch(node)
            self._guessInputs()
            self._settled.start()

    def onSettled(self) -> None:
        """Slicer gives a volume its DICOM tags after its voxels: what was guessed without them is looked at again."""
        node = self._logic.getParameterNode()
        for role, (identifier, spoken) in list(self._guessed.items()):
            volume = slicer.mrmlScene.GetNodeByID(identifier)
            if volume is not None and volume is parameters.inputVolume(node, role) and _roleOfNode(volume) != spoken:
                parameters.setInputVolume(node, role, None)
                del self._guessed[role]
        self._guessInputs()

    def onVolumeModified(self, volume: Any = None, event: Any = None) -> None:
        """Voxels came (a node is added before it has any) or changed, or the volume was moved."""
        self._guessInputs()
        self._settled.start()
        self._logic.getParameterNode().Modified()

    def _watch(self, volume: Any) -> None:
        if volume.GetID() not in self._tags:
            events = (
                slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
                slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
            )
            self._tags[volume.GetID()] = [volume.AddObserver(event, self.onVolumeModified) for event in events]

    def _letGo(self) -> None:
        for identifier, tags in self._tags.items():
            volume = slicer.mrmlScene.GetNodeByID(identifier)
            for tag in tags if volume is not None else ():
                volume.RemoveObserver(tag)
        self._tags.clear()

    def onModelsChanged(self) -> None:
        self._models, _problem = readModels(self._logic)
        self.onSceneChanged()

    def onSearch(self, text: str = "") -> None:
        self.update()

    def onModelChosen(self, index: int) -> None:
        if not self._updating and index >= 0:
            self._modelChosen = True
            parameters.setModelId(self._logic.getParameterNode(), self._ui.modelSelector.itemData(index))
            self._guessInputs()

    def onCardToggled(self, shown: bool = False) -> None:
        self._ui.modelCardBrowser.setVisible(shown)
        self.update()

    def onCardLink(self, url: Any) -> None:
        """The whole description, in the program that the computer has for it: its tables are too wide for the panel."""
        qt.QDesktopServices.openUrl(url)

    def onVolumeChosen(self, chosen: Any = None) -> None:
        if self._updating:
            return
        node = self._logic.getParameterNode()
        for role in self._roles():
            before, now = parameters.inputVolume(node, role), self._selector(role).currentNode()
            if now is not before:
                self._guessed.pop(role, None)
            if now is not None:
                self._cleared.discard(role)
            elif before is not None and slicer.mrmlScene.IsNodePresent(before):
                self._cleared.add(role)
            parameters.setInputVolume(node, role, now)

    # Loading

    def onLoadFile(self, checked: bool = False) -> None:
        images = _("Images ({patterns})").format(patterns=IMAGE_FILES)
        path = qt.QFileDialog.getOpenFileName(None, _("Load an image"), "", f"{images};;{_('All files (*)')}")
        # PySide gives the chosen filter as well, PythonQt only the path.
        self.loadFile(path if isinstance(path, str) else path[0])

    def onLoadFolder(self, checked: bool = False) -> None:
        self.openFolder(qt.QFileDialog.getExistingDirectory(None, _("A folder of DICOM files"), self._folder))

    def loadFile(self, path: str) -> None:
        """Load an image file; an empty path does nothing."""
        if path:
            self._try(lambda: self._loaded(loading.loadFile(path), ()))

    def openFolder(self, folder: str) -> None:
        """Load the one series of a DICOM folder, or list its series; an empty name does nothing."""
        if not folder:
            return
        self._folder, self._series = folder, []
        self._try(self._listSeries)
        self._showSeries()

    def onSeriesChosen(self, index: int) -> None:
        """A narrow panel cuts long descriptions: the tool tip has them whole."""
        self._ui.seriesSelector.setToolTip(self._ui.seriesSelector.currentText)

    def onLoadSeries(self, checked: bool = False) -> None:
        index = self._ui.seriesSelector.currentIndex
        if 0 <= index < len(self._series):
            self._try(lambda: self._loaded(*loading.loadSeries(self._folder, self._series[index])))

    def _listSeries(self) -> None:
        found = loading.seriesIn(self._folder)
        if len(found) == 1:
            self._loaded(*loading.loadSeries(self._folder, found[0]))
        else:
            self._series = found
            series = {each.uid.partition(":")[0] for each in found}
            text = _("{folder} holds {count} series: choose one")
            if len(series) < len(found):
                text = _("{folder} holds {count} volumes: choose one")
            self._say(text.format(folder=os.path.basename(self._folder.rstrip("/\\")), count=len(found)))

    def _loaded(self, node: Any, warnings: tuple[str, ...]) -> None:
        self._say("\n".join([_("Loaded {name}").format(name=node.GetName()), *warnings]))
        self._guessInputs()

    def _try(self, load: Any) -> None:
        try:
            load()
        except InputError as error:
            self._say(str(error))

    def _showSeries(self) -> None:
        self._ui.seriesSelector.clear()
        for each in self._series:
            described = each.description or _("no description")
            text = _("{description} ({modality}, {count} images)").format(
                description=described, modality=each.modality or "?", count=each.images
            )
            self._ui.seriesSelector.addItem(text)
            self._ui.seriesSelector.setItemData(self._ui.seriesSelector.count - 1, text, qt.Qt.ToolTipRole)
        for widget in (self._ui.seriesLabel, self._ui.seriesSelector, self._ui.loadSeriesButton):
            widget.setVisible(len(self._series) > 1)

    def _say(self, text: str) -> None:
        self._ui.loadStatusLabel.setText(text)
        self._ui.loadStatusLabel.setVisible(bool(text))

    # What is shown

    def update(self) -> None:
        node = self._logic.getParameterNode()
        model = chosenModel(node, self._models)
        self._updating = True
        try:
            self._listModels(model)
            self._showRoles(node, model)
            problem = input_checks.problemOf(node, model)
            self._ui.checkLabel.setText(problem)
            self._ui.checkLabel.setVisible(bool(problem))
        finally:
            self._updating = False

    def _listModels(self, model: Any) -> None:
        """Those that match the search; the chosen one always stays in the list."""
        search = self._ui.modelFilterEdit.text
        listed = [each for each in self._models.values() if each is model or matches(each, search)]
        selector = self._ui.modelSelector
        selector.clear()
        for each in listed:
            selector.addItem(each.title, each.id)
        selector.setCurrentIndex(selector.findData(model.id) if model else -1)
        selector.setToolTip(f"{model.title} ({model.version})" if model else "")
        self._ui.modelFilterEdit.setVisible(len(self._models) > 1)
        self._ui.modelNeedsLabel.setText(needsText(model) if model else "")
        self._ui.modelNeedsLabel.setVisible(model is not None)
        self._ui.modelCardButton.setVisible(model is not None)
        if self._ui.modelCardButton.checked:
            self._ui.modelCardBrowser.setMarkdown(cardText(model) if model else "")

    def _showRoles(self, node: Any, model: Any) -> None:
        inputs = {each.role: each for each in model.inputs} if model else {}
        for role in ROLES:
            label, selector, title = self._label(role), self._selector(role), roleTitle(role)
            optional = role in inputs and not inputs[role].required
            label.setText(_("{title} (optional)").format(title=title) if optional else title)
            label.setVisible(role in inputs)
            selector.setVisible(role in inputs)
            selector.setCurrentNode(parameters.inputVolume(node, role))

    def _guessInputs(self) -> None:
        """Fill roles that are empty: the active volume first, then by tags, name, values. What is chosen stays.

        A model that the user did not choose gives way to one that can read what is there.
        """
        node = self._logic.getParameterNode()
        volumes = [
            volume
            for volume in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            # A label map is a scalar volume by class, but never an input.
            if volume.GetClassName() == "vtkMRMLScalarVolumeNode" and not volume.GetHideFromEditors()
        ]
        if not self._modelChosen and len(parameters.inputVolumes(node, self._roles())) < len(self._roles(needed=True)):
            fitting = fittingModel(self._models, {_roleOfNode(volume) for volume in volumes})
            if fitting is not None:
                parameters.setModelId(node, fitting)
        taken = parameters.inputVolumes(node, self._roles())
        free = [role for role in self._roles() if role not in taken and role not in self._cleared]
        volumes = [volume for volume in volumes if volume not in taken.values()]
        activeId = slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID()
        active = next((index for index, volume in enumerate(volumes) if volume.GetID() == activeId), None)
        spoken = [_roleOfNode(volume) for volume in volumes] if free else []
        for role, index in chooseInputs(free, spoken, active).items():
            parameters.setInputVolume(node, role, volumes[index])
            self._guessed[role] = (volumes[index].GetID(), spoken[index])

    def _roles(self, needed: bool = False) -> list[str]:
        """Of the chosen model, all or those that it cannot do without."""
        model = chosenModel(self._logic.getParameterNode(), self._models)
        return [each.role for each in model.inputs if each.required or not needed] if model else []

    def _selector(self, role: str) -> Any:
        return getattr(self._ui, f"{role}Selector")

    def _label(self, role: str) -> Any:
        return getattr(self._ui, f"{role}Label")


def _roleOfNode(node: Any) -> str | None:
    return roleOf(factsOf(node), slicer.util.arrayFromVolume(node) if scene.hasVoxels(node) else None)

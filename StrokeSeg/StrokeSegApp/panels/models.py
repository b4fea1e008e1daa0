"""Models: what is installed, where it comes from, whether it is whole; import and removal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from StrokeSegApp import model_store, parameters
from StrokeSegLib.errors import InputError

MEBIBYTE = 1024 * 1024
#: A hash in groups, so that a narrow panel can break it into lines.
HASH_GROUP = 16


class ModelsPanel:
    """The models section."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self._models: list[model_store.Installed] = []
        ui.modelsCollapsibleButton.collapsed = True
        ui.modelsCollapsibleButton.connect("contentsCollapsed(bool)", self.onFold)
        table = ui.modelsTable
        headers = [_("Model"), _("Version"), _("Size")]
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(headers)
        table.verticalHeader().setVisible(False)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)  # titles of several lines
        table.connect("currentCellChanged(int,int,int,int)", self.onRow)
        ui.modelsVerifyButton.connect("clicked(bool)", self.onVerify)
        ui.modelsOpenButton.connect("clicked(bool)", self.onOpen)
        ui.modelsRemoveButton.connect("clicked(bool)", self.onRemove)
        ui.modelsImportButton.connect("clicked(bool)", self.onImport)
        self._say("")
        self.onModelsChanged()

    def onFold(self, folded: bool) -> None:
        self._say(self._ui.modelsStatusLabel.text)  # unfolding shows it even where it is empty

    def onModelsChanged(self) -> None:
        """Read what is installed anew."""
        try:
            self._models = model_store.installed()
        except (InputError, FileNotFoundError) as error:  # a damaged installation
            self._models = []
            self._say(str(error))
        table = self._ui.modelsTable
        table.blockSignals(True)
        table.setRowCount(len(self._models))
        for row, model in enumerate(self._models):
            title = model.card.title if model.card else model.folder.name
            version = model.card.version if model.card else _("damaged")
            for column, text in enumerate((title, version, sizeText(model.sizeBytes))):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(model.problem or title)
                table.setItem(row, column, item)
        table.blockSignals(False)
        table.setCurrentCell(0 if self._models else -1, 0)
        self.onRow(table.currentRow())

    def onRow(self, row: int) -> None:
        model = self._chosen()
        self._ui.modelsDetailLabel.setText(detailText(model) if model else "")
        self._ui.modelsVerifyButton.setEnabled(model is not None and model.card is not None)
        self._ui.modelsOpenButton.setEnabled(model is not None)
        self._ui.modelsRemoveButton.setEnabled(model is not None and not model.bundled)

    def onVerify(self, checked: bool = False) -> None:
        model = self._chosen()
        try:
            model_store.verify(model.card)
        except InputError as error:
            self._say(str(error))
        else:
            self._say(_("{title}: the weights are those that the card names.").format(title=model.card.title))

    def onOpen(self, checked: bool = False) -> None:
        """Show the model's folder in the system's file manager, to copy it to another computer."""
        folder = self._chosen().folder
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder))):
            self._say(_("The folder could not be opened: {folder}").format(folder=folder))

    def onRemove(self, checked: bool = False) -> None:
        model = self._chosen()
        name = model.card.title if model.card else model.folder.name
        question = _("Delete the model {name} from this computer? Results in the scene stay.").format(name=name)
        if not slicer.util.confirmOkCancelDisplay(question):
            return
        try:
            model_store.remove(model)
        except InputError as error:
            self._say(str(error))
        else:
            self._say(_("{name} was removed.").format(name=name))
            parameters.announceModelsChanged(self._logic.getParameterNode())

    def onImport(self, checked: bool = False) -> None:
        folder = qt.QFileDialog.getExistingDirectory(self._ui.modelsCollapsibleButton, _("Folder of the model"))
        if not folder:
            return
        try:
            card = model_store.importModel(Path(folder))
        except InputError as error:
            self._say(str(error))
        else:
            self._say(_("{title} can be chosen now.").format(title=card.title))
            parameters.announceModelsChanged(self._logic.getParameterNode())

    def _chosen(self) -> model_store.Installed | None:
        row = self._ui.modelsTable.currentRow()
        return self._models[row] if 0 <= row < len(self._models) else None

    def _say(self, text: str) -> None:
        self._ui.modelsStatusLabel.setText(text)
        self._ui.modelsStatusLabel.setVisible(bool(text))


def sizeText(sizeBytes: int) -> str:
    return _("{size} MB").format(size=f"{sizeBytes / MEBIBYTE:.1f}")


def detailText(model: model_store.Installed) -> str:
    """Id, licence, where it is from and the hash; of a damaged one what is wrong with it."""
    if model.card is None:
        return model.problem
    card = model.card
    hashes = " ".join(card.sha256[start : start + HASH_GROUP] for start in range(0, len(card.sha256), HASH_GROUP))
    origin = _("comes with StrokeSeg") if model.bundled else _("your own")
    return "\n".join(
        [
            _("Name: {id} ({origin})").format(id=card.id, origin=origin),
            _("License: {licence}").format(licence=card.licence),
            _("SHA-256: {hash}").format(hash=hashes),
        ]
    )

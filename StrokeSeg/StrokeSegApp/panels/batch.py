"""Batch: many cases with one model, a row a case; a click on a row loads that result."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from StrokeSegApp import batching, dependencies, parameters
from StrokeSegApp.batch_result import loadResult, modelOf
from StrokeSegApp.logic import missingInputs
from StrokeSegApp.model_list import readModels
from StrokeSegApp.panels.path_lines import whenChanged
from StrokeSegApp.panels.run_control import RunControl
from StrokeSegApp.panels.run_view import RunView, durationText
from StrokeSegLib.errors import InputError

#: Slicer's event loop waits no longer than about this for a part of the cases to be read.
READ_S = 0.02
TABLE, FOLDER = "table", "folder"
CASE_COLUMN, STATUS_COLUMN, VOLUME_COLUMN, TIME_COLUMN = range(4)


class BatchPanel:
    """The batch section."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self._rows: list[batching.Row] = []
        self._cases: dict[str, Any] = {}
        self._loaded: dict[tuple[str, str], str] = {}  # (results folder, case) -> id of its segmentation node
        self._models: dict[str, Any] = {}
        self._suggesting = self._chosen = False
        self._reading: Any = None  # of the cases, in pieces
        self._progress: Any = None
        self._readTimer = qt.QTimer()
        self._readTimer.setInterval(0)  # whenever there is nothing else to do
        self._readTimer.connect("timeout()", self.onReadOn)
        ui.batchCollapsibleButton.collapsed = True
        ui.batchCollapsibleButton.connect("contentsCollapsed(bool)", self.onFold)
        ui.batchSourceSelector.addItem(_("Case table"), TABLE)
        ui.batchSourceSelector.addItem(_("Folder of images"), FOLDER)
        ui.batchFolderPath.filters = ctk.ctkPathLineEdit.Dirs
        self._view = RunView(ui.batchProgressBar, ui.batchStatusLabel, ui.batchDetailsButton)
        self._control = RunControl(self._view, stageWords, self.onFinished, self.onChanged)
        self._prepareTable()
        ui.batchSourceSelector.connect("currentIndexChanged(int)", self.onSource)
        whenChanged(ui.batchCasesPath, self.onCases)
        whenChanged(ui.batchFolderPath, self.onFolder)
        ui.batchModelSelector.connect("currentIndexChanged(int)", self.onModel)
        ui.batchButton.connect("clicked(bool)", self.onButton)
        ui.batchTable.connect("cellClicked(int,int)", self.onRow)
        self.onModelsChanged()
        self.onSource()

    @property
    def run(self) -> batching.BatchRun | None:
        """The batch in progress, or None."""
        return self._control.run

    def onFold(self, folded: bool) -> None:
        self.update()  # unfolding shows what was hidden meanwhile

    def close(self) -> None:
        self._stopReading()
        self._readTimer.disconnect("timeout()", self.onReadOn)
        self._control.close()

    def onSceneStartClose(self) -> None:
        self._loaded.clear()

    def onModelsChanged(self) -> None:
        chosen = self._ui.batchModelSelector.currentData
        self._models, _problem = readModels(self._logic)  # the problem is said under Input
        self._suggesting = True
        try:
            self._ui.batchModelSelector.clear()
            for model in self._models.values():
                self._ui.batchModelSelector.addItem(model.title, model.id)
            self._ui.batchModelSelector.setCurrentIndex(max(0, self._ui.batchModelSelector.findData(chosen)))
        finally:
            self._suggesting = False

    def onModel(self, index: int = 0) -> None:
        """Somebody has chosen a model: it stays, whatever cases come."""
        self._chosen = self._chosen or not self._suggesting

    def _suggestModel(self) -> None:
        """Until somebody chooses one: the model that reads most of the cases, best that which is chosen under Input."""
        if self._chosen or not self._cases:
            return
        asked = parameters.modelId(self._logic.getParameterNode())
        roles = [list(case.images) for case in self._cases.values()]
        reads = {name: sum(not missingInputs(model, each) for each in roles) for name, model in self._models.items()}
        best = max(reads, key=lambda name: (reads[name], name == asked), default="")
        self._suggesting = True
        try:
            self._ui.batchModelSelector.setCurrentIndex(max(0, self._ui.batchModelSelector.findData(best)))
        finally:
            self._suggesting = False

    def onSource(self, index: int = 0) -> None:
        isTable = self._ui.batchSourceSelector.currentData == TABLE
        self._ui.batchCasesPath.filters = ctk.ctkPathLineEdit.Files if isTable else ctk.ctkPathLineEdit.Dirs
        self._ui.batchCasesPath.nameFilters = ["*.csv"] if isTable else []
        self.update()

    def onCases(self, text: str = "") -> None:
        """Read the cases at once, so that what is wrong is said before the start."""
        self._stopReading()
        self._cases = {}
        self._view.say("")
        path = self._ui.batchCasesPath.currentPath
        if path and Path(path).exists():  # while a path is typed it does not
            roles = {each.role for model in self._models.values() for each in model.inputs}
            self._reading = batching.casesInSteps(Path(path), roles)
            self._readTimer.start()
            self.onReadOn()
        else:
            self._showCases()

    def onReadOn(self) -> None:
        """Read a table whole, or as much of a folder of DICOM files as fits into a turn of the event loop."""
        until = time.monotonic() + READ_S
        progress = None
        try:
            while self._reading is not None and (progress is None or time.monotonic() < until):
                progress = next(self._reading)
        except StopIteration as end:
            self._stopReading()
            self._view.say("")
            self._cases = {case.case_id: case for case in end.value}
        except (InputError, OSError) as error:
            self._stopReading()
            self._view.sayError(error)
        if self._reading is None:
            self._showCases()
        elif progress is not None:
            self._progress = progress
            text = _("Reading the DICOM files of '{case}': {done} of {total}")
            if progress.total == 0:
                text = _("Looking for DICOM files in '{case}'")
            self._view.say(text.format(case=progress.stage, done=progress.done, total=progress.total))
            self.update()

    def _stopReading(self) -> None:
        self._readTimer.stop()
        self._reading = None

    def _showCases(self) -> None:
        self._suggestModel()
        self._showRows()
        self.update()

    def onFolder(self, text: str = "") -> None:
        self._showRows()
        self.update()

    def update(self) -> None:
        """Bring the widgets in line with what is chosen and with the run."""
        running, reading = self.run is not None, self._reading is not None
        problem = "" if running or reading else self._problem()
        for widget in (
            self._ui.batchSourceSelector,
            self._ui.batchCasesPath,
            self._ui.batchModelSelector,
            self._ui.batchFolderPath,
        ):
            widget.setEnabled(not running)
        self._ui.batchCheckLabel.setText(problem)
        self._ui.batchCheckLabel.setVisible(bool(problem))
        self._ui.batchButton.setText(
            _("Cancel") if running or reading else _("Continue batch") if self._isBegun() else _("Start batch")
        )
        self._ui.batchButton.setEnabled(running or reading or not (problem or self._control.busy))
        self._ui.batchTable.setVisible(bool(self._rows))
        self._control.show()
        if reading:
            self._view.showProgress(self._progress, True)

    def onButton(self, checked: bool = False) -> None:
        if self._reading is not None:
            self._ui.batchCasesPath.currentPath = ""
            self._stopReading()
            self._view.say(_("Canceled: choose the folder again to read it."))
        elif self.run is not None:
            self._control.stop(
                _("Canceling: the cases that are done stay."),
                _("Canceled. The cases that are done stay: continue at any time."),
            )
        else:
            self._control.start(dependencies.ensureRequirements, self._begin)
        self.update()

    def onFinished(self, run: batching.BatchRun) -> None:
        self._view.say(self._endText(batching.readSummary(run.out)))

    def onChanged(self) -> None:
        """The batch went on, or ended."""
        self._showRows()
        self.update()

    def onRow(self, row: int, column: int = 0) -> None:
        """Show the result of a case; one that was loaded is not loaded again."""
        if not 0 <= row < len(self._rows):
            return
        entry = self._rows[row]
        if entry.error:
            self._view.say(f"{entry.caseId}: {entry.error}")
            return
        folder = self._folder()
        case = self._cases.get(entry.caseId)
        if folder is None or case is None or entry.status != batching.DONE:
            return
        try:
            parameterNode = self._logic.getParameterNode()
            key = (str(folder), entry.caseId)
            model = self._models.get(modelOf(folder / entry.caseId), self._model())  # another may be chosen meanwhile
            segmentation = loadResult(folder, case, model, self._loaded.get(key))
            self._loaded[key] = segmentation.GetID()
            parameters.setResult(parameterNode, segmentation)
            self._view.say(_("{case} is shown.").format(case=entry.caseId))
        except Exception as error:
            self._view.sayError(error)

    def _begin(self) -> batching.BatchRun:
        cases = list(self._cases.values())
        return batching.BatchRun(
            cases, self._model(), self._folder(), resume=self._isBegun(), command=self._logic.command
        )

    def _problem(self) -> str:
        """Why the batch cannot start, in one line; empty when it can."""
        if not self._ui.batchCasesPath.currentPath:
            isTable = self._ui.batchSourceSelector.currentData == TABLE
            return _("Choose a case table.") if isTable else _("Choose a folder of images.")
        if not self._cases:
            return _("There are no cases to segment.")
        if self._model() is None:
            return _("No model is installed.")
        if self._folder() is None:
            return _("Choose a folder for the results.")
        return ""

    def _prepareTable(self) -> None:
        table = self._ui.batchTable
        headers = [_("Case"), _("Status"), _("mL"), _("Time")]
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(headers)
        table.verticalHeader().setVisible(False)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(CASE_COLUMN, qt.QHeaderView.Stretch)

    def _showRows(self) -> None:
        folder = self._folder()
        rows = batching.mergedRows(list(self._cases.values()), batching.readSummary(folder) if folder else [])
        if rows == self._rows:
            return
        self._rows = rows
        table = self._ui.batchTable
        table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(
                (row.caseId, statusText(row.status), volumesText(row.volumes_ml), durationText(row.seconds))
            ):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(row.error or _("Click to show this result"))
                table.setItem(number, column, item)

    def _endText(self, rows: list[batching.Row]) -> str:
        failed = sum(bool(row.error) for row in rows)
        text = _("{count} cases are done.").format(count=len(rows) - failed)
        return (
            _("{text} {failed} failed: click on one to see why.").format(text=text, failed=failed) if failed else text
        )

    def _model(self) -> Any:
        return self._models.get(self._ui.batchModelSelector.currentData)

    def _folder(self) -> Path | None:
        text = self._ui.batchFolderPath.currentPath
        return Path(text) if text else None

    def _isBegun(self) -> bool:
        folder = self._folder()
        return folder is not None and (folder / batching.SUMMARY).is_file()


def stageWords() -> dict[str, str]:
    """Stages of a batch, as people read them."""
    return {"check": _("Checking the cases"), "cases": _("Cases")}


def volumesText(volumes_ml: Any) -> str:
    """The volume, or where the model marks several things, each with its name."""
    if len(volumes_ml) == 1:
        return f"{next(iter(volumes_ml.values())):.1f}"
    return "\n".join(f"{name} {volume:.1f}" for name, volume in volumes_ml.items())


def statusText(status: str) -> str:
    known = {batching.WAITING: _("waiting"), batching.DONE: _("done"), "failed": _("failed")}
    return known.get(status, status)

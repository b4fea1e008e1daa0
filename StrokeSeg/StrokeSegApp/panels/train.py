"""Train: a case table becomes a model, in a process of its own that can be stopped and gone on with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import ctk
from slicer.i18n import tr as _

from StrokeSegApp import dependencies, parameters
from StrokeSegApp.exporting import ExportRun
from StrokeSegApp.panels import curve
from StrokeSegApp.panels.path_lines import whenChanged
from StrokeSegApp.panels.run_control import RunControl
from StrokeSegApp.panels.run_view import RunView
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.logs import LOG
from StrokeSegLib.training.run_folder import RUN

MODEL_NAME = re.compile(r"^[a-z0-9-]+$")
#: Of the curve, before the section was ever drawn.
NARROWEST_CURVE_PX = 280


class TrainPanel:
    """The train section."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self._drawn: tuple[Path, int] | None = None
        ui.trainCollapsibleButton.collapsed = True
        ui.trainCollapsibleButton.connect("contentsCollapsed(bool)", self.onFold)
        ui.trainCasesPath.filters = ctk.ctkPathLineEdit.Files
        ui.trainCasesPath.nameFilters = ["*.csv"]
        ui.trainFolderPath.filters = ctk.ctkPathLineEdit.Dirs
        for name, system in SYSTEMS.items():
            ui.trainSystemSelector.addItem(system.title, name)
        ui.trainPresetSelector.addItem(_("Recommended"), "bundled")
        ui.trainPresetSelector.addItem(_("As published"), "paper")
        self._view = RunView(ui.trainProgressBar, ui.trainStatusLabel, ui.trainDetailsButton)
        self._control = RunControl(self._view, stageWords, self.onFinished, self.update)
        whenChanged(ui.trainCasesPath, self.onChoice)
        whenChanged(ui.trainFolderPath, self.onFolder)
        ui.trainModelEdit.connect("textChanged(QString)", self.onChoice)
        ui.trainButton.connect("clicked(bool)", self.onButton)
        ui.trainExportButton.connect("clicked(bool)", self.onExport)
        self.update()

    @property
    def run(self) -> Any:
        """The training or the export in progress, or None."""
        return self._control.run

    def onFold(self, folded: bool) -> None:
        self.update()  # unfolding shows what was hidden meanwhile

    def close(self) -> None:
        self._control.close()

    def onChoice(self, text: str = "") -> None:
        self.update()

    def onFolder(self, text: str = "") -> None:
        """A folder was chosen: that of an earlier training brings its system, preset and curve."""
        folder = self._folder()
        record = readRun(folder) if folder else {}
        for selector, value in (
            (self._ui.trainSystemSelector, record.get("system")),
            (self._ui.trainPresetSelector, str(record.get("preset", "")).split(",")[0]),
        ):
            index = selector.findData(value)
            if index >= 0:
                selector.setCurrentIndex(index)
        if folder and not self._ui.trainModelEdit.text:
            self._ui.trainModelEdit.setText(re.sub("[^a-z0-9-]+", "-", folder.name.lower()).strip("-"))
        self.update()

    def update(self) -> None:
        """Bring the widgets in line with what is chosen and with the run."""
        running = self.run is not None
        problem = "" if running else self._problem()
        known = self._isRun()
        for widget in (
            self._ui.trainCasesPath,
            self._ui.trainSystemSelector,
            self._ui.trainPresetSelector,
            self._ui.trainFolderPath,
            self._ui.trainModelEdit,
        ):
            widget.setEnabled(not running)
        self._ui.trainCheckLabel.setText(problem)
        self._ui.trainCheckLabel.setVisible(bool(problem))
        self._ui.trainButton.setText(_("Stop") if running else _("Continue training") if known else _("Start training"))
        self._ui.trainButton.setEnabled(running or not (problem or self._control.busy))
        named = MODEL_NAME.match(self._ui.trainModelEdit.text) is not None
        self._ui.trainExportButton.setEnabled(known and named and not self._control.busy)
        self._control.show()
        self._drawCurve()

    def onButton(self, checked: bool = False) -> None:
        if self.run is not None:
            self._control.stop(_("Stopping: what was learned is kept."), _("Stopped. Continue at any time."))
        else:
            self._control.start(dependencies.ensureTraining, self._startTraining)
        self.update()

    def onExport(self, checked: bool = False) -> None:
        self._control.start(dependencies.ensureTraining, self._startExport)
        self.update()

    def onFinished(self, run: Any) -> None:
        if isinstance(run, ExportRun):
            self._view.say(_("{title} can be chosen under Input now.").format(title=run.card.title))
            parameters.announceModelsChanged(self._logic.getParameterNode())
        else:
            self._view.say(_("The training has ended. Make a model of it below."))

    def _startTraining(self) -> Any:
        return self._logic.startTraining(
            self._ui.trainSystemSelector.currentData,
            self._ui.trainCasesPath.currentPath,
            self._folder(),
            preset=self._ui.trainPresetSelector.currentData,
            resume=self._isRun(),
        )

    def _startExport(self) -> Any:
        return ExportRun(self._folder(), self._ui.trainModelEdit.text, self._logic.command)

    def _problem(self) -> str:
        """Why training cannot start, in one line; empty when it can."""
        folder = self._folder()
        if not self._ui.trainCasesPath.currentPath:
            return _("Choose a case table.")
        if folder is None:
            return _("Choose a folder for the training.")
        try:
            strangers = folder.is_dir() and not self._isRun() and any(folder.iterdir())
        except OSError as error:
            return str(error)
        return _("The folder holds other files: choose an empty one, or a new one.") if strangers else ""

    def _folder(self) -> Path | None:
        text = self._ui.trainFolderPath.currentPath
        return Path(text) if text else None

    def _isRun(self) -> bool:
        folder = self._folder()
        return folder is not None and (folder / RUN).is_file()

    def _drawCurve(self) -> None:
        folder = self._folder()
        log = folder / LOG if folder else None
        changed = log.stat().st_mtime_ns if log and log.is_file() else 0
        self._ui.trainCurveLabel.setVisible(bool(changed))
        if not changed or self._drawn == (log, changed):
            return
        self._drawn = (log, changed)
        rows = curve.readRows(folder)
        if rows:
            width = max(NARROWEST_CURVE_PX, self._ui.trainButton.width)
            picture = curve.drawCurves(rows, width)
            self._ui.trainCurveLabel.setPixmap(picture)
            self._ui.trainCurveLabel.setMinimumHeight(picture.height())  # a label would rather crop it


def readRun(folder: Path) -> dict[str, Any]:
    """What a training's folder says of itself; nothing where there is none."""
    try:
        record = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def stageWords() -> dict[str, str]:
    """Stages of a training and an export, as people read them."""
    return {
        "check": _("Checking the cases"),
        "count": _("Counting intensities"),
        "prepare": _("Preparing the cases"),
        "train": _("Training, step"),
        "validate": _("Validating"),
        "export": _("Making the model"),
    }

"""The way of a result into DICOM: a button of the result section, and how it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from StrokeSegApp import dependencies, dicom_export, parameters
from StrokeSegApp.panels.run_control import RunControl
from StrokeSegApp.panels.run_view import RunView


class ExportPanel:
    """Exports the chosen result."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self._text, self._tip = ui.exportButton.text, ui.exportButton.toolTip
        self._folder = ""
        self._view = RunView(ui.exportProgressBar, ui.exportStatusLabel, ui.exportDetailsButton)
        self._control = RunControl(self._view, dict, self.onFinished, self.update)
        ui.exportButton.connect("clicked(bool)", self.onButton)

    @property
    def run(self) -> Any:
        """The export in progress, or None."""
        return self._control.run

    def close(self) -> None:
        self._control.close()

    def update(self) -> None:
        """Bring the button in line with the chosen result and with what goes on."""
        segmentation = parameters.result(self._logic.getParameterNode())
        running = self.run is not None
        why = dicom_export.hindrance(segmentation) if segmentation is not None and not running else ""
        self._ui.exportButton.setText(_("Cancel") if running else self._text)
        self._ui.exportButton.setEnabled(running or not (why or self._control.busy))
        self._ui.exportButton.setToolTip(why or self._tip)
        self._control.show()

    def onButton(self, checked: bool = False) -> None:
        if self.run is not None:
            self._control.stop(_("Canceling"), _("Canceled. Nothing was written."))
        else:
            self._begin()
        self.update()

    def onFinished(self, run: dicom_export.DicomExport) -> None:
        said = _("Written to '{folder}': {names}. They name the patient, as the scan does.")
        self._view.say(said.format(folder=run.target.name, names=", ".join(dicom_export.NAMES)))

    def _begin(self) -> None:
        segmentation = parameters.result(self._logic.getParameterNode())
        folder = qt.QFileDialog.getExistingDirectory(None, _("A folder for the DICOM files"), self._folder)
        if segmentation is None or not folder:
            return
        self._folder = folder
        command = self._logic.command
        self._control.start(
            dependencies.ensureDicom, lambda: dicom_export.DicomExport(segmentation, Path(folder), command)
        )
        if self.run is not None:
            self._view.say(_("Writing the DICOM files"))

"""Apply and cancel: a run is started, looked after and brought to its end, without ever waiting for it."""

from __future__ import annotations

import platform
import shutil
import sys
import time
import traceback
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from StrokeSegApp import dependencies, input_checks, parameters
from StrokeSegApp.model_list import chosenModel, readModels
from StrokeSegApp.panels.run_view import durationText
from StrokeSegLib.errors import InputError

POLL_INTERVAL_MS = 150
#: Ticks of the progress bar: enough to move smoothly.
PROGRESS_STEPS = 100


class SegmentPanel:
    """The segment section; ``run`` is the run in progress or None."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self.run: Any = None
        self.details = ""
        self._starting = False
        self._began = 0.0
        self._models, problem = readModels(logic)
        for device, title in devices().items():
            ui.deviceSelector.addItem(title, device)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self.onPoll)
        ui.deviceSelector.connect("activated(int)", self.onDeviceChosen)
        ui.applyButton.connect("clicked(bool)", self.onApply)
        ui.detailsButton.connect("clicked(bool)", self.onDetails)
        self._say(problem)

    def close(self) -> None:
        self._endRun()
        self._timer.disconnect("timeout()", self.onPoll)

    def onSceneStartClose(self) -> None:
        if self.run is not None:
            self._endRun(wait=False)
            self._say(_("The run was canceled because the scene was closed."))

    def onModelsChanged(self) -> None:
        self._models, problem = readModels(self._logic)
        if problem:
            self._say(problem)

    def onDeviceChosen(self, index: int) -> None:
        parameters.setDevice(self._logic.getParameterNode(), self._ui.deviceSelector.itemData(index))

    def update(self) -> None:
        node = self._logic.getParameterNode()
        running = self.run is not None
        problem = input_checks.problemOf(node, chosenModel(node, self._models))
        self._ui.deviceSelector.setCurrentIndex(max(0, self._ui.deviceSelector.findData(parameters.device(node))))
        self._ui.deviceSelector.setEnabled(not running)
        self._ui.inputsCollapsibleButton.setEnabled(not running)
        self._ui.applyButton.setEnabled(running or not (problem or self._starting))
        self._ui.applyButton.setText(_("Cancel") if running else _("Apply"))
        self._ui.progressBar.setVisible(running)
        fraction = self.run.progress.fraction if running and self.run.progress is not None else None
        self._ui.progressBar.setRange(0, 0 if running and fraction is None else PROGRESS_STEPS)
        self._ui.progressBar.setValue(round((fraction or 0) * PROGRESS_STEPS))

    def onApply(self, checked: bool = False) -> None:
        if self.run is not None:
            self._endRun(wait=False)
            self._say(_("Canceled"))
        elif not self._starting:
            self._starting = True  # questions about packages let the user click on
            try:
                self._start()
            finally:
                self._starting = False
        self.update()

    def _start(self) -> None:
        self._began = time.monotonic()
        self._say(_("Starting"))
        self.update()
        device = self._ui.deviceSelector.currentData
        missing = dependencies.ensureRequirements() or dependencies.ensureForDevice(device)
        if missing is not None:
            self._say(_("These packages are needed and not installed: {packages}").format(packages=missing))
            return
        node = self._logic.getParameterNode()
        model = chosenModel(node, self._models)
        try:
            volumes = parameters.inputVolumes(node, [each.role for each in model.inputs])
            self.run = self._logic.start(volumes, model, device)
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
                segmentation, measurements = run.finish()
                parameters.setResult(self._logic.getParameterNode(), segmentation)
                self._say(self._doneText(measurements["device"]))
        except Exception as error:
            self._endRun()
            self._sayError(error)
        self.update()

    def _doneText(self, device: str) -> str:
        """How long it took and on what it ran; and how it could be quicker, where a GPU lies idle."""
        titles = {"cpu": _("Processor (CPU)"), "cuda": _("Graphics card (GPU)"), "mps": _("Apple graphics (GPU)")}
        text = _("Done in {duration}. Device: {device}").format(
            duration=durationText(max(1.0, time.monotonic() - self._began)),
            device=titles.get(device.split(":", maxsplit=1)[0], device),
        )
        idle = device == "cpu" and self._ui.deviceSelector.currentData == "auto" and set(devices()) - {"auto", "cpu"}
        if idle and dependencies.torchVersion() is None:
            hint = _(
                "This computer has a graphics card (GPU): choose it as the device, and what it needs is installed."
            )
            return f"{text}\n{hint}"
        return text

    def _endRun(self, wait: bool = True) -> None:
        """Cancel the run; without ``wait`` it ends behind the scenes, so that Slicer goes on at once."""
        self._timer.stop()
        run, self.run = self.run, None
        if run is not None:
            run.cancel(wait)

    def onDetails(self, checked: bool = False) -> None:
        slicer.util.errorDisplay(self._ui.statusLabel.text, detailedText=self.details)

    def _say(self, text: str, details: str = "") -> None:
        self.details = details
        self._ui.statusLabel.setText(text)
        self._ui.statusLabel.setVisible(bool(text))
        self._ui.detailsButton.setVisible(bool(details))

    def _sayError(self, error: Exception) -> None:
        if isinstance(error, InputError):  # the message says everything there is to say
            self._say(str(error))
        else:
            self._say(str(error), getattr(error, "details", "") or traceback.format_exc())


def devices() -> dict[str, str]:
    """Devices that this machine may have, told without loading torch: the run itself says when one does not work."""
    found = {"auto": _("Automatic"), "cpu": _("Processor (CPU)")}
    if shutil.which("nvidia-smi") is not None:
        found["cuda"] = _("Graphics card (GPU)")
    if sys.platform == "darwin" and platform.machine() == "arm64":  # no torch uses the graphics of an Intel Mac
        found["mps"] = _("Apple graphics (GPU)")
    return found


def _progressText(progress: Any) -> str:
    stages = {
        "read": _("Reading"),
        "load": _("Loading the model"),
        "prepare": _("Preparing"),
        "network": _("Looking for lesions"),
        "restore": _("Putting the result on the grid of the volume"),
        "measure": _("Measuring"),
        "write": _("Writing"),
    }
    text = stages.get(progress.stage, progress.stage)
    if progress.total > 1:
        text = _("{stage}: {done} of {total}").format(stage=text, done=progress.done, total=progress.total)
    left = durationText(progress.remaining_s)
    return _("{text}, {duration} left").format(text=text, duration=left) if left else text

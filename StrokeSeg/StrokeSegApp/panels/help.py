"""Help: what this computer has and lacks, each with its cure; and packages from a folder."""

from __future__ import annotations

import html
import sys
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from StrokeSegApp import dependencies, model_store, preflight
from StrokeSegApp.computer import readDriver
from StrokeSegApp.torch_trial import TorchTrial

POLL_INTERVAL_MS = 500
#: Marks that are told apart without color, and their colors.
MARKS = {
    preflight.State.OK: ("\u2713", "#1a7f37"),
    preflight.State.WARNING: ("!", "#9a6700"),
    preflight.State.PROBLEM: ("\u2717", "#cf222e"),
}


class HelpPanel:
    """The help section."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._lines: list[preflight.Line] = []
        self._trial: TorchTrial | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self.onPoll)
        ui.helpCollapsibleButton.collapsed = True
        ui.helpCollapsibleButton.connect("contentsCollapsed(bool)", self.onFold)
        self._say("")
        ui.helpCheckButton.connect("clicked(bool)", self.onCheck)
        ui.helpCopyButton.connect("clicked(bool)", self.onCopy)
        ui.helpWheelsButton.connect("clicked(bool)", self.onWheels)

    def onFold(self, folded: bool) -> None:
        self._say(self._ui.helpStatusLabel.text)  # unfolding shows what is empty, too

    def onCheck(self, checked: bool = False) -> None:
        self._endTrial()
        self._lines = preflight.examine(slicerVersion(), folders())
        self._ui.helpCopyButton.setEnabled(True)
        self._tryTorch()
        self._show()

    def onPoll(self) -> None:
        """Look after the trial of PyTorch: called by the timer, twice a second."""
        if self._trial is None or not self._trial.poll():
            return
        line = self._trial.line(dependencies.torchVersion() or "", readDriver())
        self._endTrial()
        self._setTorch(preflight.withRestart(line, "torch" in sys.modules))
        self._show()

    def close(self) -> None:
        self._endTrial()
        self._timer.disconnect("timeout()", self.onPoll)

    def _tryTorch(self) -> None:
        version = dependencies.torchVersion()
        if version is None or dependencies.torchIsBroken():
            return
        try:
            self._trial = TorchTrial()
        except OSError:  # the worker's Python does not start: Apply says so, and why
            return
        self._setTorch(
            preflight.Line(preflight.State.OK, "PyTorch", _("{version}, being tried").format(version=version))
        )
        self._timer.start()

    def _setTorch(self, line: preflight.Line) -> None:
        self._lines = [line if each.title == line.title else each for each in self._lines]

    def _endTrial(self) -> None:
        self._timer.stop()
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.close()

    def _show(self) -> None:
        self._ui.helpReportBrowser.setHtml(asHtml(self._lines))
        problems = sum(line.state is preflight.State.PROBLEM for line in self._lines)
        warnings = sum(line.state is preflight.State.WARNING for line in self._lines)
        if problems or warnings:
            self._say(_("{problems} problems, {warnings} warnings").format(problems=problems, warnings=warnings))
        else:
            self._say(_("Everything is as it should be."))

    def onCopy(self, checked: bool = False) -> None:
        qt.QApplication.clipboard().setText(preflight.asText(self._lines))
        self._say(_("The report was copied. It holds no image and no name of a patient."))

    def onWheels(self, checked: bool = False) -> None:
        folder = qt.QFileDialog.getExistingDirectory(
            self._ui.helpCollapsibleButton, _("Folder that holds the wheels (.whl)")
        )
        if not folder:
            return
        problem = dependencies.installFromFolder(Path(folder))
        self._say(problem or _("All packages are installed."))

    def _say(self, text: str) -> None:
        self._ui.helpStatusLabel.setText(text)
        self._ui.helpStatusLabel.setVisible(bool(text))
        self._ui.helpReportBrowser.setVisible(bool(self._lines))


def slicerVersion() -> tuple[int, int]:
    """Major and minor of the running Slicer."""
    return int(slicer.app.majorVersion), int(slicer.app.minorVersion)


def folders() -> dict[str, Path]:
    """What each folder that we write to is for -> where it is."""
    return {
        _("temporary files"): Path(slicer.app.temporaryPath),
        _("downloads"): Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()),
        _("your models"): model_store.userFolder(),
        _("packages"): Path(dependencies.packagesFolder()),
    }


def asHtml(lines: list[preflight.Line]) -> str:
    rows = []
    for line in lines:
        mark, color = MARKS[line.state]
        value = html.escape(line.value)
        cure = f"<br><i>{html.escape(line.cure)}</i>" if line.cure else ""
        title = f"<b>{html.escape(line.title)}</b>"
        rows.append(
            f'<p style="margin:3px 0"><span style="color:{color}"><b>{mark}</b></span> {title}: {value}{cure}</p>'
        )
    return "".join(rows)

"""Help: what this computer has and lacks, each with its cure; and packages from a folder."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from StrokeSegApp import dependencies, model_store, preflight

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
        ui.helpCollapsibleButton.collapsed = True
        ui.helpCollapsibleButton.connect("contentsCollapsed(bool)", self.onFold)
        self._say("")
        ui.helpCheckButton.connect("clicked(bool)", self.onCheck)
        ui.helpCopyButton.connect("clicked(bool)", self.onCopy)
        ui.helpWheelsButton.connect("clicked(bool)", self.onWheels)

    def onFold(self, folded: bool) -> None:
        self._say(self._ui.helpStatusLabel.text)  # unfolding shows what is empty, too

    def onCheck(self, checked: bool = False) -> None:
        self._lines = preflight.examine(slicerVersion(), folders())
        self._ui.helpReportBrowser.setHtml(asHtml(self._lines))
        self._ui.helpCopyButton.setEnabled(True)
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

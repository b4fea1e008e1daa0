"""The models and the help section, clicked on a Qt stand-in: not in Slicer itself."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import slicer
from PySide6 import QtWidgets
from section_checks import checkNothingIsCut, section, waitUntil
from stand_in.panel import click
from StrokeSegApp import dependencies, model_store, torch_trial

from StrokeSegLib.models import find_model
from StrokeSegLib.resources import models_folder

BUNDLED = sorted(folder.parent.name for folder in models_folder().glob("*/model.json"))


@pytest.fixture
def panel(openPanel, monkeypatch, tmp_path):
    """The panel; user models go to a folder of the test."""
    monkeypatch.setattr(model_store, "userFolder", lambda: tmp_path / "Modèles de Zoë")
    panel = openPanel(find_model("mri"))
    monkeypatch.setattr(type(panel.widget.logic), "models", lambda self: model_store.cards())
    return panel


@pytest.fixture
def choosing(monkeypatch):
    """A function that has the next folder dialog answer a folder."""
    import qt

    def choose(folder):
        monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_: str(folder))

    return choose


def ours(tmp_path):
    folder = tmp_path / "from elsewhere"
    shutil.copytree(models_folder() / "mri", folder)
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    (folder / "model.json").write_text(json.dumps(card | {"id": "our-mri", "title": "Our own"}), encoding="utf-8")
    return folder


def test_on_the_stand_in_the_bundled_model_is_shown_with_hash_and_licence_and_can_only_be_verified(panel):
    section(panel, "models")
    ui = panel.ui
    card = find_model("mri")
    row = BUNDLED.index("mri")
    ui.modelsTable.setCurrentCell(row, 0)
    assert ui.modelsTable.item(row, 0).text() == card.title
    assert ui.modelsTable.item(row, 1).text() == card.version
    assert ui.modelsTable.item(row, 2).text().endswith(" MB")
    assert f"License: {card.licence}" in ui.modelsDetailLabel.text
    assert card.sha256 in ui.modelsDetailLabel.text.replace(" ", "")
    assert not ui.modelsRemoveButton.enabled
    click(ui.modelsVerifyButton)
    assert ui.modelsStatusLabel.text == f"{card.title}: the weights are those that the card names."
    checkNothingIsCut(panel)


def test_on_the_stand_in_a_folder_is_imported_listed_everywhere_and_removed_again(
    panel, choosing, tmp_path, monkeypatch
):
    section(panel, "models")
    ui = panel.ui
    choosing(ours(tmp_path))
    click(ui.modelsImportButton)
    assert ui.modelsStatusLabel.text == "Our own can be chosen now."
    assert [ui.modelsTable.item(row, 0).text() for row in range(ui.modelsTable.rowCount)][len(BUNDLED) :] == ["Our own"]
    assert ui.modelSelector.findText("Our own") >= 0
    assert ui.batchModelSelector.findText("Our own") >= 0
    checkNothingIsCut(panel)
    ui.modelsTable.setCurrentCell(len(BUNDLED), 0)
    assert "your own" in ui.modelsDetailLabel.text
    answers = iter([False, True])
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda question: "Our own" in question and next(answers))
    click(ui.modelsRemoveButton)
    assert ui.modelsTable.rowCount == len(BUNDLED) + 1  # the user said no
    click(ui.modelsRemoveButton)
    assert ui.modelsTable.rowCount == len(BUNDLED)
    assert ui.modelSelector.findText("Our own") < 0
    assert list((tmp_path / "Modèles de Zoë").iterdir()) == []


@pytest.mark.parametrize("opens", [True, False])
def test_on_the_stand_in_the_folder_of_a_model_is_opened_or_named(panel, choosing, monkeypatch, tmp_path, opens):
    import qt

    section(panel, "models")
    choosing(ours(tmp_path))
    click(panel.ui.modelsImportButton)
    panel.ui.modelsTable.setCurrentCell(len(BUNDLED), 0)
    opened = []
    monkeypatch.setattr(
        qt.QDesktopServices, "openUrl", lambda url: opened.append(Path(url.toLocalFile())) or opens, raising=False
    )
    click(panel.ui.modelsOpenButton)
    folder = tmp_path / "Modèles de Zoë" / "our-mri"
    assert opened == [folder]
    assert (str(folder) in panel.ui.modelsStatusLabel.text) is not opens
    if opens:  # a path without a blank is as wide as it is
        checkNothingIsCut(panel)


def test_on_the_stand_in_torch_is_tried_in_a_process_of_its_own_and_its_line_is_replaced(panel, monkeypatch, tmp_path):
    section(panel, "help")
    monkeypatch.setattr(dependencies, "torchVersion", lambda: "2.9.0+cu128")
    monkeypatch.setattr(dependencies, "torchIsBroken", lambda: False)
    (tmp_path / "torch.py").write_text("raise OSError('libcudnn.so.9: cannot open shared object file')")
    monkeypatch.setattr(torch_trial, "environment", lambda: dict(os.environ) | {"PYTHONPATH": str(tmp_path)})
    click(panel.ui.helpCheckButton)
    assert "PyTorch: 2.9.0+cu128, being tried" in panel.ui.helpReportBrowser.toPlainText()
    waitUntil(lambda: "being tried" not in panel.ui.helpReportBrowser.toPlainText(), lambda: "the trial did not end")
    assert "does not work here (OSError: libcudnn.so.9" in panel.ui.helpReportBrowser.toPlainText()
    assert "1 problems" in panel.ui.helpStatusLabel.text


def test_on_the_stand_in_a_bad_folder_is_one_line_and_no_folder_is_nothing(panel, choosing, tmp_path):
    section(panel, "models")
    choosing("")
    click(panel.ui.modelsImportButton)
    assert not panel.ui.modelsStatusLabel.visible
    choosing(tmp_path)
    click(panel.ui.modelsImportButton)
    assert "holds no model.json" in panel.ui.modelsStatusLabel.text
    assert panel.ui.modelsTable.rowCount == len(BUNDLED)


def test_on_the_stand_in_a_model_with_changed_weights_is_found_out(panel, choosing, tmp_path):
    section(panel, "models")
    choosing(ours(tmp_path))
    click(panel.ui.modelsImportButton)
    with (tmp_path / "Modèles de Zoë" / "our-mri" / "weights.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    panel.ui.modelsTable.setCurrentCell(len(BUNDLED), 0)
    click(panel.ui.modelsVerifyButton)
    assert "the file was changed or damaged" in panel.ui.modelsStatusLabel.text


def test_on_the_stand_in_the_report_is_shown_and_copied_without_the_home_folder(panel, monkeypatch):
    section(panel, "help")
    ui = panel.ui
    assert not ui.helpReportBrowser.visible
    assert not ui.helpCopyButton.enabled
    monkeypatch.setattr(dependencies, "missingRequirements", lambda: ["openvino>=2025.0"])
    click(ui.helpCheckButton)
    shown = ui.helpReportBrowser.toPlainText()
    for words in ("Slicer: 5.13", "Python: 3.", "Free memory:", "missing: openvino>=2025.0", "press Apply"):
        assert words in shown
    assert "1 warnings" in ui.helpStatusLabel.text
    checkNothingIsCut(panel)
    click(ui.helpCopyButton)
    copied = QtWidgets.QApplication.clipboard().text()
    assert copied.startswith("[ok] Slicer: 5.13\n")
    assert "[warning] Packages: missing: openvino>=2025.0\n    -> press Apply" in copied
    assert str(Path.home()) not in copied


def test_on_the_stand_in_packages_come_from_a_folder_that_the_user_chooses(panel, choosing, monkeypatch, tmp_path):
    section(panel, "help")
    choosing(tmp_path)
    click(panel.ui.helpWheelsButton)
    assert "holds no wheels" in panel.ui.helpStatusLabel.text
    asked = []
    monkeypatch.setattr(dependencies, "installFromFolder", asked.append)
    click(panel.ui.helpWheelsButton)
    assert asked == [tmp_path]
    assert panel.ui.helpStatusLabel.text == "All packages are installed."
    checkNothingIsCut(panel)

"""The train section, clicked on a Qt stand-in: not in Slicer itself.

The training is a stand-in that writes what a real one writes (test_console_training.py runs the real one); the export
is a stand-in command.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from PySide6 import QtGui
from section_checks import checkNothingIsCut, section, waitUntil
from stand_in.panel import click
from StrokeSegApp import dependencies, model_store
from StrokeSegApp.progress import Progress

from StrokeSegLib.errors import InputError
from StrokeSegLib.models import find_model

COMMAND = [sys.executable, str(Path(__file__).parent / "stand_in" / "user_command.py")]


class Training:
    """Writes a row a look; ends after ``rows``."""

    def __init__(self, out, rows=3, error=None):
        self.out, self.rows, self.error = Path(out), rows, error
        self.progress = None
        self.gone = False
        self._written = 0

    def poll(self):
        if self._written == 0:
            self.out.mkdir(exist_ok=True)
            (self.out / "run.json").write_text(json.dumps({"system": "noncontrast-ct", "preset": "paper, modified"}))
        if self._written < self.rows:
            self._written += 1
            writeLog(self.out, self._written)
            self.progress = Progress("train", self._written, self.rows, 200.0)
            return False
        return self.error is not None or self.rows < 1000

    def finish(self):
        self.gone = True
        if self.error is not None:
            raise self.error
        return self.out

    def cancel(self, wait=True):
        self.gone = True


def writeLog(run, count, validated=False):
    with (run / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["network", "step", "loss", "learning_rate", *["validation_iou"] * validated])
        for row in range(1, count + 1):
            writer.writerow(["axial", row * 10, f"{1 / row:.4f}", "0.001", *[f"{1 - 1 / row:.3f}"] * validated])


@pytest.fixture
def opened(openPanel, monkeypatch, tmp_path):
    """The panel with the train section unfolded; user models go to a folder of the test."""
    monkeypatch.setattr(model_store, "userFolder", lambda: tmp_path / "store")
    panel = openPanel(find_model("mri"))
    monkeypatch.setattr(type(panel.widget.logic), "models", lambda self: model_store.cards())
    monkeypatch.setattr(type(panel.widget.logic), "command", COMMAND)
    asked = []

    def startTraining(self, system, data, out, **choices):
        asked.append((system, data, str(out), choices))
        return panel.training or Training(out)

    panel.training = None
    monkeypatch.setattr(type(panel.widget.logic), "startTraining", startTraining)
    return panel, section(panel, "train"), asked


def choose(panel, tmp_path, name="Träining 1"):
    (tmp_path / "cases.csv").write_text("case_id,patient_id,dwi\n")
    panel.ui.trainCasesPath.currentPath = str(tmp_path / "cases.csv")
    panel.ui.trainFolderPath.currentPath = str(tmp_path / name)
    return tmp_path / name


def test_on_the_stand_in_training_asks_for_its_choices_and_refuses_a_folder_with_other_files(opened, tmp_path):
    panel, _train, _asked = opened
    ui = panel.ui
    assert ui.trainCheckLabel.text == "Choose a case table."
    assert not ui.trainButton.enabled
    assert not ui.trainExportButton.enabled
    folder = choose(panel, tmp_path)
    assert ui.trainButton.enabled
    folder.mkdir()
    (folder / "thesis.docx").write_text("x")
    ui.trainFolderPath.currentPath = ""
    ui.trainFolderPath.currentPath = str(folder)
    assert "holds other files" in ui.trainCheckLabel.text
    assert not ui.trainButton.enabled
    checkNothingIsCut(panel)


def test_on_the_stand_in_a_training_shows_its_progress_and_curve_and_becomes_a_model_in_the_list(opened, tmp_path):
    panel, train, asked = opened
    ui = panel.ui
    choose(panel, tmp_path)
    click(ui.trainButton)
    assert asked == [
        ("mri", str(tmp_path / "cases.csv"), str(tmp_path / "Träining 1"), {"preset": "bundled", "resume": False})
    ]
    assert ui.trainButton.text == "Stop"
    waitUntil(
        lambda: "Training, step: 2 of 3, 3 min left" in ui.trainStatusLabel.text, lambda: ui.trainStatusLabel.text
    )
    assert ui.trainProgressBar.visible
    assert ui.trainCurveLabel.visible
    waitUntil(lambda: train.run is None, lambda: ui.trainStatusLabel.text)
    assert ui.trainStatusLabel.text == "The training has ended. Make a model of it below."
    assert ui.trainCurveLabel.height >= ui.trainCurveLabel.pixmap.height()
    assert ui.trainButton.text == "Continue training"
    assert ui.trainModelEdit.text == "tr-ining-1"
    checkNothingIsCut(panel)
    ui.trainModelEdit.setText("Not A Name")
    assert not ui.trainExportButton.enabled
    ui.trainModelEdit.setText("our-mri")
    click(ui.trainExportButton)
    waitUntil(lambda: train.run is None, lambda: ui.trainStatusLabel.text)
    assert ui.trainStatusLabel.text == "Made of Träining 1 can be chosen under Input now."
    titles = [ui.modelSelector.itemText(index) for index in range(ui.modelSelector.count)]
    assert "Made of Träining 1" in titles
    assert ui.batchModelSelector.findText("Made of Träining 1") >= 0
    rows = [ui.modelsTable.item(row, 0).text() for row in range(ui.modelsTable.rowCount)]
    assert rows.count("Made of Träining 1") == 1
    click(ui.trainExportButton)  # a second time: the name is taken
    assert "'our-mri' is installed already" in ui.trainStatusLabel.text


def test_on_the_stand_in_stop_returns_at_once_and_the_folder_goes_on_with_its_own_system_and_preset(opened, tmp_path):
    panel, train, asked = opened
    ui = panel.ui
    folder = choose(panel, tmp_path)
    panel.training = Training(folder, rows=1000)
    click(ui.trainButton)
    waitUntil(lambda: "step: 1 of" in ui.trainStatusLabel.text, lambda: ui.trainStatusLabel.text)
    click(ui.trainButton)
    assert train.run is None
    waitUntil(lambda: ui.trainButton.enabled, lambda: ui.trainStatusLabel.text)
    assert ui.trainStatusLabel.text == "Stopped. Continue at any time."
    ui.trainFolderPath.currentPath = ""
    ui.trainFolderPath.currentPath = str(folder)
    assert ui.trainSystemSelector.currentData == "noncontrast-ct"
    assert ui.trainPresetSelector.currentData == "paper"
    panel.training = None
    click(ui.trainButton)
    assert asked[-1][0] == "noncontrast-ct"
    assert asked[-1][3] == {"preset": "paper", "resume": True}
    waitUntil(lambda: train.run is None, lambda: ui.trainStatusLabel.text)


def test_on_the_stand_in_a_refused_training_and_a_refused_export_are_one_line(opened, tmp_path):
    panel, train, _asked = opened
    ui = panel.ui
    before = [card.id for card in model_store.cards()]
    folder = choose(panel, tmp_path, "refused")
    panel.training = Training(folder, rows=1, error=InputError("case p1 has no dwi: add it, or leave the case out"))
    click(ui.trainButton)
    waitUntil(lambda: train.run is None, lambda: ui.trainStatusLabel.text)
    assert ui.trainStatusLabel.text == "case p1 has no dwi: add it, or leave the case out"
    assert not ui.trainDetailsButton.visible
    click(ui.trainExportButton)
    waitUntil(lambda: train.run is None, lambda: ui.trainStatusLabel.text)
    assert "holds no trained network yet" in ui.trainStatusLabel.text
    assert [card.id for card in model_store.cards()] == before


def test_on_the_stand_in_missing_torch_is_asked_for_only_when_training_starts(opened, tmp_path, monkeypatch):
    panel, train, asked = opened
    choose(panel, tmp_path)
    monkeypatch.setattr(dependencies, "ensureTraining", lambda: "torch>=2.6: install the extension PyTorch")
    click(panel.ui.trainButton)
    assert train.run is None
    assert asked == []
    assert "torch>=2.6" in panel.ui.trainStatusLabel.text
    assert panel.ui.trainButton.enabled


def test_the_stand_in_curve_is_drawn_with_its_lines_and_only_whole_rows_count(qtApplication, tmp_path):
    from StrokeSegApp.panels import curve

    writeLog(tmp_path, 50, validated=True)
    with (tmp_path / "log.csv").open("a") as file:
        file.write("axial,510,0.")  # a row that is being written
    rows = curve.readRows(tmp_path)
    assert len(rows) == 50
    picture = curve.drawCurves(rows, 300).toImage()
    assert (picture.width(), picture.height()) == (300, 2 * curve.HEIGHT_PX)
    blue = QtGui.QColor("#0072b2")
    columns = [
        {y for y in range(picture.height()) if picture.pixelColor(x, y) == blue} for x in range(curve.LEFT_PX, 292)
    ]
    assert sum(bool(column) for column in columns) > 200  # a line from left to right
    upper = [min(y for y in column if y < curve.HEIGHT_PX) for column in columns[5:240:20]]
    assert upper == sorted(upper)  # the loss falls
    assert curve.readRows(tmp_path / "nowhere") == []


def test_the_stand_in_curve_of_one_network_is_its_loss_and_no_name_is_cut(qtApplication, monkeypatch):
    from StrokeSegApp.panels import curve

    def drawn(rows, width=300):
        written = []
        draw = curve.qt.QPainter.drawText

        def note(painter, x, y, words):
            written.append((x + painter.fontMetrics().horizontalAdvance(words), words))
            draw(painter, x, y, words)

        monkeypatch.setattr(curve.qt.QPainter, "drawText", note)
        curve.drawCurves(rows, width)
        assert all(right <= width for right, _words in written)
        return [words for _right, words in written if words[0].isalpha()]

    def rows(*networks):
        terms = {"loss": "3", "hard_ce": "1", "l2": "2", "learning_rate": "0.1"}
        return [{"network": name, "step": step, **terms} for name in networks for step in ("50", "100")]

    assert drawn(rows("axial")) == ["loss 3"]
    assert drawn(rows("axial", "coronal")) == ["axial 3", "coronal 3"]
    assert drawn(rows("axial", "coronal"), 90) == ["axial 3"]

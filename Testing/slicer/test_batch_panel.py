"""The batch section, clicked on a Qt stand-in: not in Slicer itself. The command is a stand-in without a network."""

from __future__ import annotations

import functools
import re
import sys
import time
from pathlib import Path

import pytest
import slicer
from pydicom.uid import generate_uid
from PySide6 import QtWidgets
from section_checks import checkNothingIsCut, section, waitUntil
from stand_in.panel import click, clickCell
from test_batching import image
from test_loading import writeSeries

from StrokeSegLib.case_table import Case, write_case_table
from StrokeSegLib.models import find_model

#: A turn of the event loop, of the processor.
TURN_S = 0.05
COMMAND = [sys.executable, str(Path(__file__).parent / "stand_in" / "user_command.py")]


@pytest.fixture
def opened(openPanel, monkeypatch):
    """The panel with the bundled model, the batch section unfolded."""
    panel = openPanel(find_model("mri"))
    monkeypatch.setattr(type(panel.widget.logic), "command", COMMAND)
    return panel, section(panel, "batch")


@pytest.fixture
def table(tmp_path):
    """A case table of two good cases and one without its images; the folder's name has spaces and accents."""
    folder = tmp_path / "Fälle von Zoë"
    cases = [
        Case(name, name, {role: image(folder / name / f"{role}.nii.gz") for role in ("dwi", "adc")})
        for name in ("case-1", "case-2", "case-3")
    ]
    for path in cases[1].images.values():
        path.unlink()
    write_case_table(cases, folder / "cases.csv")
    return folder / "cases.csv"


@pytest.fixture
def examinations(tmp_path):
    """A folder with a folder of DICOM files a case: DWI and ADC of 90 images each."""
    for name in ("Zoë 1", "two"):
        study = generate_uid()
        writeSeries(tmp_path / "set" / name, "dwi", slices=90, DiffusionBValue=1000.0, StudyInstanceUID=study)
        writeSeries(tmp_path / "set" / name, "ep2d_diff_ADC", slices=90, StudyInstanceUID=study)
    return tmp_path / "set"


def test_on_the_stand_in_a_folder_of_examinations_is_read_while_slicer_goes_on(opened, examinations):
    panel, batch = opened
    ui = panel.ui
    ui.batchSourceSelector.setCurrentIndex(1)
    longest = []
    while len(longest) < 2 or (min(longest) >= TURN_S and len(longest) < 4):
        ui.batchCasesPath.currentPath = ""
        turns, texts = [], set()
        step = functools.partial(setattr, ui.batchCasesPath, "currentPath", str(examinations))
        while not turns or batch._reading is not None:
            started = time.thread_time()
            step()
            turns.append(time.thread_time() - started)
            texts.add(ui.batchStatusLabel.text)
            assert not ui.batchCheckLabel.visible or batch._reading is None
            step = QtWidgets.QApplication.processEvents
        longest.append(max(turns))
        assert any(re.fullmatch("Reading the DICOM files of 'two': [1-9]\\d* of 180", text) for text in texts), texts
    assert min(longest) < TURN_S, longest
    assert ui.batchStatusLabel.text == ""
    assert not ui.batchProgressBar.visible
    assert [row[0] for row in cells(ui)] == ["Zoë 1", "two"]
    assert sorted(batch._cases["two"].images) == ["adc", "dwi"]


def test_on_the_stand_in_the_reading_of_a_folder_can_be_canceled_and_begun_again(opened, examinations):
    panel, batch = opened
    ui = panel.ui
    ui.batchSourceSelector.setCurrentIndex(1)
    ui.batchCasesPath.currentPath = str(examinations)
    assert ui.batchButton.text == "Cancel"
    assert ui.batchProgressBar.visible
    batch.onButton()
    assert ui.batchStatusLabel.text == "Canceled: choose the folder again to read it."
    assert ui.batchCheckLabel.text == "Choose a folder of images."
    QtWidgets.QApplication.processEvents()
    assert cells(ui) == []
    ui.batchCasesPath.currentPath = str(examinations)
    waitUntil(lambda: len(cells(ui)) == 2, lambda: ui.batchStatusLabel.text, seconds=120)


def cells(ui):
    table = ui.batchTable
    return [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount)]


def test_on_the_stand_in_an_empty_section_says_what_is_needed_step_by_step(opened, table, tmp_path):
    panel, _batch = opened
    ui = panel.ui
    assert not ui.batchButton.enabled
    assert ui.batchCheckLabel.text == "Choose a case table."
    ui.batchSourceSelector.setCurrentIndex(1)
    assert ui.batchCheckLabel.text == "Choose a folder of images."
    ui.batchSourceSelector.setCurrentIndex(0)
    ui.batchCasesPath.currentPath = str(table)
    assert ui.batchCheckLabel.text == "Choose a folder for the results."
    assert cells(ui) == [[f"case-{number}", "waiting", "", ""] for number in (1, 2, 3)]
    ui.batchFolderPath.currentPath = str(tmp_path / "out")
    assert not ui.batchCheckLabel.visible
    assert ui.batchButton.enabled
    assert ui.batchButton.text == "Start batch"


def test_on_the_stand_in_the_model_is_one_that_reads_the_cases_until_the_user_chooses(openPanel, table, tmp_path):
    panel = openPanel(find_model("ct-perfusion"), find_model("mri"))
    section(panel, "batch")
    ui = panel.ui
    ui.batchCasesPath.currentPath = str(table)
    assert ui.batchModelSelector.currentData == "mri"
    ui.batchModelSelector.setCurrentIndex(ui.batchModelSelector.findData("ct-perfusion"))
    ui.batchCasesPath.currentPath = ""
    ui.batchCasesPath.currentPath = str(table)
    assert ui.batchModelSelector.currentData == "ct-perfusion"


def test_on_the_stand_in_a_table_that_is_none_is_said_at_once(opened, tmp_path):
    panel, _batch = opened
    (tmp_path / "x.csv").write_text("name\n1\n")
    panel.ui.batchCasesPath.currentPath = str(tmp_path / "x.csv")
    assert "the column case_id and patient_id is missing" in panel.ui.batchStatusLabel.text
    assert not panel.ui.batchDetailsButton.visible
    assert not panel.ui.batchButton.enabled


def test_on_the_stand_in_a_batch_fills_its_table_and_a_click_loads_a_result_once(opened, table, tmp_path):
    panel, batch = opened
    ui = panel.ui
    ui.batchCasesPath.currentPath = str(table)
    ui.batchFolderPath.currentPath = str(tmp_path / "out put")
    click(ui.batchButton)
    assert ui.batchButton.text == "Cancel"
    assert ui.batchProgressBar.visible
    assert not ui.batchCasesPath.enabled
    waitUntil(lambda: batch.run is None, lambda: ui.batchStatusLabel.text)
    assert ui.batchStatusLabel.text == "2 cases are done. 1 failed: click on one to see why."
    volume = f"{8 * 12 / 1000:.1f}"  # 8 voxels of 12 mm3
    assert cells(ui) == [
        ["case-1", "done", volume, "2 s"],
        ["case-2", "failed", "", ""],
        ["case-3", "done", volume, "2 s"],
    ]
    assert ui.batchButton.text == "Continue batch"
    checkNothingIsCut(panel)
    clickCell(ui.batchTable, 1, 0)
    assert "check the path" in ui.batchStatusLabel.text
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    for _again in range(2):
        clickCell(ui.batchTable, 2, 0)
        assert ui.batchStatusLabel.text == "case-3 is shown."
    (segmentation,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    assert "case-3 DWI" in names
    assert "case-3 ADC" in names
    assert ui.summaryLabel.text.startswith("Ischemic lesion: 0.10 mL")
    slicer.mrmlScene.RemoveNode(segmentation)
    clickCell(ui.batchTable, 2, 0)  # deleted meanwhile: it is loaded anew
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1


def test_on_the_stand_in_cancel_returns_at_once_keeps_what_is_done_and_the_batch_goes_on(
    opened, table, tmp_path, monkeypatch
):
    from StrokeSegApp import batching

    panel, batch = opened
    ui = panel.ui
    ui.batchCasesPath.currentPath = str(table)
    ui.batchFolderPath.currentPath = str(tmp_path / "out")
    monkeypatch.setattr(batching, "modelWord", lambda card: "slow")
    click(ui.batchButton)
    waitUntil(lambda: len(cells(ui)) == 3 and cells(ui)[0][1] == "done", lambda: ui.batchStatusLabel.text)
    run = batch.run
    click(ui.batchButton)
    assert batch.run is None
    assert ui.batchStatusLabel.text == "Canceling: the cases that are done stay."
    waitUntil(lambda: run.gone and ui.batchButton.enabled, lambda: ui.batchStatusLabel.text)
    assert ui.batchButton.text == "Continue batch"
    assert [row[1] for row in cells(ui)] == ["done", "waiting", "waiting"]
    monkeypatch.undo()
    monkeypatch.setattr(type(panel.widget.logic), "command", COMMAND)
    click(ui.batchButton)
    waitUntil(lambda: batch.run is None, lambda: ui.batchStatusLabel.text)
    assert [row[1] for row in cells(ui)] == ["done", "failed", "done"]


def test_on_the_stand_in_closing_the_module_ends_the_batch_with_its_whole_tree(opened, table, tmp_path, monkeypatch):
    from StrokeSegApp import batching

    panel, batch = opened
    panel.ui.batchCasesPath.currentPath = str(table)
    panel.ui.batchFolderPath.currentPath = str(tmp_path / "out")
    monkeypatch.setattr(batching, "modelWord", lambda card: "slow")
    click(panel.ui.batchButton)
    run = batch.run
    panel.widget.cleanup()
    assert run.gone
    assert not run.folder.exists()
    QtWidgets.QApplication.processEvents()

"""The findings of a result clicked, on real MRML and a Qt stand-in: not in Slicer itself."""

from __future__ import annotations

import csv
import json

import pytest
import slicer
from panel_runs import apply, run, segmentations
from PySide6 import QtWidgets
from slicer_phantoms import voxelVolumeMl
from stand_in.panel import click, clickCell, waitForRun
from StrokeSegApp import scene as app

from StrokeSegLib.report.measurements import perfusion_measures


def test_on_the_stand_in_a_click_on_a_row_moves_all_slice_views_to_that_lesion(openPanel):
    for name in ("Red", "Green"):
        view = slicer.vtkMRMLSliceNode()
        view.SetLayoutName(name)
        slicer.mrmlScene.AddNode(view)
        view.SetOrientation({"Red": "Axial", "Green": "Coronal"}[name])
    panel = apply(openPanel)
    waitForRun(panel)
    # Voxel centers: the block [3:6, 4:7, 5:8] has its middle at ijk (6, 5, 4), the other at (2.5, 10.5, 8); 2x2x3 mm.
    for row, expected in ((1, (5.0, 21.0, 24.0)), (0, (12.0, 10.0, 12.0)), (0, (12.0, 10.0, 12.0))):
        clickCell(panel.ui.lesionTable, row, 1)
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            center = [view.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
            assert center == pytest.approx(expected, abs=1e-4)
            view.SetSliceOffset(-50)  # the reader scrolls away; another click on the same row comes back


def test_on_the_stand_in_the_table_is_copied_whole_with_places_and_totals(openPanel):
    panel = apply(openPanel, "two")
    waitForRun(panel)
    click(panel.ui.lesionCopyButton)
    header, *rows = [line.split("\t") for line in QtWidgets.QApplication.clipboard().text().splitlines()]
    assert header[:3] == ["Finding", "Volume (mL)", "Side"]
    assert header[-3:] == ["Center R (mm)", "Center A (mm)", "Center S (mm)"]
    large, small = 27 * voxelVolumeMl("axial"), 4 * voxelVolumeMl("axial")
    assert [row[0] for row in rows] == ["Ischemic lesion", "Hemorrhage", "Ischemic lesion, total", "Hemorrhage, total"]
    assert [float(row[1]) for row in rows] == pytest.approx([large, small, large, small])
    assert [float(cell) for cell in rows[0][-3:]] == pytest.approx([12, 10, 12])


def test_on_the_stand_in_the_findings_are_saved_for_spreadsheets_and_programs(openPanel, monkeypatch, tmp_path):
    import qt

    panel = apply(openPanel, "two")
    waitForRun(panel)
    click(panel.ui.lesionCopyButton)
    copied = [line.split("\t") for line in QtWidgets.QApplication.clipboard().text().splitlines()]
    for name in ("Befund – früh.csv", "all.json"):
        monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_, name=name: str(tmp_path / name))
        click(panel.ui.lesionSaveButton)
    with (tmp_path / "Befund – früh.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == copied
    numbers = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert [lesion["label"] for lesion in numbers["lesions"]] == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Befund – früh.csv", "all.json"]

    said = []
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, *_, **__: said.append(text), raising=False)
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: str(tmp_path / "gone" / "x.csv"))
    click(panel.ui.lesionSaveButton)
    assert "choose another folder" in said[0]
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: "")  # canceled
    click(panel.ui.lesionSaveButton)
    assert len(said) == 1


def test_on_the_stand_in_two_kinds_of_findings_are_named_in_the_summary_and_in_each_row(openPanel):
    panel = apply(openPanel, "two")
    waitForRun(panel)
    assert panel.ui.summaryLabel.text == "Ischemic lesion: 0.32 mL in 1 lesion\nHemorrhage: 0.05 mL in 1 lesion"
    assert not panel.ui.lesionTable.isColumnHidden(0)
    assert [panel.ui.lesionTable.item(row, 0).text() for row in range(2)] == ["Ischemic lesion", "Hemorrhage"]


def test_on_the_stand_in_nothing_found_is_a_result(openPanel):
    panel = apply(openPanel, "empty")
    waitForRun(panel)
    assert panel.ui.summaryLabel.text == "No lesion found"
    assert panel.ui.resultCollapsibleButton.visible
    assert panel.ui.lesionsCollapsibleButton.visible
    assert not panel.ui.lesionTable.visible
    assert not panel.ui.lesionCopyButton.visible
    assert panel.ui.lesionSaveButton.visible
    assert panel.ui.statusLabel.text.startswith("Done in ")
    assert len(segmentations()) == 1


def test_on_the_stand_in_the_classifiers_word_and_the_reasons_to_look_are_shown(openPanel):
    panel = run(openPanel, "bright")
    assert not panel.ui.classLabel.visible
    segmentation = segmentations()[0]
    measurements = app.storedMeasurements(segmentation)
    measurements["classification"] = {
        "class": "hemorrhage", "found": ["hemorrhage"], "scores": {"ischemic lesion": 0.2, "hemorrhage": 0.91}
    }  # fmt: skip
    measurements["needs_review"] = {"flag": True, "reasons": ["borderline: 1 of 2 lesions"]}
    app.storeMeasurements(segmentation, measurements)
    panel.panel.update()
    assert panel.ui.classLabel.text == "Class: hemorrhage (scores: ischemic lesion 0.20, hemorrhage 0.91)"
    assert "Please check: borderline: 1 of 2 lesions" in panel.ui.notesLabel.text
    clickCell(panel.ui.lesionTable, 0, 1)


def told(panel, **more):
    """The panel with more in the measurements of its result."""
    (segmentation,) = segmentations()
    app.storeMeasurements(segmentation, {**app.storedMeasurements(segmentation), **more})
    panel.panel.update()
    return panel.ui


def test_on_the_stand_in_the_perfusion_mismatch_is_shown_and_copied(openPanel):
    panel = run(openPanel, "bright")
    lesions = panel.ui.summaryLabel.text
    ui = told(panel, perfusion=perfusion_measures(20.0, 60.0))
    assert ui.summaryLabel.text == f"{lesions}\nMismatch: 60.0 mL, ratio 4.0"
    click(ui.lesionCopyButton)
    assert QtWidgets.QApplication.clipboard().text().splitlines()[-2:] == ["Mismatch\t60.0", "Mismatch ratio\t4.0"]
    ui = told(panel, perfusion=perfusion_measures(0.0, 12.0))
    assert ui.summaryLabel.text.endswith("Mismatch: 12.0 mL (no core, so no ratio)")


@pytest.mark.parametrize(
    ("lesions", "words"),
    [
        (0, ""),
        (1, "1 improbable lesion was left out (0.25 mL)."),
        (3, "3 improbable lesions were left out (0.25 mL in all)."),
    ],
)
def test_on_the_stand_in_improbable_lesions_that_were_left_out_are_told(openPanel, lesions, words):
    panel = run(openPanel, "empty")
    ui = told(panel, improbable={"lesions": lesions, "volume_ml": 0.25 if lesions else 0}, warnings=[])
    assert ui.summaryLabel.text == "No lesion found"
    assert ui.notesLabel.text == words


@pytest.mark.parametrize("behavior", ["bright", "two"])
@pytest.mark.parametrize(
    ("role", "header", "column"), [("adc", "Mean\nADC", "Mean ADC (U)"), ("ct", "Mean\nHU", "Mean CT (U)")]
)
def test_on_the_stand_in_the_mean_adc_or_hu_of_a_lesion_is_in_the_table_and_its_copy(
    openPanel, behavior, role, header, column
):
    panel = run(openPanel, behavior)
    table = panel.ui.lesionTable
    assert table.isColumnHidden(5)
    lesions = app.storedMeasurements(segmentations()[0])["lesions"]
    lesions = [{**lesion, "mean_value": 1234.5 + row} for row, lesion in enumerate(lesions)]
    told(panel, lesions=lesions, lesion_value={"role": role, "unit": "U", "scale": 1.0})
    assert table.isColumnHidden(5) == (behavior == "two")  # the findings' names need the room
    assert table.horizontalHeaderItem(5).text() == header
    assert [table.item(row, 5).text() for row in range(2)] == ["1234", "1236"]
    checkTableIsWhole(table)
    click(panel.ui.lesionCopyButton)
    copied = [line.split("\t") for line in QtWidgets.QApplication.clipboard().text().splitlines()]
    assert [line[copied[0].index(column)] for line in copied[1:3]] == ["1234.5", "1235.5"]


def checkTableIsWhole(table):
    """No header and no cell of a shown column is cut."""
    QtWidgets.QApplication.processEvents()
    header = table.horizontalHeader()
    for column in range(table.columnCount):
        if not table.isColumnHidden(column):
            lines = table.horizontalHeaderItem(column).text().split("\n")
            texts = [table.item(row, column).text() for row in range(table.rowCount)]
            needed = max(header.fontMetrics().horizontalAdvance(line) for line in [*lines, *texts])
            assert header.sectionSize(column) >= needed + 4, [*lines, *texts]

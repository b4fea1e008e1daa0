"""The input, segment, result and lesion sections clicked, on real MRML and a Qt stand-in: not in Slicer itself."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from result_phantoms import maskOf, paint
from section_checks import checkNothingIsCut
from slicer_phantoms import BLOCK_VOXELS, addCt, addHead, voxelVolumeMl
from stand_in.panel import click, clickCell, tick, waitForRun, waitUntil
from stand_in_cards import Card, Input, card
from StrokeSegApp import parameters, relabel, result_nodes
from StrokeSegApp import scene as app
from StrokeSegApp.progress import STAGE_SHARES, Progress
from test_loading import writeSeries, writeTwoBValues

from StrokeSegLib.models import list_models
from StrokeSegLib.report.measurements import perfusion_measures

CT = Card(id="ct", title="Blood on CT", inputs=(Input("ct"),), minimum_inputs=1)


def segmentations():
    return slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def run(openPanel, *behaviors):
    """The panel after a run of each model."""
    addHead("DWI")
    addHead("ADC")
    panel = openPanel(*[card(each) for each in behaviors])
    for behavior in behaviors:
        panel.ui.modelSelector.setCurrentIndex(panel.ui.modelSelector.findData(behavior))
        click(panel.ui.applyButton)
        waitForRun(panel)
    return panel


def milliliters(panel):
    return panel.ui.summaryLabel.text.split(": ")[1].split(" mL")[0]


# Input


def test_on_the_stand_in_the_card_of_each_bundled_model_is_short_honest_and_opens_its_description(
    openPanel, monkeypatch
):
    models = list_models()
    ui = openPanel(*models).ui
    opened = []
    monkeypatch.setattr(QtGui.QDesktopServices, "openUrl", opened.append)
    click(ui.modelCardButton)
    for model in models:
        ui.modelSelector.setCurrentIndex(ui.modelSelector.findData(model.id))
        text = ui.modelCardBrowser.toPlainText()
        assert "Research use only, not a medical device." in text
        assert "generated images alone" in text
        assert "License: Apache-2.0" in text
        assert "calibrated on generated" in text.partition("Known failures")[2]
        assert "|" not in text
        link = QtCore.QUrl(re.search(r'href="([^"]+)"', ui.modelCardBrowser.toHtml()).group(1))
        ui.modelCardBrowser.anchorClicked.emit(link)
        assert Path(opened[-1].toLocalFile()).samefile(model.folder / "README.md")
        assert ui.modelCardBrowser.toPlainText() == text


def test_on_the_stand_in_the_search_lists_models_that_fit_and_always_the_chosen_one(openPanel):
    ui = openPanel(card("bright"), card("two"), CT).ui
    assert ui.modelFilterEdit.visible
    listed = lambda: [ui.modelSelector.itemText(index) for index in range(ui.modelSelector.count)]  # noqa: E731
    assert listed() == ["Stand-in: bright", "Stand-in: two", "Blood on CT"]
    ui.modelFilterEdit.setText("hemorrhage")
    assert "Stand-in: two" in listed()
    assert len(listed()) == 2  # the chosen one stays
    ui.modelFilterEdit.setText("no such words")
    assert len(listed()) == 1


def test_on_the_stand_in_one_model_needs_no_search_line(openPanel):
    assert not openPanel().ui.modelFilterEdit.visible


def test_on_the_stand_in_the_model_says_what_it_finds_and_needs_and_shows_its_card(openPanel, tmp_path):
    from dataclasses import replace

    (tmp_path / "README.md").write_text(
        "# A model\nIt has **learned** little.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n![](../x.png)\n\n"
        "## Known failures\n- Small lesions.\n\n## More\nwords",
        encoding="utf-8",
    )
    ui = openPanel(replace(card("bright"), folder=tmp_path), card("two")).ui
    assert ui.modelNeedsLabel.text == "Finds: ischemic lesion\nNeeds: DWI, ADC map\nCan use: FLAIR"
    assert not ui.modelCardBrowser.visible
    click(ui.modelCardButton)
    assert ui.modelCardBrowser.visible
    assert ui.modelCardBrowser.toPlainText().split("\n") == [
        "It has learned little.",
        "Finds: ischemic lesion",
        "Needs: DWI, ADC map",
        "Can use: FLAIR",
        "License: none",
        "Known failures",
        "Small lesions.",
        "Open the whole description",
    ]
    ui.modelSelector.setCurrentIndex(1)
    assert "This model brings no description" in ui.modelCardBrowser.toPlainText()
    click(ui.modelCardButton)
    assert not ui.modelCardBrowser.visible


def test_on_the_stand_in_a_wrong_volume_is_told_before_apply_and_apply_is_off(openPanel):
    addCt("DWI")
    addHead("ADC")
    panel = openPanel()
    selector = panel.ui.dwiSelector
    selector.setCurrentIndex(selector.findText("DWI"))
    assert "looks like a CT" in panel.ui.checkLabel.text
    assert panel.ui.checkLabel.visible
    assert not panel.ui.applyButton.enabled


def test_on_the_stand_in_a_ct_is_found_by_its_values_when_its_name_says_nothing(openPanel):
    addHead("series 3")
    addCt("series 4")
    assert openPanel(CT).ui.ctSelector.currentNode().GetName() == "series 4"


def test_on_the_stand_in_a_dicom_folder_with_one_series_is_loaded_and_takes_its_role(openPanel, tmp_path):
    writeSeries(tmp_path, "ep2d trace", DiffusionBValue=1000.0)
    panel = openPanel()
    panel.input.openFolder(str(tmp_path))
    assert panel.ui.loadStatusLabel.text == "Loaded ep2d trace"
    assert panel.ui.dwiSelector.currentNode().GetName() == "ep2d trace"
    assert not panel.ui.seriesSelector.visible


def test_on_the_stand_in_several_series_are_listed_and_the_chosen_one_is_loaded(openPanel, tmp_path):
    folder = tmp_path / "case 1"
    writeSeries(folder / "a", "trace", slices=4)
    writeSeries(folder / "b", "ADC", slices=3)
    panel = openPanel()
    panel.input.openFolder(str(folder))
    ui = panel.ui
    assert ui.loadStatusLabel.text == "case 1 holds 2 series: choose one"
    texts = [ui.seriesSelector.itemText(index) for index in range(ui.seriesSelector.count)]
    assert sorted(texts) == ["ADC (MR, 3 images)", "trace (MR, 4 images)"]
    assert segmentations() == slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []
    ui.seriesSelector.setCurrentIndex(texts.index("ADC (MR, 3 images)"))
    click(ui.loadSeriesButton)
    assert ui.adcSelector.currentNode().GetName() == "ADC"


def test_on_the_stand_in_the_b_values_of_one_series_are_listed_the_highest_first(openPanel, tmp_path):
    writeTwoBValues(tmp_path / "case 1")
    panel = openPanel()
    ui = panel.ui
    panel.input.openFolder(str(tmp_path / "case 1"))
    assert ui.loadStatusLabel.text == "case 1 holds 2 volumes: choose one"
    texts = [ui.seriesSelector.itemText(index) for index in range(ui.seriesSelector.count)]
    assert texts == ["ep2d_diff b1000 (MR, 4 images)", "ep2d_diff b0 (MR, 4 images)"]
    ui.seriesSelector.setCurrentIndex(1)
    click(ui.loadSeriesButton)
    assert ui.dwiSelector.currentNode() is None  # a b0 is no DWI, though it is the active volume
    ui.seriesSelector.setCurrentIndex(0)
    click(ui.loadSeriesButton)
    assert ui.dwiSelector.currentNode().GetName() == "ep2d_diff b1000"


def test_on_the_stand_in_a_folder_or_file_that_cannot_be_read_gives_one_line(openPanel, tmp_path):
    panel = openPanel()
    panel.input.openFolder(str(tmp_path))
    assert "is empty" in panel.ui.loadStatusLabel.text
    panel.input.loadFile(str(tmp_path / "no.nii"))
    assert "does not exist" in panel.ui.loadStatusLabel.text
    panel.input.loadFile("")  # the dialog was closed


def test_on_the_stand_in_hidden_volumes_of_results_are_never_offered_or_guessed(openPanel):
    panel = run(openPanel, "bright")
    names = {panel.ui.flairSelector.itemText(index) for index in range(panel.ui.flairSelector.count)}
    assert names == {"None", "DWI", "ADC"}


@pytest.mark.parametrize("models", ["bright", "bundled"])
def test_on_the_stand_in_nothing_is_cut_where_a_user_works_most(openPanel, models, tmp_path):
    panel = run(openPanel, "bright") if models == "bright" else openPanel(*list_models())
    writeTwoBValues(tmp_path)
    panel.input.openFolder(str(tmp_path))
    checkNothingIsCut(panel)
    for index in range(panel.ui.modelSelector.count):
        panel.ui.modelSelector.setCurrentIndex(index)
        checkNothingIsCut(panel)


# Segment


def test_on_the_stand_in_the_chosen_device_goes_to_the_run_and_into_the_scene(openPanel, monkeypatch):
    addHead("DWI")
    addHead("ADC")
    panel = openPanel()
    asked = []
    start = panel.widget.logic.start

    def startAndTell(volumes, model, device):
        asked.append(device)
        return start(volumes, model, device)

    monkeypatch.setattr(panel.widget.logic, "start", startAndTell)
    assert panel.ui.deviceSelector.itemText(0) == "Automatic"
    index = panel.ui.deviceSelector.findData("cpu")
    panel.ui.deviceSelector.setCurrentIndex(index)
    panel.ui.deviceSelector.activated.emit(index)
    click(panel.ui.applyButton)
    assert not panel.ui.deviceSelector.enabled
    waitForRun(panel)
    assert asked == ["cpu"]
    assert panel.widget.logic.getParameterNode().GetParameter("device") == "cpu"


def test_on_the_stand_in_a_graphics_card_is_offered_where_its_driver_is(openPanel, monkeypatch):
    from StrokeSegApp.panels import segment

    monkeypatch.setattr(segment.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if name == "nvidia-smi" else None)
    monkeypatch.setattr(segment.sys, "platform", "linux")
    assert list(segment.devices()) == ["auto", "cpu", "cuda"]
    monkeypatch.setattr(segment.shutil, "which", lambda name: None)
    assert list(segment.devices()) == ["auto", "cpu"]
    monkeypatch.setattr(segment.sys, "platform", "darwin")
    for machine, devices in (("arm64", ["auto", "cpu", "mps"]), ("x86_64", ["auto", "cpu"])):
        monkeypatch.setattr(segment.platform, "machine", lambda machine=machine: machine)
        assert list(segment.devices()) == devices


@pytest.mark.parametrize(
    ("torch", "device", "hinted"), [(None, "auto", True), ("2.6", "auto", False), (None, "cpu", False)]
)
def test_on_the_stand_in_a_graphics_card_that_was_not_used_for_want_of_a_package_is_told(
    openPanel, monkeypatch, torch, device, hinted
):
    from StrokeSegApp.panels import segment

    monkeypatch.setattr(segment.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if name == "nvidia-smi" else None)
    monkeypatch.setattr(segment.dependencies, "torchVersion", lambda: torch)
    addHead("DWI")
    addHead("ADC")
    panel = openPanel()
    parameters.setDevice(panel.widget.logic.getParameterNode(), device)
    click(panel.ui.applyButton)
    waitForRun(panel)
    hint = "This computer has a graphics card (GPU): choose it as the device, and what it needs is installed."
    assert panel.ui.statusLabel.text.startswith("Done in ")
    assert (hint in panel.ui.statusLabel.text) == hinted


def test_on_the_stand_in_each_stage_of_a_run_has_words_and_its_part_and_time_where_they_are_known():
    from StrokeSegApp.panels.segment import _progressText

    for stage in STAGE_SHARES:
        assert _progressText(Progress(stage, 0, 1, None)) != stage
    assert _progressText(Progress("load", 0, 1, None)) == "Loading the model"
    assert _progressText(Progress("network", 3, 40, 150.0)) == "Looking for lesions: 3 of 40, 2 min left"
    assert _progressText(Progress("read", 1, 2, 0.4)) == "Reading: 1 of 2"


# Result


def test_on_the_stand_in_the_opacity_slider_changes_the_fill_and_at_zero_nothing_is_left(openPanel):
    panel = run(openPanel, "bright")
    display = segmentations()[0].GetDisplayNode()
    assert panel.ui.opacitySlider.value == 40
    panel.ui.opacitySlider.value = 70
    assert display.GetOpacity2DFill() == pytest.approx(0.7)
    panel.ui.opacitySlider.value = 0
    assert (display.GetOpacity2DFill(), display.GetOpacity2DOutline()) == (0, 0)


def test_on_the_stand_in_the_threshold_slider_relabels_without_a_run_and_the_button_goes_back(openPanel):
    panel = run(openPanel, "bright")
    ui = panel.ui
    assert ui.thresholdSlider.value == pytest.approx(0.4)
    assert not ui.thresholdResetButton.enabled
    found = milliliters(panel)
    assert found == f"{sum(BLOCK_VOXELS) * voxelVolumeMl('axial'):.2f}"
    ui.thresholdSlider.value = 0.1  # all of the head is at 0.2 or more
    waitUntil(panel, lambda: milliliters(panel) != found)
    assert panel.run is None
    assert milliliters(panel) == f"{10 * 14 * 12 * voxelVolumeMl('axial'):.1f}"
    assert ui.lesionTable.rowCount == 1
    assert ui.thresholdResetButton.enabled
    click(ui.thresholdResetButton)
    assert milliliters(panel) == found
    assert ui.thresholdSlider.value == pytest.approx(0.4)
    assert len(segmentations()) == 1


def test_on_the_stand_in_an_edited_result_keeps_its_edits_from_the_slider_and_says_so(openPanel):
    panel = run(openPanel, "bright")
    segmentation = segmentations()[0]
    volume = result_nodes.referenceOf(segmentation)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_1", volume)
    mask[0, 0, 0] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, "StrokeSeg_1", volume)
    panel.panel.update()
    assert not panel.ui.thresholdSlider.enabled
    assert panel.ui.thresholdNoteLabel.text == "Edited by hand: another threshold would undo the edits."
    assert panel.ui.thresholdResetButton.enabled


def editedRun(openPanel):
    """The panel after a run whose first segment a reader has painted into, and the mask as it is then."""
    panel = run(openPanel, "bright")
    (segmentation,) = segmentations()
    volume = result_nodes.referenceOf(segmentation)
    paint(segmentation, volume)
    panel.widget.enter()
    return panel, maskOf(segmentation, volume).copy()


def answering(monkeypatch, *answers):
    """What the user says to the next questions, and the list of what was asked."""
    asked, left = [], iter(answers)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: asked.append(text) or next(left))
    return asked


@pytest.mark.parametrize("button", ["thresholdResetButton", "undoButton"])
def test_on_the_stand_in_edits_are_lost_only_after_the_reader_was_asked(openPanel, monkeypatch, button):
    panel, edited = editedRun(openPanel)
    (segmentation,) = segmentations()
    assert "edited by hand" in getattr(panel.ui, button).toolTip
    asked = answering(monkeypatch, False, True)
    click(getattr(panel.ui, button))
    assert len(asked) == 1
    assert "edited by hand" in asked[0]
    np.testing.assert_array_equal(maskOf(segmentation, result_nodes.referenceOf(segmentation)), edited)
    click(getattr(panel.ui, button))
    kept = segmentations()
    assert kept == [] or maskOf(kept[0], result_nodes.referenceOf(kept[0])).sum() == edited.sum() - 1


def test_on_the_stand_in_nothing_is_asked_where_no_work_of_the_reader_is_lost(openPanel, monkeypatch):
    panel = run(openPanel, "bright")
    asked = answering(monkeypatch)
    assert "edited" not in panel.ui.undoButton.toolTip
    panel.ui.thresholdSlider.value = 0.1
    waitUntil(panel, lambda: panel.ui.thresholdResetButton.enabled)
    click(panel.ui.thresholdResetButton)
    click(panel.ui.undoButton)
    assert (asked, segmentations()) == ([], [])


def test_on_the_stand_in_3d_and_uncertainty_are_switched(openPanel):
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    panel = run(openPanel, "bright")
    segmentation = segmentations()[0]
    assert panel.ui.surfaceCheckBox.checked
    tick(panel.ui.surfaceCheckBox)
    assert not segmentation.GetDisplayNode().GetVisibility3D()
    composite = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")[0]
    tick(panel.ui.uncertaintyCheckBox)
    assert composite.GetForegroundVolumeID() == result_nodes.uncertaintyOf(segmentation).GetID()
    tick(panel.ui.uncertaintyCheckBox)
    assert composite.GetForegroundVolumeID() is None


def test_on_the_stand_in_the_window_buttons_set_the_volume_behind_the_slices(openPanel):
    panel = run(openPanel, "bright")
    display = result_nodes.referenceOf(segmentations()[0]).GetDisplayNode()
    for name, expected in (("Stroke", (40, 40)), ("Brain", (80, 40)), ("Blood", (200, 75))):
        click(getattr(panel.ui, f"window{name}Button"))
        assert (display.GetWindow(), display.GetLevel()) == expected
    click(panel.ui.windowDwiButton)
    assert display.GetWindowLevelMin() == pytest.approx(100)
    assert display.GetWindowLevelMax() == pytest.approx(400)  # the lesions' value: 31 of 1680 voxels, over 0.5 %


def test_on_the_stand_in_two_results_are_put_side_by_side_and_back(layout, openPanel):
    panel = run(openPanel, "bright", "empty")
    assert panel.ui.compareButton.visible
    assert panel.ui.resultSelector.currentNode() is segmentations()[1]
    assert panel.ui.compareSelector.currentNode() is segmentations()[0]
    before = layout.layout
    click(panel.ui.compareButton)
    assert layout.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView
    shown = [node.GetDisplayNode().GetViewNodeIDs() for node in segmentations()]
    assert shown == [(layout.slices["Yellow"].node.GetID(),), (layout.slices["Red"].node.GetID(),)]
    click(panel.ui.compareButton)
    assert layout.layout == before
    assert [node.GetDisplayNode().GetViewNodeIDs() for node in segmentations()] == [(), ()]


def test_on_the_stand_in_removing_one_of_two_compared_results_ends_the_comparison(layout, openPanel):
    panel = run(openPanel, "bright", "empty")
    before = layout.layout
    click(panel.ui.compareButton)
    slicer.mrmlScene.RemoveNode(segmentations()[0])
    assert layout.layout == before
    assert not panel.ui.compareButton.visible
    assert segmentations()[0].GetDisplayNode().GetViewNodeIDs() == ()


def test_on_the_stand_in_removing_a_result_shows_the_one_before_and_then_none(openPanel):
    panel = run(openPanel, "bright", "empty")
    assert panel.ui.summaryLabel.text == "No lesion found"
    click(panel.ui.undoButton)
    assert len(segmentations()) == 1
    assert panel.ui.summaryLabel.text.startswith("Ischemic lesion")
    click(panel.ui.undoButton)
    assert segmentations() == []
    assert not panel.ui.resultCollapsibleButton.visible
    assert not panel.ui.lesionsCollapsibleButton.visible
    assert [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")] == ["DWI", "ADC"]


def test_on_the_stand_in_the_chosen_result_decides_what_the_table_shows(openPanel):
    panel = run(openPanel, "bright", "empty")
    selector = panel.ui.resultSelector
    selector.setCurrentIndex(selector.findData(segmentations()[0].GetID()))
    assert panel.ui.summaryLabel.text.startswith("Ischemic lesion")
    assert panel.ui.compareSelector.currentNode() is segmentations()[1]


def test_on_the_stand_in_the_state_of_the_panel_comes_back_with_the_scene(openPanel, tmp_path):
    panel = run(openPanel, "bright", "two")
    panel.ui.opacitySlider.value = 60
    panel.ui.resultSelector.setCurrentIndex(panel.ui.resultSelector.findData(segmentations()[0].GetID()))
    relabel.relabel(segmentations()[0], 0.1)
    panel.panel.update()
    said = panel.ui.summaryLabel.text
    path = str(tmp_path / "case.mrb")
    assert slicer.mrmlScene.WriteToMRB(path, None)
    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.ReadFromMRB(path)
    assert panel.ui.summaryLabel.text == said
    assert panel.ui.thresholdSlider.value == pytest.approx(0.1)
    assert panel.ui.dwiSelector.currentNode().GetName() == "DWI"
    assert panel.ui.modelSelector.itemData(panel.ui.modelSelector.currentIndex) == "two"
    assert panel.ui.compareSelector.currentNode() is not None
    click(panel.ui.thresholdResetButton)
    assert panel.ui.thresholdSlider.value == pytest.approx(0.4)


# Lesions


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


# The module


def test_on_the_stand_in_reloading_the_module_leaves_a_working_panel(openPanel, module):
    from stand_in import ROOT, application

    panel = run(openPanel, "bright")
    said = panel.ui.summaryLabel.text
    panel.widget.cleanup()
    application.loadModule(ROOT / "StrokeSeg" / "StrokeSeg.py")
    again = openPanel(card("bright"))
    assert again.ui.summaryLabel.text == said
    click(again.ui.applyButton)
    waitForRun(again)
    assert len(segmentations()) == 2

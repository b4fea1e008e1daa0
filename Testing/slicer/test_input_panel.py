"""The input section clicked, on real MRML and a Qt stand-in: not in Slicer itself."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest
import slicer
import vtk
from panel_runs import CT, chosen, run, segmentations
from PySide6 import QtCore, QtGui, QtWidgets
from section_checks import checkNothingIsCut
from slicer_phantoms import addCt, addHead
from stand_in.panel import click
from stand_in_cards import card
from test_loading import writeSeries, writeTwoBValues

from StrokeSegLib.models import list_models


def test_on_the_stand_in_volumes_are_preselected_by_name(openPanel):
    addHead("ep2d_diff_ADC")
    addHead("ep2d_diff_TRACEW b1000")
    ui = openPanel().ui
    assert chosen(ui, "dwi") == "ep2d_diff_TRACEW b1000"
    assert chosen(ui, "adc") == "ep2d_diff_ADC"
    assert chosen(ui, "flair") is None
    assert ui.applyButton.enabled
    assert not ui.checkLabel.visible


def test_on_the_stand_in_the_active_volume_is_preselected_even_when_its_name_says_nothing(openPanel):
    addHead("series 4")
    active = addHead("series 5")
    slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(active.GetID())
    assert chosen(openPanel().ui, "dwi") == "series 5"


def test_on_the_stand_in_a_volume_that_is_loaded_later_fills_its_role_and_keeps_what_was_chosen(openPanel):
    panel = openPanel()
    first = addHead("my DWI")
    assert chosen(panel.ui, "dwi") == "my DWI"
    addHead("another DWI")
    addHead("my ADC")
    assert panel.ui.dwiSelector.currentNode() is first
    assert chosen(panel.ui, "adc") == "my ADC"
    assert panel.ui.applyButton.enabled


def test_on_the_stand_in_a_role_that_the_user_empties_stays_empty_and_one_whose_volume_is_deleted_does_not(openPanel):
    addHead("FLAIR")
    dwi = addHead("DWI")
    panel = openPanel()
    assert chosen(panel.ui, "flair") == "FLAIR"
    panel.ui.flairSelector.setCurrentIndex(panel.ui.flairSelector.findText("None"))
    slicer.mrmlScene.RemoveNode(dwi)
    assert chosen(panel.ui, "dwi") is None
    addHead("DWI 2")
    panel.widget.enter()
    assert chosen(panel.ui, "flair") is None
    assert chosen(panel.ui, "dwi") == "DWI 2"


def test_on_the_stand_in_the_same_volume_for_two_inputs_is_noticed(openPanel):
    node = addHead("x")
    panel = openPanel()
    for role in ("dwi", "adc"):
        selector = getattr(panel.ui, f"{role}Selector")
        selector.setCurrentIndex(selector.findData(node.GetID()))
    assert panel.ui.checkLabel.text == "The same volume is chosen for two inputs."
    assert not panel.ui.applyButton.enabled


def test_on_the_stand_in_a_removed_volume_leaves_its_role_empty_and_a_new_one_takes_it(openPanel):
    """Slicer's list of nodes shows the neighbor at once; nobody has chosen that as the ADC map."""
    panel = openPanel()
    addHead("DWI")
    adc = addHead("ADC")
    other = addHead("T1 mprage")
    ui = panel.ui
    assert (chosen(ui, "dwi"), chosen(ui, "adc")) == ("DWI", "ADC")
    slicer.mrmlScene.RemoveNode(adc)
    assert (chosen(ui, "dwi"), chosen(ui, "adc")) == ("DWI", None)
    slicer.mrmlScene.RemoveNode(other)
    assert chosen(ui, "adc") is None
    addHead("ADC again")
    assert (chosen(ui, "dwi"), chosen(ui, "adc")) == ("DWI", "ADC again")


def test_on_the_stand_in_dicom_tags_that_come_after_the_voxels_take_a_wrong_guess_back(openPanel):
    """Slicer's DICOM loader adds a volume, gives it voxels and then its place in the hierarchy with the tags."""
    panel = openPanel()
    volume = addHead("DWI")
    assert chosen(panel.ui, "dwi") == "DWI"
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", "CT")
    QtWidgets.QApplication.processEvents()
    assert chosen(panel.ui, "dwi") is None

    mine = addHead("my own choice")
    panel.ui.dwiSelector.setCurrentIndex(panel.ui.dwiSelector.findData(mine.GetID()))
    hierarchy.SetItemAttribute(hierarchy.CreateItem(hierarchy.GetSceneItemID(), mine), "DICOM.Modality", "CT")
    mine.GetImageData().Modified()
    QtWidgets.QApplication.processEvents()
    assert chosen(panel.ui, "dwi") == "my own choice"


def test_on_the_stand_in_a_removed_volume_leaves_memory(openPanel):
    openPanel()
    volume = addHead("T1 mprage")
    there = vtk.vtkWeakReference()
    there.Set(volume)
    QtWidgets.QApplication.processEvents()
    slicer.mrmlScene.RemoveNode(volume)
    del volume
    gc.collect()
    assert there.Get() is None


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

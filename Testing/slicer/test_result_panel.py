"""The segment and result sections clicked, on real MRML and a Qt stand-in: not in Slicer itself."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from panel_runs import milliliters, run, segmentations
from result_phantoms import maskOf, paint
from slicer_phantoms import BLOCK_VOXELS, addHead, voxelVolumeMl
from stand_in.panel import click, tick, waitForRun, waitUntil
from stand_in_cards import card
from StrokeSegApp import parameters, relabel, result_nodes
from StrokeSegApp.progress import STAGE_SHARES, Progress


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

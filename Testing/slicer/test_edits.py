"""The numbers of a result that a reader has edited by hand, on Slicer's own MRML and on the panel."""

from __future__ import annotations

import time

import numpy as np
import pytest
import slicer
from PySide6 import QtWidgets
from result_phantoms import LARGE, REST, addResultOf, maskOf, paint
from slicer_phantoms import BLOCK_VOXELS, GRIDS, addHead, addRotationTransform, voxelVolumeMl
from stand_in.panel import click, waitForRun
from StrokeSegApp import edits, relabel, result_nodes
from StrokeSegApp import scene as app

from StrokeSegLib.report.measurements import perfusion_measures

#: A corner of the head, away from both blocks: a lesion of its own.
CORNER = ((0, 0, 0), (0, 0, 1))
FULL_SIZE = (160, 512, 512)
#: Slicer's window may stand still for so long, of the processor.
MEASURE_S = 0.3


@pytest.mark.parametrize("grid", [*GRIDS, "turned"])
def test_an_edited_result_is_measured_as_it_is_now(scene, tmp_path, grid):
    node = addHead(grid="axial" if grid == "turned" else grid)
    if grid == "turned":
        node.SetAndObserveTransformNodeID(addRotationTransform().GetID())
    segmentation = addResultOf(tmp_path / "out", node)
    before = app.storedMeasurements(segmentation)
    paint(segmentation, node, CORNER)
    after = edits.remeasure(segmentation)
    voxel = voxelVolumeMl("axial" if grid == "turned" else grid)
    assert [one["volume_ml"] for one in after["lesions"]] == pytest.approx(
        [count * voxel for count in (*BLOCK_VOXELS, len(CORNER))], abs=1e-3
    )
    assert after["labels"][0]["lesion_count"] == 3
    assert after["total_volume_ml"] == pytest.approx((sum(BLOCK_VOXELS) + 2) * voxel, abs=1e-3)
    assert after["lesions"][:2] == before["lesions"]
    assert after["lesions"][2]["mean_probability"] == pytest.approx(REST)
    corner = np.mean([(*np.array(each)[::-1], 1) for each in CORNER], axis=0)
    toWorld = app._ijkToWorldRas(node)
    assert after["lesions"][2]["centroid_ras_mm"] == pytest.approx((toWorld @ corner)[:3], abs=0.06)
    assert app.storedMeasurements(segmentation) == after
    assert relabel.restore(segmentation) == before


def test_what_is_erased_is_no_longer_counted_and_what_is_drawn_outside_the_image_never(scene, tmp_path):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    mask = maskOf(segmentation, node) * 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, "StrokeSeg_1", node)
    after = edits.remeasure(segmentation)
    assert (after["lesions"], after["total_volume_ml"], after["labels"][0]["volume_ml"]) == ([], 0, 0)
    segmentation.GetSegmentation().RemoveSegment("StrokeSeg_1")
    assert edits.remeasure(segmentation)["lesions"] == []


def test_a_readers_own_marks_are_not_called_borderline_and_what_is_strange_about_the_input_stays(scene, tmp_path):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    paint(segmentation, node, CORNER)
    reasons = edits.remeasure(segmentation)["needs_review"]["reasons"]
    assert len(reasons) == 1
    assert "something was assumed" in reasons[0]
    assert REST < 0.7 < LARGE


def test_core_and_penumbra_of_an_edited_result_give_another_mismatch(scene, tmp_path):
    node = addHead()
    old = perfusion_measures(0.372, 0.0)
    segmentation = addResultOf(tmp_path / "out", node, system="ct-perfusion", perfusion=old)
    paint(segmentation, node, CORNER)
    after = edits.remeasure(segmentation)
    assert after["perfusion"] == perfusion_measures(after["total_volume_ml"], 0.0)
    assert after["perfusion"]["core_ml"] == pytest.approx(33 * voxelVolumeMl("axial"), abs=1e-3)


def test_without_the_hidden_volumes_the_old_numbers_stay(scene, tmp_path):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    before = app.storedMeasurements(segmentation)
    paint(segmentation, node, CORNER)
    scene.RemoveNode(result_nodes.asFound(segmentation)[0])
    assert edits.remeasure(segmentation) is None
    assert app.storedMeasurements(segmentation) == before


def test_an_edited_lesion_of_a_thin_slice_scan_is_measured_in_a_moment(scene, tmp_path):
    node = addHead(shape=FULL_SIZE)
    segmentation = addResultOf(tmp_path / "out", node)
    paint(segmentation, node)
    started = time.thread_time()
    edits.remeasure(segmentation)
    assert time.thread_time() - started < MEASURE_S


# On the panel


def editedPanel(openPanel):
    addHead("DWI")
    addHead("ADC")
    panel = openPanel()
    click(panel.ui.applyButton)
    waitForRun(panel)
    (segmentation,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    paint(segmentation, result_nodes.referenceOf(segmentation), CORNER)
    panel.widget.enter()  # back from the Segment Editor
    return panel, segmentation


def test_on_the_stand_in_summary_table_and_copy_follow_an_edit_and_say_so(openPanel, monkeypatch):
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda question: True)
    panel, segmentation = editedPanel(openPanel)
    total = 33 * voxelVolumeMl("axial")
    assert panel.ui.summaryLabel.text == f"Ischemic lesion: {total:.2f} mL in 3 lesions"
    assert panel.ui.lesionTable.rowCount == 3
    assert "Edited by hand: the numbers are of the segments as they are now." in panel.ui.notesLabel.text
    click(panel.ui.lesionCopyButton)
    lines = QtWidgets.QApplication.clipboard().text().splitlines()
    assert lines[-1] == "Edited by hand"
    assert float(lines[-2].split("\t")[1]) == pytest.approx(total, abs=1e-3)
    paint(segmentation, result_nodes.referenceOf(segmentation), ((0, 5, 5),))  # a second time
    panel.widget.enter()
    assert panel.ui.lesionTable.rowCount == 4
    click(panel.ui.thresholdResetButton)
    assert panel.ui.lesionTable.rowCount == 2
    assert "Edited" not in panel.ui.notesLabel.text


def test_on_the_stand_in_an_edit_that_cannot_be_measured_is_said(openPanel):
    panel, segmentation = editedPanel(openPanel)
    panel.widget.logic.getParameterNode().Modified()
    slicer.mrmlScene.RemoveNode(result_nodes.asFound(segmentation)[0])
    segmentation.SetAttribute(app.MEASUREMENTS_ATTRIBUTE, segmentation.GetAttribute(result_nodes.FOUND_ATTRIBUTE))
    panel.panel.update()
    assert panel.ui.lesionTable.rowCount == 2
    assert panel.ui.notesLabel.text.startswith("Edited by hand: the numbers are of the result before the edits.")


def test_on_the_stand_in_all_erased_is_not_the_models_word(openPanel):
    panel, segmentation = editedPanel(openPanel)
    volume = result_nodes.referenceOf(segmentation)
    mask = maskOf(segmentation, volume) * 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, "StrokeSeg_1", volume)
    panel.widget.enter()
    assert panel.ui.summaryLabel.text == "No lesion marked"

"""A threshold for each label, and what follows one: labels of one result, and the penumbra by its rule."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import slicer
from panel_runs import run, segmentations
from result_phantoms import CARD, LARGE, SMALL, probabilityOf, writeResult
from section_checks import checkNothingIsCut
from slicer_phantoms import BLOCK_VOXELS, addHead, voxelVolumeMl
from stand_in.panel import click, waitUntil
from stand_in_cards import Label
from StrokeSegApp import relabel, result_nodes
from StrokeSegApp import scene as app

from StrokeSegLib.io import write_image
from StrokeSegLib.report.measurements import perfusion_measures

CORE, BLOOD, PENUMBRA = 1, 2, 3
#: Late flow: around and over the larger block, and a speck of one voxel.
LATE_BOX = (slice(2, 9), slice(3, 12), slice(3, 11))
LATE_VOXELS = 7 * 9 * 8
SPECK = (0, 0, 0)


def maskOf(segmentation, value, node):
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, f"StrokeSeg_{value}", node)


def rewritten(out, entries):
    """measurements.json with other entries."""
    path = out / "measurements.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def addPerfusion(folder, node, delayed=True):
    """A result of ct-perfusion: the larger block is core at 0.5, the smaller one too; penumbra by the rule."""
    out = writeResult(folder, node, system="ct-perfusion", perfusion=perfusion_measures(0.372, 5.724))
    core = probabilityOf(node)
    labels = core.with_array((core.array > 0.5).astype(np.uint8))
    late = np.zeros(labels.array.shape, np.uint8)
    late[LATE_BOX] = late[SPECK] = 1
    labels.array[LATE_BOX][labels.array[LATE_BOX] == 0] = PENUMBRA
    (out / "probability.nii.gz").rename(out / "probability-ischemic-core.nii.gz")
    write_image(labels, out / "lesion.nii.gz")
    if delayed:
        write_image(labels.with_array(late), out / "delayed.nii.gz")
    lesion = {"volume_ml": 0.0, "lesion_count": 0}
    names = {CORE: "ischemic core", PENUMBRA: "penumbra"}
    rewritten(out, {"labels": [{"value": value, "name": name, **lesion} for value, name in names.items()]})
    card = replace(CARD, labels=tuple(Label(value, name) for value, name in names.items()))
    return result_nodes.bringIn(out, card, node, {}, {})[0]


def addTwoLabels(folder, node, **more):
    """Infarct (the larger block, 0.8) and hemorrhage (the smaller one, 0.6), each with its own probability."""
    out = writeResult(folder, node, **more)
    both = probabilityOf(node)
    for value, name in ((LARGE, "ischemic-lesion"), (SMALL, "hemorrhage")):
        own = np.where(both.array == np.float32(value), both.array, np.float32(0.05))
        write_image(both.with_array(own), out / f"probability-{name}.nii.gz")
    (out / "probability.nii.gz").unlink()
    labels = both.with_array(np.where(both.array == np.float32(SMALL), BLOOD, both.array > 0.5).astype(np.uint8))
    write_image(labels, out / "lesion.nii.gz")
    names = {CORE: "ischemic lesion", BLOOD: "hemorrhage"}
    entries = [{"value": value, "name": name, "volume_ml": 0.1, "lesion_count": 1} for value, name in names.items()]
    rewritten(out, {"labels": entries, "thresholds": {"1": 0.5, "2": 0.5}})
    card = replace(CARD, labels=tuple(Label(value, name) for value, name in names.items()))
    return result_nodes.bringIn(out, card, node, {}, {})[0]


@pytest.mark.parametrize(("threshold", "core"), [(0.7, BLOCK_VOXELS[0]), (0.9, 0)])
def test_what_is_core_no_longer_is_penumbra_where_flow_is_late(scene, tmp_path, threshold, core):
    node = addHead()
    segmentation = addPerfusion(tmp_path / "out", node)
    assert relabel.hindrance(segmentation) == ""
    assert relabel.remark(segmentation) == "The penumbra follows: a rule finds it, not the model."
    measurements = relabel.relabel(segmentation, threshold)
    assert maskOf(segmentation, CORE, node).sum() == core
    late = np.zeros(maskOf(segmentation, CORE, node).shape, bool)
    late[LATE_BOX] = True  # the speck is too small
    penumbra = maskOf(segmentation, PENUMBRA, node).astype(bool)
    np.testing.assert_array_equal(penumbra, late & (maskOf(segmentation, CORE, node) == 0))
    voxel = voxelVolumeMl("axial")
    perfusion = measurements["perfusion"]
    assert perfusion["core_ml"] == pytest.approx(core * voxel, abs=1e-3)
    assert perfusion["penumbra_ml"] == perfusion["mismatch_ml"] == pytest.approx((LATE_VOXELS - core) * voxel, abs=1e-3)
    assert [label["volume_ml"] for label in measurements["labels"]] == pytest.approx(
        [perfusion["core_ml"], perfusion["penumbra_ml"]]
    )
    assert measurements["thresholds"] == {"1": threshold}


def test_a_core_that_grows_takes_its_voxels_from_the_penumbra(scene, tmp_path):
    node = addHead()
    segmentation = addPerfusion(tmp_path / "out", node)
    found = maskOf(segmentation, PENUMBRA, node).copy()
    measurements = relabel.relabel(segmentation, 0.1)  # all of the head
    assert maskOf(segmentation, PENUMBRA, node).sum() == 0
    assert measurements["perfusion"]["mismatch_ml"] == 0
    relabel.restore(segmentation)
    np.testing.assert_array_equal(maskOf(segmentation, PENUMBRA, node), found)


def test_a_perfusion_result_without_its_late_region_says_in_one_line_why_there_is_no_threshold(scene, tmp_path):
    segmentation = addPerfusion(tmp_path / "out", addHead(), delayed=False)
    assert relabel.hindrance(segmentation) == (
        "This result came without the map of delayed flow that the penumbra is found on: press Apply again for another"
        " threshold."
    )


def test_the_late_region_goes_with_its_result_and_comes_back_with_the_scene(scene, tmp_path):
    node = addHead()
    segmentation = addPerfusion(tmp_path / "out", node)
    path = str(tmp_path / "case.mrb")
    assert scene.WriteToMRB(path, None)
    scene.Clear(0)
    assert scene.ReadFromMRB(path)
    (segmentation,) = segmentations()
    (node,) = (each for each in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if not each.GetHideFromEditors())
    relabel.relabel(segmentation, 0.9)
    assert maskOf(segmentation, PENUMBRA, node).sum() == LATE_VOXELS
    result_nodes.remove(segmentation)
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == [node]


def test_each_label_keeps_its_own_threshold(scene, tmp_path):
    node = addHead()
    segmentation = addTwoLabels(tmp_path / "out", node)
    assert relabel.choices(segmentation) == {CORE: "ischemic lesion", BLOOD: "hemorrhage"}
    measurements = relabel.relabel(segmentation, 0.7, BLOOD)
    assert measurements["thresholds"] == {"1": 0.5, "2": 0.7}
    assert [maskOf(segmentation, value, node).sum() for value in (CORE, BLOOD)] == [BLOCK_VOXELS[0], 0]
    relabel.relabel(segmentation, 0.9, CORE)
    assert [relabel.threshold(segmentation, value) for value in (CORE, BLOOD)] == [0.9, 0.7]
    assert [maskOf(segmentation, value, node).sum() for value in (CORE, BLOOD)] == [0, 0]
    relabel.relabel(segmentation, 0.5, BLOOD)
    assert [maskOf(segmentation, value, node).sum() for value in (CORE, BLOOD)] == [0, BLOCK_VOXELS[1]]
    assert app.storedMeasurements(segmentation)["thresholds"] == {"1": 0.9, "2": 0.5}


def test_what_three_planes_left_out_is_told_as_long_as_a_label_stands_at_the_runs_threshold(scene, tmp_path):
    left = {"lesions": 2, "volume_ml": 0.3}
    segmentation = addTwoLabels(tmp_path / "out", addHead(), system="three-projection", improbable=left)
    assert relabel.relabel(segmentation, 0.3, BLOOD)["improbable"] == left
    assert "improbable" not in relabel.relabel(segmentation, 0.3, CORE)


def test_all_labels_back_at_their_own_thresholds_are_the_result_as_found(scene, tmp_path):
    segmentation = addTwoLabels(tmp_path / "out", addHead())
    found = app.storedMeasurements(segmentation)
    relabel.relabel(segmentation, 0.7, BLOOD)
    assert relabel.relabel(segmentation, 0.5, BLOOD) == found


def test_on_the_stand_in_the_slider_moves_the_label_that_is_chosen_and_no_other(openPanel):
    panel = run(openPanel, "two")
    ui = panel.ui
    (segmentation,) = segmentations()
    assert [ui.thresholdLabelSelector.itemText(n) for n in range(2)] == ["Ischemic lesion", "Hemorrhage"]
    assert ui.thresholdLabelSelector.visible
    ui.thresholdLabelSelector.setCurrentIndex(1)
    ui.thresholdSlider.value = 0.9
    waitUntil(panel, lambda: relabel.threshold(segmentation, BLOOD) == 0.9)
    assert relabel.threshold(segmentation, CORE) == 0.4
    ui.thresholdLabelSelector.setCurrentIndex(0)
    assert ui.thresholdSlider.value == pytest.approx(0.4)
    ui.thresholdSlider.value = 0.1
    ui.thresholdLabelSelector.setCurrentIndex(1)  # at once, before the slider has rested
    waitUntil(panel, lambda: relabel.threshold(segmentation, CORE) == 0.1)
    assert relabel.threshold(segmentation, BLOOD) == 0.9
    assert ui.thresholdSlider.value == pytest.approx(0.9)
    checkNothingIsCut(panel)
    click(ui.thresholdResetButton)
    assert ui.thresholdLabelSelector.currentData == BLOOD
    assert [relabel.threshold(segmentation, value) for value in (CORE, BLOOD)] == [0.4, 0.4]


def test_on_the_stand_in_one_label_needs_no_choice(openPanel):
    assert not run(openPanel, "bright").ui.thresholdLabelSelector.visible

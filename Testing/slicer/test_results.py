"""A result in the scene, on Slicer's own MRML: what it adds, another threshold, edits, files, and the way out again."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import slicer
import vtk
from result_phantoms import CARD, LARGE, REST, SMALL, addResultOf, probabilityOf, writeResult
from slicer_phantoms import BLOCK_VOXELS, GRIDS, addHead, addRotationTransform, voxelVolumeMl
from StrokeSegApp import hidden_volumes, relabel, result_nodes, result_watch, views
from StrokeSegApp import scene as app

from StrokeSegLib.errors import InputError
from StrokeSegLib.postprocess import label_map

ALL_VOXELS = 10 * 14 * 12


def maskOf(segmentation, node):
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_1", node)


def algorithmType(segmentation):
    return result_watch.algorithmType(segmentation.GetSegmentation().GetSegment("StrokeSeg_1"))


def paint(segmentation, node, voxels=((0, 0, 0),)):
    """What the Segment Editor does: other voxels in the segment's labelmap."""
    mask = maskOf(segmentation, node).copy()
    for voxel in voxels:
        mask[voxel] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, "StrokeSeg_1", node)


def everyNode():
    return {slicer.mrmlScene.GetNthNode(index).GetID() for index in range(slicer.mrmlScene.GetNumberOfNodes())}


def addViews():
    for name in ("Red", "Green", "Yellow"):
        view = slicer.vtkMRMLSliceNode()
        view.SetName(name)
        view.SetLayoutName(name)
        slicer.mrmlScene.AddNode(view)
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetLayoutName(name)
        slicer.mrmlScene.AddNode(composite)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("transformed", [False, True])
def test_segments_and_hidden_volumes_lie_on_exactly_the_grid_of_the_input(scene, tmp_path, grid, transformed):
    node = addHead(grid=grid)
    if transformed:
        node.SetAndObserveTransformNodeID(addRotationTransform().GetID())
    segmentation = addResultOf(tmp_path / "out", node)
    assert maskOf(segmentation, node).sum() == sum(BLOCK_VOXELS)
    hidden = result_nodes.hiddenNodes(segmentation)
    assert len(hidden) == 3  # probability, uncertainty, as found
    for each in hidden:
        assert app.volumeFromNode(each).same_grid(app.volumeFromNode(node))  # nothing is 0 in these heads
        assert each.GetHideFromEditors()
    probability = result_nodes.probabilities(segmentation)[1]
    np.testing.assert_allclose(probability.array, probabilityOf(node).array, atol=1e-6)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("transformed", [False, True])
def test_of_what_is_mostly_zero_the_box_is_kept_and_lies_where_it_lay(scene, tmp_path, grid, transformed):
    node = addHead(grid=grid)
    if transformed:
        node.SetAndObserveTransformNodeID(addRotationTransform().GetID())
    given = probabilityOf(node)
    given.array[given.array == np.float32(REST)] = 0
    segmentation = addResultOf(tmp_path / "out", node)
    hidden_volumes.hide(segmentation, "StrokeSeg.Probability.1", node, given, "probability", boxed=True)
    kept = segmentation.GetNodeReference("StrokeSeg.Probability.1")
    part, whole = app.volumeFromNode(kept), app.volumeFromNode(node)
    assert part.array.shape == (6, 8, 6)  # from (3, 4, 2) to (8, 11, 7)
    index = np.array([2, 4, 3])  # first voxel i, j, k
    expected = np.array(whole.origin) + np.array(whole.direction) @ (np.array(whole.spacing_mm) * index)
    np.testing.assert_allclose(part.origin, expected, atol=1e-4)
    again = result_nodes.probabilities(segmentation)[1]
    assert again.same_grid(whole)
    np.testing.assert_array_equal(again.array, given.array)


def test_an_image_without_anything_is_kept_too(scene, tmp_path):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    nothing = probabilityOf(node).with_array(np.zeros_like(probabilityOf(node).array))
    hidden_volumes.hide(segmentation, "StrokeSeg.Probability.1", node, nothing, "probability", boxed=True)
    assert not result_nodes.probabilities(segmentation)[1].array.any()


def test_a_cropped_volume_gets_its_mask_on_its_own_voxels(scene, tmp_path):
    node = addHead(shape=(9, 13, 9))
    segmentation = addResultOf(tmp_path / "out", node)
    assert maskOf(segmentation, node).shape == (9, 13, 9)
    assert maskOf(segmentation, node).sum() == sum(BLOCK_VOXELS)


def test_the_result_is_named_by_volume_model_and_time_and_carries_its_provenance(scene, tmp_path):
    segmentation = addResultOf(tmp_path / "out", addHead("DWI b1000"))
    assert re.fullmatch(r"phantom \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, DWI b1000", segmentation.GetName())
    assert segmentation.GetAttribute("StrokeSeg.Model") == "phantom"
    assert segmentation.GetAttribute("StrokeSeg.Version") == "0.1"
    assert segmentation.GetAttribute("StrokeSeg.Sha256") == "ab" * 32
    measurements = app.storedMeasurements(segmentation)
    assert measurements["inputs"]["dwi"]["path"] == "/data/dwi.nii.gz"
    assert measurements["warnings"] == ["volume 'DWI b1000': something was assumed"]
    tag = vtk.mutable("")
    assert segmentation.GetSegmentation().GetSegment("StrokeSeg_1").GetTag("DICOM.SegmentAlgorithmName", tag)
    assert str(tag) == "StrokeSeg phantom 0.1"


def test_all_that_a_run_adds_lies_in_the_study_of_the_input(scene, tmp_path):
    node = addHead()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    study = hierarchy.CreateStudyItem(hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient"), "study")
    hierarchy.CreateItem(study, node)
    segmentation = addResultOf(tmp_path / "out", node)
    for each in (segmentation, *result_nodes.hiddenNodes(segmentation)):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(each)) == study


def test_two_results_of_one_volume_stand_beside_each_other(scene, tmp_path):
    node = addHead()
    first = addResultOf(tmp_path / "1", node)
    mask = maskOf(first, node)
    second = addResultOf(tmp_path / "2", node)
    relabel.relabel(second, 0.7)
    assert first.GetName() != second.GetName()
    np.testing.assert_array_equal(maskOf(first, node), mask)
    assert set(result_nodes.hiddenNodes(first)) & set(result_nodes.hiddenNodes(second)) == set()


def test_a_result_on_another_grid_adds_nothing(scene, tmp_path):
    node = addHead()
    out = writeResult(tmp_path / "out", node)
    node.SetOrigin(5, 0, 0)
    before = everyNode()
    with pytest.raises(InputError, match="changed its geometry"):
        result_nodes.bringIn(out, CARD, node, {}, {})
    assert everyNode() == before


# Another threshold


@pytest.mark.parametrize(
    ("threshold", "voxels"), [(0.7, BLOCK_VOXELS[0]), (0.3, sum(BLOCK_VOXELS)), (0.9, 0), (0.1, ALL_VOXELS)]
)
def test_another_threshold_marks_what_lies_above_it_and_measures_it(scene, tmp_path, threshold, voxels):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    measurements = relabel.relabel(segmentation, threshold)
    mask = maskOf(segmentation, node)
    assert mask.sum() == voxels
    np.testing.assert_array_equal(mask, label_map({1: probabilityOf(node)}, {1: threshold}, 0.0).array)
    assert measurements["total_volume_ml"] == pytest.approx(voxels * voxelVolumeMl("axial"), abs=1e-3)
    assert measurements["labels"][0]["volume_ml"] == measurements["total_volume_ml"]
    assert measurements == app.storedMeasurements(segmentation)
    assert measurements["thresholds"] == {"1": threshold}
    assert relabel.threshold(segmentation) == threshold
    assert algorithmType(segmentation) == "AUTOMATIC"


def test_the_table_follows_the_threshold_lesion_by_lesion(scene, tmp_path):
    segmentation = addResultOf(tmp_path / "out", addHead())
    lesions = relabel.relabel(segmentation, 0.7)["lesions"]
    assert [lesion["mean_probability"] for lesion in lesions] == [LARGE]
    assert [lesion["side"] for lesion in lesions] == ["right"]  # x from 10 to 14 mm, RAS: right of the plane x = 0
    assert relabel.relabel(segmentation, 0.9)["lesions"] == []
    assert REST < 0.3 < SMALL


def test_nothing_above_the_threshold_but_near_it_asks_for_a_look(scene, tmp_path):
    segmentation = addResultOf(tmp_path / "out", addHead())
    reasons = relabel.relabel(segmentation, 0.9)["needs_review"]["reasons"]
    assert any("no lesion found, but 31 voxels" in reason for reason in reasons)  # at 0.45 or more


def test_back_to_the_models_threshold_gives_exactly_what_was_found(scene, tmp_path):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    mask, measurements = maskOf(segmentation, node).copy(), app.storedMeasurements(segmentation)
    relabel.relabel(segmentation, 0.1)
    assert relabel.restore(segmentation) == measurements
    np.testing.assert_array_equal(maskOf(segmentation, node), mask)
    relabel.relabel(segmentation, 0.1)
    assert relabel.relabel(segmentation, 0.5) == measurements
    np.testing.assert_array_equal(maskOf(segmentation, node), mask)


def test_another_threshold_works_when_the_volume_itself_was_removed(scene, tmp_path):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    scene.RemoveNode(node)
    assert relabel.hindrance(segmentation) == ""
    relabel.relabel(segmentation, 0.7)
    found = result_nodes.asFound(segmentation)[0]
    assert maskOf(segmentation, found).sum() == BLOCK_VOXELS[0]


def test_another_threshold_renews_the_surface(scene, tmp_path):
    segmentation = addResultOf(tmp_path / "out", addHead())

    def height():
        surface = vtk.vtkPolyData()
        segmentation.GetClosedSurfaceRepresentation("StrokeSeg_1", surface)
        return surface.GetBounds()[5] - surface.GetBounds()[4]

    before = height()
    relabel.relabel(segmentation, 0.7)  # only the block of three slices is left
    assert height() < before


@pytest.mark.parametrize("system", ["ct-perfusion", "three-projection"])
def test_a_model_that_does_more_than_a_threshold_offers_none(scene, tmp_path, system):
    segmentation = addResultOf(tmp_path / "out", addHead(), system=system)
    assert "more than a threshold" in relabel.hindrance(segmentation)


def test_a_segmentation_of_others_offers_no_threshold(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    assert relabel.hindrance(node) != ""


# Edits


def test_an_edit_by_hand_makes_the_segment_semiautomatic_and_keeps_the_name_of_the_algorithm(scene, tmp_path):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    assert algorithmType(segmentation) == "AUTOMATIC"
    paint(segmentation, node)
    assert algorithmType(segmentation) == "SEMIAUTOMATIC"
    assert result_watch.isEdited(segmentation)
    assert "Edited by hand" in relabel.hindrance(segmentation)
    tag = vtk.mutable("")
    segmentation.GetSegmentation().GetSegment("StrokeSeg_1").GetTag("DICOM.SegmentAlgorithmName", tag)
    assert str(tag) == "StrokeSeg phantom 0.1"


def test_writing_the_same_voxels_again_or_renaming_is_no_edit(scene, tmp_path):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    paint(segmentation, node, ())
    segmentation.GetSegmentation().GetSegment("StrokeSeg_1").SetName("infarct")
    segmentation.GetDisplayNode().SetOpacity(0.3)
    assert algorithmType(segmentation) == "AUTOMATIC"


def test_an_added_segment_counts_as_edited_but_leaves_the_machines_own_as_it_is(scene, tmp_path):
    segmentation = addResultOf(tmp_path / "out", addHead())
    segmentation.GetSegmentation().AddEmptySegment("mine", "mine")
    assert result_watch.isEdited(segmentation)
    assert algorithmType(segmentation) == "AUTOMATIC"


def test_what_was_found_comes_back_after_an_edit_as_automatic(scene, tmp_path):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    paint(segmentation, node)
    relabel.restore(segmentation)
    assert maskOf(segmentation, node).sum() == sum(BLOCK_VOXELS)
    assert algorithmType(segmentation) == "AUTOMATIC"
    paint(segmentation, node)
    assert algorithmType(segmentation) == "SEMIAUTOMATIC"


def saveAndReload(scene, tmp_path):
    path = str(tmp_path / "case.mrb")
    assert scene.WriteToMRB(path, None)
    scene.Clear(0)
    assert scene.ReadFromMRB(path)
    segmentation = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0]
    return segmentation, result_nodes.referenceOf(segmentation)


@pytest.mark.parametrize("grid", ["axial", "oblique", "left_handed"])
def test_a_scene_file_keeps_the_result_and_an_edit_after_reading_is_noticed(scene, tmp_path, grid):
    addResultOf(tmp_path / "out", addHead(grid=grid))
    segmentation, node = saveAndReload(scene, tmp_path)
    assert algorithmType(segmentation) == "AUTOMATIC"
    assert not result_watch.isEdited(segmentation)
    assert maskOf(segmentation, node).sum() == sum(BLOCK_VOXELS)
    assert relabel.hindrance(segmentation) == ""
    relabel.relabel(segmentation, 0.7)
    assert maskOf(segmentation, node).sum() == BLOCK_VOXELS[0]
    relabel.restore(segmentation)
    assert maskOf(segmentation, node).sum() == sum(BLOCK_VOXELS)
    paint(segmentation, node)
    assert algorithmType(segmentation) == "SEMIAUTOMATIC"


def test_semiautomatic_survives_saving_and_reading(scene, tmp_path):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    paint(segmentation, node)
    segmentation, node = saveAndReload(scene, tmp_path)
    assert algorithmType(segmentation) == "SEMIAUTOMATIC"


# The way out


def test_undo_takes_out_all_that_the_run_added_and_brings_the_view_back(scene, tmp_path):
    addViews()
    other, node = addHead("other"), addHead("DWI")
    slicer.util.setSliceViewerLayers(background=other)
    app.jumpTo((7.0, 8.0, 9.0))
    app.loadTerminology()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    before, view, items = everyNode(), views.remember(), hierarchy.GetNumberOfItems()
    segmentation = addResultOf(tmp_path / "out", node)
    app.jumpTo((12.0, 10.0, 12.0))
    node.GetDisplayNode().SetWindowLevel(40, 40)
    assert views.shownVolumes() == [node]
    result_nodes.remove(segmentation)
    assert everyNode() == before
    assert views.shownVolumes() == [other]
    assert views.remember() == view
    assert hierarchy.GetNumberOfItems() == items


def test_deleting_the_segmentation_takes_its_hidden_volumes_along_and_no_others(scene, tmp_path):
    node = addHead()
    first, second = addResultOf(tmp_path / "1", node), addResultOf(tmp_path / "2", node)
    gone, stay = result_nodes.hiddenNodes(first), result_nodes.hiddenNodes(second)
    scene.RemoveNode(first)
    assert not any(scene.IsNodePresent(each) for each in gone)
    assert all(scene.IsNodePresent(each) for each in stay)
    assert scene.IsNodePresent(node)


def test_closing_the_scene_leaves_nothing_and_a_new_result_is_watched_again(scene, tmp_path):
    addResultOf(tmp_path / "1", addHead())
    scene.Clear(0)
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []
    node = addHead()
    segmentation = addResultOf(tmp_path / "2", node)
    paint(segmentation, node)
    assert algorithmType(segmentation) == "SEMIAUTOMATIC"


def test_existing_segmentations_hear_of_nothing(scene, tmp_path):
    node = addHead()
    mine = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn by hand")
    mine.CreateDefaultDisplayNodes()
    mine.GetSegmentation().AddEmptySegment("StrokeSeg_1", "mine")
    changed = []
    mine.GetSegmentation().AddObserver(vtk.vtkCommand.AnyEvent, lambda *_: changed.append(1))
    segmentation = addResultOf(tmp_path / "out", node)
    relabel.relabel(segmentation, 0.7)
    result_nodes.remove(segmentation)
    assert changed == []
    assert scene.IsNodePresent(mine)
    assert json.dumps(views.remember())  # plain values, as the attribute on the node needs them

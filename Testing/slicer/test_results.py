"""A result in the scene, on Slicer's own MRML: what it adds, edits, files, and the way out again."""

from __future__ import annotations

import json
import re
import tracemalloc

import numpy as np
import pytest
import slicer
import vtk
from result_phantoms import CARD, REST, addResultOf, algorithmType, maskOf, paint, probabilityOf, writeResult
from slicer_phantoms import BLOCK_VOXELS, GRIDS, addHead, addRotationTransform
from StrokeSegApp import hidden_volumes, relabel, result_nodes, result_watch, views
from StrokeSegApp import scene as app

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import write_image
from StrokeSegLib.io.box import boxed

ALL_VOXELS = 10 * 14 * 12


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
        assert hidden_volumes.whole(each).same_grid(app.volumeFromNode(node))
        assert each.GetHideFromEditors()
    for role in ("StrokeSeg.Probability.1", "StrokeSeg.Uncertainty"):  # nothing is 0 in these heads
        assert app.volumeFromNode(segmentation.GetNodeReference(role)).same_grid(app.volumeFromNode(node))
    np.testing.assert_array_equal(result_nodes.foundLabels(segmentation).array, maskOf(segmentation, node))
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
    hidden_volumes.hide(segmentation, "StrokeSeg.Probability.1", node, boxed(given), "probability")
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
    hidden_volumes.hide(segmentation, "StrokeSeg.Probability.1", node, boxed(nothing), "probability")
    assert not result_nodes.probabilities(segmentation)[1].array.any()


def test_building_a_result_uses_the_memory_of_its_boxes_and_no_more(scene, tmp_path):
    node = addHead(shape=(40, 128, 128))  # float32: 2.6 MB, of which a slice is 64 kB
    given = probabilityOf(node)
    given.array[given.array == np.float32(REST)] = 0
    given.array[5:25, 20:80, 30:70] = 0.1
    out = writeResult(tmp_path / "out", node)
    for name in ("lesion", "probability", "uncertainty"):
        image = given if name != "lesion" else given.with_array((given.array > 0.5).astype(np.uint8))
        (out / f"{name}.nii.gz").unlink()
        write_image(image, out / f"{name}.nii")  # uncompressed, as a run of our own writes it
    result_nodes.remove(result_nodes.bringIn(out, CARD, node, {}, {})[0])  # what is loaded once for all
    tracemalloc.start()
    try:
        segmentation, _ = result_nodes.bringIn(out, CARD, node, {}, {})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.2 * given.array.nbytes  # Python and numpy; what stays is Slicer's own:
    kept = {each.GetName(): each.GetImageData() for each in result_nodes.hiddenNodes(segmentation)}
    voxels = {name.rsplit(" ", 1)[1]: image.GetNumberOfPoints() for name, image in kept.items()}
    box = 22 * 76 * 68  # from (3, 4, 2), the corner of both blocks, to (24, 79, 69)
    assert voxels == {"probability": box, "uncertainty": box, "found": 6 * 8 * 6}
    segment = segmentation.GetBinaryLabelmapInternalRepresentation("StrokeSeg_1")
    assert segment.GetNumberOfPoints() == 6 * 8 * 6
    np.testing.assert_array_equal(result_nodes.probabilities(segmentation)[1].array, given.array)


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


def test_the_segmentation_lies_in_the_study_of_the_input_and_what_is_hidden_does_not(scene, tmp_path):
    """What lies in a study is written when that is exported to DICOM: probabilities would be scans of the patient."""
    node = addHead()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    study = hierarchy.CreateStudyItem(hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient"), "study")
    hierarchy.CreateItem(study, node)
    segmentation = addResultOf(tmp_path / "out", node)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(segmentation)) == study
    hidden = result_nodes.hiddenNodes(segmentation)
    assert hidden
    assert all(hierarchy.GetItemByDataNode(each) == hierarchy.GetInvalidItemID() for each in hidden)


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


def test_an_edit_elsewhere_is_noticed_when_the_scene_is_opened_in_the_place_of_another(scene, tmp_path):
    """As the application opens a scene file: closing and reading are one batch, which ends after both."""
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    result_watch._ownChanges += 1  # as if this module were not loaded
    paint(segmentation, node)
    result_watch._ownChanges -= 1
    assert algorithmType(segmentation) == "AUTOMATIC"
    assert scene.WriteToMRB(str(tmp_path / "case.mrb"), None)
    scene.StartState(scene.BatchProcessState)
    scene.Clear(0)
    assert scene.ReadFromMRB(str(tmp_path / "case.mrb"))
    scene.EndState(scene.BatchProcessState)
    segmentation = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0]
    assert algorithmType(segmentation) == "SEMIAUTOMATIC"


def test_what_others_watch_on_a_result_they_go_on_watching(scene, tmp_path):
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    heard = []
    segmentation.AddObserver(slicer.vtkSegmentation.SourceRepresentationModified, lambda *_: heard.append(1))
    result_watch.watch(segmentation)
    result_watch._onImported()
    paint(segmentation, node)
    assert heard
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

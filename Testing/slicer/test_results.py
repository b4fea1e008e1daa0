"""A result in the scene, on Slicer's own MRML: what it adds, another threshold, edits, files, and the way out again."""

from __future__ import annotations

import json
import re
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import slicer
import vtk
from result_phantoms import CARD, LARGE, REST, SMALL, addResultOf, probabilityOf, writeResult
from slicer_phantoms import BLOCK_VOXELS, GRIDS, addHead, addRotationTransform, voxelVolumeMl
from stand_in_cards import Label
from StrokeSegApp import hidden_volumes, relabel, result_nodes, result_watch, views
from StrokeSegApp import scene as app

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.io.box import boxed
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


def test_a_model_with_a_rule_offers_no_threshold_and_says_why_in_one_line(scene, tmp_path):
    labels = [{"value": 1, "name": "ischemic core"}, {"value": 3, "name": "penumbra"}]
    segmentation = addResultOf(tmp_path / "out", addHead(), system="ct-perfusion", changed={"labels": labels})
    assert relabel.hindrance(segmentation) == (
        "A rule finds the penumbra, without a probability: run the model again for another threshold."
    )


def test_a_lesions_probability_of_being_one_follows_the_threshold(scene, tmp_path):
    model = {"intercept": 1.0, "per_logit": 0.0, "per_log10_ml": 2.0}
    node = addHead()
    out = writeResult(tmp_path / "out", node)
    segmentation, _ = result_nodes.bringIn(out, replace(CARD, lesion_models={1: model}), node, {}, {})
    (lesion,) = relabel.relabel(segmentation, 0.7)["lesions"]
    odds = 1 + 2 * np.log10(BLOCK_VOXELS[0] * voxelVolumeMl("axial"))
    assert lesion["probability"] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-3)


# Three planes mark by more than a threshold

#: Of the smaller block: marked by the closing although its probability is low, and not marked although it is high.
CLOSED, LEFT_OUT = (8, 10, 2), (8, 11, 3)


def addProjected(folder, node, found=("ischemic lesion",)):
    """A result of three planes: marks that are nearly, but not quite, what lies above 0.5, and a class of the case."""
    out = writeResult(
        folder, node, system="three-projection", classification={"class": "ischemic lesion", "found": list(found)}
    )
    probability, labels = probabilityOf(node), read_image(out / "lesion.nii.gz").volume
    probability.array[CLOSED] = 0.4
    labels.array[LEFT_OUT] = 0
    write_image(probability, out / "probability.nii.gz")
    write_image(labels, out / "lesion.nii.gz")
    return result_nodes.bringIn(out, CARD, node, {}, {})[0], labels.array


def test_the_own_threshold_of_three_planes_marks_what_they_marked_bit_for_bit(scene, tmp_path):
    node = addHead()
    segmentation, marked = addProjected(tmp_path / "out", node)
    assert relabel.hindrance(segmentation) == ""
    assert relabel.threshold(segmentation) == 0.5
    assert (marked != (result_nodes.probabilities(segmentation)[1].array > 0.5)).sum() == 2
    relabel.relabel(segmentation, 0.7)
    assert maskOf(segmentation, node).sum() == BLOCK_VOXELS[0]
    relabel.relabel(segmentation, 0.5)
    np.testing.assert_array_equal(maskOf(segmentation, node), marked)
    almost = float(np.nextafter(np.float32(0.5), np.float32(0)))
    relabel.relabel(segmentation, almost)  # calculated, not put back: what was left out comes in, nothing else changes
    marked[LEFT_OUT] = 1
    np.testing.assert_array_equal(maskOf(segmentation, node), marked)


def test_a_higher_threshold_of_three_planes_only_takes_away_and_a_lower_one_only_adds(scene, tmp_path):
    node = addHead()
    segmentation, _marked = addProjected(tmp_path / "out", node)
    masks = []
    for threshold in (0.9, 0.7, 0.51, 0.5, 0.3, 0.1):
        relabel.relabel(segmentation, threshold)
        masks.append(maskOf(segmentation, node).astype(bool))
    assert [int(mask.sum()) for mask in masks] == [0, 27, 29, 30, 31, ALL_VOXELS]
    assert all((more | less == more).all() for less, more in pairwise(masks))


def test_a_class_that_the_classifier_denies_is_not_marked_at_any_threshold(scene, tmp_path):
    node = addHead()
    probability = probabilityOf(node)
    out = writeResult(tmp_path / "out", node, system="three-projection")
    measurements = json.loads((out / "measurements.json").read_text())
    measurements["labels"].append({"value": 2, "name": "hemorrhage", "volume_ml": 0.0, "lesion_count": 0})
    measurements["classification"] = {"class": "ischemic lesion", "found": ["ischemic lesion"]}
    measurements["thresholds"]["2"] = 0.5
    (out / "measurements.json").write_text(json.dumps(measurements))
    (out / "probability.nii.gz").rename(out / "probability-ischemic-lesion.nii.gz")
    blood = probability.with_array(np.full_like(probability.array, 0.45))
    write_image(blood, out / "probability-hemorrhage.nii.gz")
    two = replace(CARD, labels=(Label(1, "ischemic lesion"), Label(2, "hemorrhage")))
    segmentation, _ = result_nodes.bringIn(out, two, node, {}, {})
    assert relabel.remark(segmentation) == (
        "The model says that there is no hemorrhage: none is marked at any threshold."
    )
    relabel.relabel(segmentation, 0.3)
    assert slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_2", node).sum() == 0
    assert maskOf(segmentation, node).sum() == sum(BLOCK_VOXELS)


def test_no_pathology_at_all_offers_no_threshold(scene, tmp_path):
    node = addHead()
    out = writeResult(tmp_path / "out", node, system="three-projection", classification={"class": "none", "found": []})
    measurements = json.loads((out / "measurements.json").read_text())
    measurements["labels"][0]["lesion_count"] = 0
    (out / "measurements.json").write_text(json.dumps(measurements))
    segmentation, _ = result_nodes.bringIn(out, CARD, node, {}, {})
    assert "there is no pathology" in relabel.hindrance(segmentation)


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

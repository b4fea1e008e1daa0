"""Another threshold of a result in the scene, on Slicer's own MRML: marked, measured, and put back."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import slicer
import vtk
from result_phantoms import CARD, LARGE, REST, SMALL, addResultOf, algorithmType, maskOf, probabilityOf, writeResult
from slicer_phantoms import BLOCK_VOXELS, addHead, voxelVolumeMl
from stand_in_cards import Label
from StrokeSegApp import relabel, result_nodes
from StrokeSegApp import scene as app

from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.postprocess import label_map

ALL_VOXELS = 10 * 14 * 12


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


def test_the_mean_adc_of_a_lesion_follows_the_threshold_as_long_as_the_map_is_there(scene, tmp_path):
    value = {"role": "adc", "unit": "10⁻⁶ mm²/s", "scale": 2.0}
    segmentation = addResultOf(tmp_path / "out", addHead(), lesion_value=value)
    adc = addHead("ADC")
    result_nodes.keepValueImage(segmentation, {"adc": adc, "dwi": None})
    (lesion,) = relabel.relabel(segmentation, 0.7)["lesions"]
    assert lesion["mean_value"] == pytest.approx(2 * 400)
    result_nodes.remove(segmentation)
    assert scene.IsNodePresent(adc)  # it is the user's own
    segmentation = addResultOf(tmp_path / "again", addHead(), lesion_value=value)
    assert "mean_value" not in relabel.relabel(segmentation, 0.7)["lesions"][0]


def test_at_another_threshold_no_lesion_is_called_left_out(scene, tmp_path):
    segmentation = addResultOf(tmp_path / "out", addHead(), improbable={"lesions": 2, "volume_ml": 0.3})
    assert "improbable" not in relabel.relabel(segmentation, 0.3)
    assert relabel.restore(segmentation)["improbable"]["lesions"] == 2


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
        "The model says that there is no hemorrhage: none is marked at any threshold. "
        "The class of the case does not follow the threshold."
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

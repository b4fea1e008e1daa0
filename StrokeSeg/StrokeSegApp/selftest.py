"""What must hold in every Slicer: checked by StrokeSegTest in the application and by Testing/slicer outside it."""

from __future__ import annotations

import math
import unittest
from typing import Any

import numpy as np
import slicer

from StrokeSegApp import dependencies, scene
from StrokeSegApp.volume_nodes import addVolume

SHAPE_KJI = (12, 16, 14)
BLOCK = (slice(3, 6), slice(4, 8), slice(5, 7))
BLOCK_VOXELS = 3 * 4 * 2
SPACING_MM = (1.5, 1.5, 4.0)
TURN_DEGREES = 20.0
#: The generated head is an easy case; less means that something is wrong.
LEAST_DICE = 0.6


def addPhantom() -> Any:
    """An oblique volume node of 24 bright voxels (value 500) on 100; voxels of 1.5 x 1.5 x 4 mm."""
    array = np.full(SHAPE_KJI, 100, dtype=np.int16)
    array[BLOCK] = 500
    turn = math.radians(TURN_DEGREES)
    ijkToRas = np.eye(4)
    rotation = [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]]
    ijkToRas[:3, :3] = np.array(rotation) @ np.diag(SPACING_MM)
    ijkToRas[:3, 3] = (-10.0, 20.0, 30.0)
    node = slicer.util.addVolumeFromArray(array, slicer.util.vtkMatrixFromArray(ijkToRas), "StrokeSeg phantom")
    node.CreateDefaultDisplayNodes()
    return node


def checkSegmentationIsOnTheGridOfTheVolume() -> None:
    """A known mask becomes a segment on exactly the voxels, and of exactly the milliliters, that it had.

    Raises:
        AssertionError: It did not.
    """
    node = addPhantom()
    volume = scene.volumeFromNode(node)
    truth = volume.with_array((volume.array > 200).astype(np.uint8))
    segmentation = scene.addSegmentation(node, truth, {1: "Ischemic lesion"}, "StrokeSeg self test")
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_1", node)
    assert np.array_equal(mask, truth.array), "the segment is not on the voxels of the mask"
    volume_ml = mask.sum() * volume.voxel_volume_ml
    expected_ml = BLOCK_VOXELS * np.prod(SPACING_MM) / 1000
    assert abs(volume_ml - expected_ml) < 1e-6, f"{volume_ml} mL instead of {expected_ml} mL"


def checkJumpCentersTheSliceViews() -> None:
    """All slice views go to a position.

    Raises:
        AssertionError: One did not.
    """
    scene.jumpTo((11.0, -7.0, 23.0))
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        center = [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
        assert np.allclose(center, (11.0, -7.0, 23.0)), f"{view.GetName()} is at {center}"


def checkBundledModelFindsTheStroke(logic: Any) -> None:
    """The bundled model, run as a user runs it, finds the infarct of a generated head.

    Raises:
        AssertionError: It did not.
        unittest.SkipTest: The packages that a run needs are not installed; a test installs nothing.
    """
    missing = dependencies.missingRequirements()
    if missing:
        raise unittest.SkipTest(f"the bundled model was not run: {', '.join(missing)} not installed; press Apply once")
    from StrokeSegLib.demo import MODEL, demo_case

    case = demo_case()
    volumes = {role: addVolume(volume, f"StrokeSeg {role}") for role, volume in case.images.items()}
    segmentation, measurements = logic.segment(volumes, model=MODEL)
    assert measurements["model"] == MODEL
    assert measurements["lesions"], "the model found nothing"
    ids = segmentation.GetSegmentation().GetSegmentIDs()
    found = sum(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, each, volumes["dwi"]) > 0 for each in ids)
    truth = case.truth.array > 0
    overlap = 2 * np.count_nonzero((found > 0) & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))
    assert overlap > LEAST_DICE, f"the model and the truth overlap by {overlap:.2f} (Dice) only"
    measured_ml = sum(label["volume_ml"] for label in measurements["labels"])
    assert abs(np.count_nonzero(found) * case.truth.voxel_volume_ml - measured_ml) < 1e-3 * measured_ml


def runAll(logic: Any) -> None:
    """Every check, each on an empty scene; the one that may be skipped comes last."""
    for check in (checkSegmentationIsOnTheGridOfTheVolume, checkJumpCentersTheSliceViews):
        slicer.mrmlScene.Clear(0)
        check()
    slicer.mrmlScene.Clear(0)
    checkBundledModelFindsTheStroke(logic)

"""Result folders as ``strokeseg segment`` writes them, of a head whose probabilities are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from stand_in_cards import Card
from StrokeSegApp import result_nodes, result_watch, scene

from StrokeSegLib.io import write_image
from StrokeSegLib.measure import measure_lesions
from StrokeSegLib.report.measurements import ModelRecord, RunRecord, build_measurements, record_input

#: The probability of the larger and of the smaller block of slicer_phantoms.addHead, and of the rest of the head.
LARGE, SMALL, REST = 0.8, 0.6, 0.2
THRESHOLD = 0.5
CARD = Card(id="phantom", threshold=THRESHOLD)


def probabilityOf(node: Any) -> Any:
    """Per voxel of a head of addHead, as a Volume."""
    volume = scene.volumeFromNode(node)
    probability = np.full(volume.array.shape, REST, np.float32)
    probability[3:6, 4:7, 5:8] = LARGE
    probability[8:9, 10:12, 2:4] = SMALL
    return volume.with_array(probability)


def writeResult(
    out: Path,
    node: Any,
    system: str = "mri",
    uncertainty: bool = True,
    changed: Mapping[str, Any] | None = None,
    **more: Any,
) -> Path:
    """The result folder of a run on a head, threshold 0.5: lesions of 27 and 4 voxels.

    ``changed`` and ``more`` replace entries of measurements.json and add some.
    """
    out.mkdir(parents=True)
    probability = probabilityOf(node)
    labels = probability.with_array((probability.array > THRESHOLD).astype(np.uint8))
    plane = np.array([0.0, 0.0, 0.0])
    measurements = build_measurements(
        ModelRecord(CARD.id, CARD.version, "ab" * 32, system, {1: "ischemic lesion"}),
        {"dwi": record_input(out / "dwi.mha", probability)},
        measure_lesions(labels, {1: probability}, plane=plane),
        RunRecord("cpu", "stand-in", {"network": 1.0}, [f"{out / 'dwi.mha'}: something was assumed"]),
        more={"thresholds": {"1": THRESHOLD}, "midsagittal_plane_lps": plane.tolist(), **more},
    )
    measurements.update(changed or {})
    write_image(labels, out / "lesion.nii.gz")
    write_image(probability, out / "probability.nii.gz")
    if uncertainty:
        write_image(probability.with_array(1 - 2 * np.abs(probability.array - 0.5)), out / "uncertainty.nii.gz")
    (out / "measurements.json").write_text(json.dumps(measurements), encoding="utf-8")
    return out


def addResultOf(folder: Path, node: Any, **choices: Any) -> Any:
    """A result in the scene, brought in as after a run; gives the segmentation node."""
    out = writeResult(folder, node, **choices)
    return result_nodes.bringIn(out, CARD, node, {"dwi": node.GetName()}, {"dwi": "/data/dwi.nii.gz"})[0]


def maskOf(segmentation: Any, node: Any) -> Any:
    """Of the first label's segment, on the grid of the volume node."""
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_1", node)


def algorithmType(segmentation: Any) -> Any:
    return result_watch.algorithmType(segmentation.GetSegmentation().GetSegment("StrokeSeg_1"))


def paint(segmentation: Any, node: Any, voxels: Any = ((0, 0, 0),)) -> None:
    """What the Segment Editor does: other voxels in the segment's labelmap."""
    mask = maskOf(segmentation, node).copy()
    for voxel in voxels:
        mask[voxel] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, "StrokeSeg_1", node)

"""Another threshold without a new run: from the hidden probabilities, the way ``strokeseg segment`` goes from them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from StrokeSegApp import result_nodes, result_watch, scene
from StrokeSegLib.measure import measure_lesions
from StrokeSegLib.postprocess import label_map
from StrokeSegLib.report.measurements import (
    InputRecord,
    ModelRecord,
    RunRecord,
    build_measurements,
    reasons_for_review,
)
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.volume import Volume

#: What a threshold changes in the measurements; the rest says how the run was.
FOLLOWING = ("labels", "lesions", "total_volume_ml", "needs_review")


def hindrance(segmentation: Any) -> str:
    """Why another threshold cannot be had from this result without a new run; empty when it can."""
    measurements = scene.storedMeasurements(segmentation)
    if (
        measurements is None
        or not result_nodes.hasProbabilities(segmentation)
        or not result_nodes.asFound(segmentation)
    ):
        return _("This result came without its probabilities.")
    system = SYSTEMS.get(measurements["system"])
    if system is not None and (system.rule is not None or system.way == "projections"):
        return _("This model makes its findings by more than a threshold: run it again for another one.")
    if result_watch.isEdited(segmentation):
        return _("Edited by hand: another threshold would undo the edits.")
    return ""


def threshold(segmentation: Any) -> float:
    """The threshold that the segments stand for now, 0-1; that of the first label where they differ."""
    measurements = scene.storedMeasurements(segmentation) or {}
    return float(next(iter(measurements.get("thresholds", {}).values()), 0.5))


def relabel(segmentation: Any, newThreshold: float) -> dict[str, Any]:
    """Put the segments, and the measurements with them, to another threshold.

    Args:
        segmentation: A result without a ``hindrance``.
        newThreshold: For all labels, above 0 and below 1, as ``strokeseg segment --threshold`` takes it.

    Returns:
        The new measurements.
    """
    found = result_nodes.asFound(segmentation)
    assert found is not None
    if all(value == newThreshold for value in found[1].get("thresholds", {}).values()):
        return restore(segmentation)
    probability = result_nodes.probabilities(segmentation)
    thresholds = dict.fromkeys(probability, newThreshold)
    min_lesion_ml = float(segmentation.GetAttribute(result_nodes.MIN_LESION_ATTRIBUTE))
    labels = label_map(probability, thresholds, min_lesion_ml)
    measurements = _measured(found[1], labels, probability, thresholds)
    _put(segmentation, labels, measurements)
    return measurements


def restore(segmentation: Any) -> dict[str, Any]:
    """Put segments and measurements back to what the run gave, exactly; edits by hand are undone as well.

    Raises:
        InputError: The hidden volumes were changed or removed.
    """
    found = result_nodes.asFound(segmentation)
    assert found is not None
    node, measurements = found
    _put(segmentation, scene.volumeFromNode(node), measurements)
    for index in range(segmentation.GetSegmentation().GetNumberOfSegments()):
        segmentation.GetSegmentation().GetNthSegment(index).SetTag(result_watch.ALGORITHM_TYPE, result_watch.AUTOMATIC)
    return measurements


def _measured(
    found: dict[str, Any], labels: Volume, probability: dict[int, Volume], thresholds: dict[int, float]
) -> dict[str, Any]:
    """The measurements of the run with what follows from the new labels, as ``segment`` has them."""
    plane = found.get("midsagittal_plane_lps")
    lesions = measure_lesions(labels, probability, plane=None if plane is None else np.array(plane))
    anew = build_measurements(
        ModelRecord(
            found["model"],
            found["version"],
            found["sha256"],
            found["system"],
            {label["value"]: label["name"] for label in found["labels"]},
        ),
        {role: InputRecord(entry["path"], tuple(entry["shape"]), ()) for role, entry in found["inputs"].items()},
        lesions,
        RunRecord(found["device"], found["backend"], found["seconds"], found["warnings"]),
        review_reasons=reasons_for_review(lesions, found["warnings"], probability, thresholds),
    )
    changed = {key: anew[key] for key in FOLLOWING}
    return {**found, **changed, "thresholds": {str(value): t for value, t in thresholds.items()}}


def _put(segmentation: Any, labels: Volume, measurements: dict[str, Any]) -> None:
    """Write labels into the segments, each in its place, and keep the measurements."""
    grid = result_nodes.asFound(segmentation)
    assert grid is not None
    segments = segmentation.GetSegmentation()
    with result_watch.ownChange(segmentation):
        for label in measurements["labels"]:
            identifier = f"{scene.SEGMENT_PREFIX}{label['value']}"
            if segments.GetSegment(identifier) is None:
                continue  # removed by hand
            mask = (labels.array == label["value"]).astype(np.uint8)
            scene.writeSegment(segmentation, identifier, mask, grid[0])
    segmentation.SetAttribute(scene.MEASUREMENTS_ATTRIBUTE, json.dumps(measurements))

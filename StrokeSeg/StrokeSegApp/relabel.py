"""Another threshold without a new run: from the hidden probabilities, the way ``strokeseg segment`` goes from them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from StrokeSegApp import hidden_volumes, result_nodes, result_watch, scene
from StrokeSegLib.io.box import boxed
from StrokeSegLib.measure import Lesion, measure_lesions
from StrokeSegLib.postprocess import label_map
from StrokeSegLib.report.measurements import (
    InputRecord,
    ModelRecord,
    RunRecord,
    build_measurements,
    perfusion_measures,
    reasons_for_review,
)
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.systems.ct_perfusion import CORE, PENUMBRA
from StrokeSegLib.volume import Volume

#: What a threshold changes in the measurements; the rest says how the run was.
FOLLOWING = ("labels", "lesions", "total_volume_ml", "needs_review", "perfusion")


def hindrance(segmentation: Any) -> str:
    """Why another threshold cannot be had from this result without a new run; empty when it can."""
    found = result_nodes.asFound(segmentation)
    if found is None or not result_nodes.valuesWithProbability(segmentation):
        return _("This result came without its probabilities.")
    measurements = found[1]
    byRule = _byRule(measurements)
    if byRule and segmentation.GetNodeReference(result_nodes.REGION_ROLE) is None:
        return _(
            "This result came without the map of delayed flow that the {names} is found on: press Apply again for"
            " another threshold."
        ).format(names=byRule)
    if len(_denied(measurements)) == len(measurements["labels"]):
        return _("The model says that there is no pathology: it marks nothing at any threshold.")
    if result_watch.isEdited(segmentation):
        return _("Edited by hand: another threshold would undo the edits.")
    return ""


def remark(segmentation: Any) -> str:
    """What another threshold does not change, or changes as well; empty where there is nothing to say."""
    found = result_nodes.asFound(segmentation)
    names = ", ".join(_denied(found[1]).values()) if found is not None else ""
    text = _("The model says that there is no {names}: none is marked at any threshold.")
    denied = text.format(names=names) if names else ""
    byRule = _byRule(found[1]) if found is not None else ""
    ruled = _("The {names} follows: a rule finds it, not the model.").format(names=byRule) if byRule else ""
    # The classifier has limits of its own, from its calibration; the slider is for looking, not for another diagnosis.
    classed = found is not None and found[1].get("classification")
    kept = _("The class of the case does not follow the threshold.") if classed else ""
    return " ".join(part for part in (denied, ruled, kept) if part)


def choices(segmentation: Any) -> dict[int, str]:
    """Names, by value, of the labels that have a threshold of their own; none for a segmentation of others."""
    found = result_nodes.asFound(segmentation)
    if found is None:
        return {}
    probable = set(result_nodes.valuesWithProbability(segmentation)) - set(_denied(found[1]))
    return {label["value"]: label["name"] for label in found[1]["labels"] if label["value"] in probable}


def threshold(segmentation: Any, label: int | None = None) -> float:
    """The threshold, 0-1, that a label's segment stands for now; that of the first label when None."""
    thresholds = (scene.storedMeasurements(segmentation) or {}).get("thresholds", {})
    return float(thresholds.get(str(label), next(iter(thresholds.values()), 0.5)))


def relabel(segmentation: Any, newThreshold: float, label: int | None = None) -> dict[str, Any]:
    """Put the segments, and the measurements with them, to another threshold.

    Args:
        segmentation: A result without a ``hindrance``.
        newThreshold: Above 0 and below 1, as ``strokeseg segment --threshold`` takes it.
        label: Value of the one label that it is for, while the others keep theirs; all labels when None.

    Returns:
        The new measurements.
    """
    found = result_nodes.asFound(segmentation)
    assert found is not None
    start = found[1].get("thresholds", {})
    probability = result_nodes.probabilities(segmentation)
    thresholds = {
        value: newThreshold if label in (None, value) else threshold(segmentation, value) for value in probability
    }
    if all(start.get(str(value)) == each for value, each in thresholds.items()):
        return restore(segmentation)
    min_lesion_ml = float(segmentation.GetAttribute(result_nodes.MIN_LESION_ATTRIBUTE))
    labels = label_map(_marking(segmentation, found[1], probability), thresholds, min_lesion_ml)
    region, system = result_nodes.region(segmentation), SYSTEMS.get(found[1]["system"])
    if region is not None and system is not None and system.rule is not None:
        labels = system.rule(region, labels)
    measurements = _measured(segmentation, labels, probability, thresholds)
    _put(segmentation, labels, measurements)
    return measurements


def restore(segmentation: Any) -> dict[str, Any]:
    """Put segments and measurements back to what the run gave, exactly; edits by hand are undone as well.

    Raises:
        InputError: The hidden volumes were changed or removed.
    """
    found = result_nodes.asFound(segmentation)
    assert found is not None
    measurements = found[1]
    _put(segmentation, result_nodes.foundLabels(segmentation), measurements)
    for index in range(segmentation.GetSegmentation().GetNumberOfSegments()):
        segmentation.GetSegmentation().GetNthSegment(index).SetTag(result_watch.ALGORITHM_TYPE, result_watch.AUTOMATIC)
    return measurements


def _byRule(measurements: dict[str, Any]) -> str:
    """Names of the labels that a rule finds, without a probability; empty where there is none."""
    system = SYSTEMS.get(measurements["system"])
    values = system.rule_labels if system is not None else {}
    return ", ".join(label["name"] for label in measurements["labels"] if label["value"] in values)


def _denied(measurements: dict[str, Any]) -> dict[int, str]:
    """Names, by value, of the labels that the case has none of by the model's classifier, and that it left unmarked."""
    classification = measurements.get("classification")
    return {
        label["value"]: label["name"]
        for label in (measurements["labels"] if classification else ())
        if label["name"] not in classification["found"] and label["lesion_count"] == 0
    }


def _isJoined(measurements: dict[str, Any]) -> bool:
    """Whether three planes made the result."""
    system = SYSTEMS.get(measurements["system"])
    return system is not None and system.way == "projections"


def _marking(segmentation: Any, found: dict[str, Any], probability: dict[int, Volume]) -> dict[int, Volume]:
    """The probabilities, such that the run's own threshold marks exactly what the run marked.

    Three planes are joined, closed and judged by a classifier before they come onto the image's grid, so that a
    threshold on their probability gives nearly what they marked, but not quite. What they marked counts as above the
    run's threshold, all else as not above it: a lower threshold then only adds, a higher one only takes away.
    """
    if not _isJoined(found):
        return probability
    marked, denied, result = result_nodes.foundLabels(segmentation).array, _denied(found), {}
    for value, volume in probability.items():
        if value in denied:
            continue
        start = np.float32(found["thresholds"][str(value)])
        array, here = np.minimum(volume.array, start), marked == value
        array[here] = np.maximum(volume.array[here], np.nextafter(start, np.float32(1)))
        result[value] = volume.with_array(array)
    return result


def _measured(
    segmentation: Any, labels: Volume, probability: dict[int, Volume], thresholds: dict[int, float]
) -> dict[str, Any]:
    """The measurements of the run with what follows from the new labels, as ``segment`` has them."""
    _node, found = result_nodes.asFound(segmentation)
    models = result_nodes.lesionModels(segmentation)
    lesions = [
        replace(one, probability=models[one.label].probability(one.mean_probability, one.volume_ml))
        if one.label in models and one.mean_probability is not None
        else one
        for one in lesionsOf(segmentation, labels, probability)
    ]
    reasons = reasons_for_review(lesions, found["warnings"], probability, thresholds)
    # A threshold of one's own leaves no improbable lesion out; what three planes left out stays so at the run's own.
    keeps = _isJoined(found) and any(found["thresholds"].get(str(value)) == t for value, t in thresholds.items())
    run = {key: value for key, value in found.items() if key != "improbable" or keeps}
    return {**withLesions(run, lesions, reasons), "thresholds": {str(value): t for value, t in thresholds.items()}}


def lesionsOf(segmentation: Any, labels: Volume, probability: dict[int, Volume]) -> list[Lesion]:
    """The lesions of other labels than the run's, left and right as the run told them."""
    _node, found = result_nodes.asFound(segmentation)
    plane = found.get("midsagittal_plane_lps")
    return measure_lesions(
        labels,
        probability,
        plane=None if plane is None else np.array(plane),
        image=result_nodes.valueImage(segmentation, labels),
        image_scale=found.get("lesion_value", {}).get("scale", 1.0),
    )


def withLesions(found: dict[str, Any], lesions: list[Lesion], reasons: list[str]) -> dict[str, Any]:
    """The measurements of the run with other lesions, and with other reasons to look closely."""
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
        review_reasons=reasons,
    )
    if "perfusion" in found:
        ml = {label["value"]: label["volume_ml"] for label in anew["labels"]}
        anew["perfusion"] = perfusion_measures(ml.get(CORE, 0.0), ml.get(PENUMBRA, 0.0))
    return {**found, **{key: anew[key] for key in FOLLOWING if key in anew}}


def _put(segmentation: Any, labels: Volume, measurements: dict[str, Any]) -> None:
    """Write labels into the segments, each in its place, and keep the measurements."""
    found = result_nodes.asFound(segmentation)
    assert found is not None
    values = [label["value"] for label in measurements["labels"]]
    with result_watch.ownChange(segmentation):
        scene.writeLabels(segmentation, boxed(labels), values, hidden_volumes.wholeIjkToRas(found[0]))
    segmentation.SetAttribute(scene.MEASUREMENTS_ATTRIBUTE, json.dumps(measurements))

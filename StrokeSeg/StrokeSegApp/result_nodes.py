"""A result folder becomes nodes of the scene; a result leaves the scene again, as if it had never been.

A result is a segmentation node. With it, hidden, come the probability of each label (for another threshold without a
new run), the labels as they were found (for the way back), and the uncertainty where there is one. The segmentation
refers to them, so that they travel in a scene file and go when it goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from StrokeSegApp import result_watch, scene, views
from StrokeSegApp.hidden_volumes import hide, whole
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.io.box import BoxedImage, boxed, boxed_file
from StrokeSegLib.result_folder import REGION
from StrokeSegLib.uncertainty import LesionModel
from StrokeSegLib.volume import Volume

PROBABILITY_ROLE = "StrokeSeg.Probability."
UNCERTAINTY_ROLE = "StrokeSeg.Uncertainty"
FOUND_ROLE = "StrokeSeg.AsFound"
#: What a rule works in: late flow, of which the penumbra is a part.
REGION_ROLE = "StrokeSeg.Region"
#: The user's own image whose mean over a lesion is told (ADC, CT): unlike those above, it stays when the result goes.
VALUE_ROLE = "StrokeSegValue"
#: The measurements as the run gave them; those of ``scene.MEASUREMENTS_ATTRIBUTE`` follow the threshold.
FOUND_ATTRIBUTE = "StrokeSeg.MeasurementsAsFound"
MIN_LESION_ATTRIBUTE = "StrokeSeg.MinLesionMl"
#: How the model tells a lesion's probability of being one: weights by label value.
LESION_MODELS_ATTRIBUTE = "StrokeSeg.LesionModels"
VIEW_ATTRIBUTE = "StrokeSeg.ViewBefore"


def bringIn(
    out: Path, model: Any, reference: Any, names: Mapping[str, str], sources: Mapping[str, str]
) -> tuple[Any, dict[str, Any]]:
    """Add a result to the scene, on exactly the grid of the volume it was computed on, and show it.

    Args:
        out: Result folder of ``strokeseg segment``.
        model: Card of the model that ran.
        reference: Volume node of the first input.
        names: By role, what people call the inputs.
        sources: By role, where the inputs came from; the paths in the folder may be of temporary copies.

    Returns:
        The new segmentation node and the measurements.

    Raises:
        InputError: The reference no longer has the grid of the result, or a file is damaged; nothing was added.
        OSError: A file is missing.
        ValueError: measurements.json is no JSON.
    """
    measurements = json.loads((out / "measurements.json").read_text(encoding="utf-8"))
    labels = _boxed(_imageFile(out, "lesion"))
    probability = {label.value: _boxed(path) for label, path in _probabilityFiles(out, model)}
    uncertaintyFile = _imageFile(out, "uncertainty")
    unsure = _boxed(uncertaintyFile) if uncertaintyFile.is_file() else None
    regionFile = _imageFile(out, REGION)
    region = _boxed(regionFile) if regionFile.is_file() else None
    _nameInputs(measurements, names, sources)
    before = views.remember()
    algorithm = f"StrokeSeg {model.id} {model.version}"
    time = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
    segmentation = scene.addBoxedSegmentation(
        reference,
        labels,
        {label.value: label.name.capitalize() for label in model.labels},
        algorithm,
        f"{model.id} {time}, {reference.GetName()}",  # in a narrow list the end is cut off
    )
    try:
        for value, image in probability.items():
            hide(segmentation, PROBABILITY_ROLE + str(value), reference, image, "probability")
        if unsure is not None:
            hide(segmentation, UNCERTAINTY_ROLE, reference, unsure, "uncertainty")
        if region is not None:
            hide(segmentation, REGION_ROLE, reference, region, "delayed flow")
        hide(segmentation, FOUND_ROLE, reference, labels, "as found")
    except (InputError, OSError):
        remove(segmentation, restoreView=False)
        raise
    scene.storeMeasurements(segmentation, measurements)
    segmentation.SetAttribute(FOUND_ATTRIBUTE, json.dumps(measurements))
    segmentation.SetAttribute(MIN_LESION_ATTRIBUTE, repr(float(model.min_lesion_ml)))
    segmentation.SetAttribute(LESION_MODELS_ATTRIBUTE, json.dumps(model.lesion_models))
    segmentation.SetAttribute(VIEW_ATTRIBUTE, json.dumps(before))
    scene.showResult(segmentation, reference)
    result_watch.watch(segmentation)
    return segmentation, measurements


def remove(segmentation: Any, restoreView: bool = True) -> None:
    """Take a result out of the scene with all that came with it, and bring the views back as they were before it.

    Volumes, and segmentations of others, stay as they are.
    """
    before = segmentation.GetAttribute(VIEW_ATTRIBUTE) if restoreView else None
    hidden = hiddenNodes(segmentation)
    _removeWhole(segmentation)
    removeHidden(hidden)
    if before:
        views.restore(json.loads(before))


def removeHidden(nodes: list[Any]) -> None:
    """Remove the hidden volumes of a result that is gone."""
    for node in nodes:
        if slicer.mrmlScene.IsNodePresent(node):
            _removeWhole(node)


def hiddenNodes(segmentation: Any) -> list[Any]:
    """The hidden volumes that came with a result."""
    roles: list[str] = []
    segmentation.GetNodeReferenceRoles(roles)
    nodes = [segmentation.GetNodeReference(role) for role in roles if role.startswith("StrokeSeg.")]
    return [node for node in nodes if node is not None]


def probabilities(segmentation: Any) -> dict[int, Volume]:
    """The probability of each label that has one, on the grid of the input."""
    return {value: whole(node) for value, node in _ofLabels(segmentation)}


def valuesWithProbability(segmentation: Any) -> list[int]:
    """The labels that have one."""
    return [value for value, _node in _ofLabels(segmentation)]


def uncertainty(segmentation: Any) -> Volume | None:
    """Where the model is unsure, on the grid of the input."""
    node = uncertaintyOf(segmentation)
    return None if node is None else whole(node)


def region(segmentation: Any) -> Volume | None:
    """Where the rule of the result's system can mark something, on the grid of the input."""
    node = segmentation.GetNodeReference(REGION_ROLE)
    return None if node is None else whole(node)


def foundLabels(segmentation: Any) -> Volume:
    """The labels as the run gave them, on the grid of the input; only where there is ``asFound``."""
    return whole(segmentation.GetNodeReference(FOUND_ROLE))


def _ofLabels(segmentation: Any) -> list[tuple[int, Any]]:
    roles: list[str] = []
    segmentation.GetNodeReferenceRoles(roles)
    found = {role: segmentation.GetNodeReference(role) for role in roles if role.startswith(PROBABILITY_ROLE)}
    return [(int(role.removeprefix(PROBABILITY_ROLE)), node) for role, node in sorted(found.items()) if node]


def uncertaintyOf(segmentation: Any) -> Any:
    """The hidden volume node that says where the model is unsure, or None."""
    return segmentation.GetNodeReference(UNCERTAINTY_ROLE)


def asFound(segmentation: Any) -> tuple[Any, dict[str, Any]] | None:
    """The hidden volume node of the labels and the measurements as the run gave them; None without them."""
    node, text = segmentation.GetNodeReference(FOUND_ROLE), segmentation.GetAttribute(FOUND_ATTRIBUTE)
    return (node, json.loads(text)) if node is not None and text else None


def lesionModels(segmentation: Any) -> dict[int, LesionModel]:
    """By label value, what tells a lesion's probability of being one; empty where the model's card knows nothing."""
    stored = json.loads(segmentation.GetAttribute(LESION_MODELS_ATTRIBUTE) or "{}")
    return {int(value): LesionModel(**weights) for value, weights in stored.items()}


def referenceOf(segmentation: Any) -> Any:
    """The volume node that a result was computed on, or None when it was removed."""
    return segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())


def keepValueImage(segmentation: Any, volumes: Mapping[str, Any]) -> None:
    """Remember the image whose mean over each lesion is told, for other lesions than those of the run.

    Args:
        segmentation: The result.
        volumes: The run's volume nodes by role; one that is gone is None.
    """
    role = (scene.storedMeasurements(segmentation) or {}).get("lesion_value", {}).get("role")
    node = volumes.get(role)
    if node is not None:
        segmentation.SetNodeReferenceID(VALUE_ROLE, node.GetID())


def valueImage(segmentation: Any, grid: Volume) -> Volume | None:
    """That image; None where it is gone, or lies on another grid than the result."""
    node = segmentation.GetNodeReference(VALUE_ROLE)
    try:
        image = scene.volumeFromNode(node) if node is not None else None
    except InputError:  # emptied, or under a warp
        return None
    return image if image is not None and image.same_grid(grid) else None


def _probabilityFiles(out: Path, model: Any) -> Iterator[tuple[Any, Path]]:
    """As ``SegmentationResult.write`` names them; a label that is found by a rule has none."""
    for label in model.labels:
        suffix = "" if len(model.labels) == 1 else f"-{label.name.replace(' ', '-')}"
        path = _imageFile(out, f"probability{suffix}")
        if path.is_file():
            yield label, path


def _boxed(path: Path) -> BoxedImage:
    return boxed_file(path) or boxed(read_image(path).volume)


def _imageFile(out: Path, name: str) -> Path:
    """A run of our own writes .nii, which is read at once; a folder of the command line holds .nii.gz."""
    plain = out / f"{name}.nii"
    return plain if plain.is_file() else out / f"{name}.nii.gz"


def _nameInputs(measurements: dict[str, Any], names: Mapping[str, str], sources: Mapping[str, str]) -> None:
    """In place of the paths of temporary copies, which would say nothing: the sources, and in warnings the names."""
    inputs = measurements.get("inputs", {})
    warnings = measurements.get("warnings", [])
    for role, entry in inputs.items():
        spoken = _("volume '{name}'").format(name=names[role]) if role in names else entry["path"]
        warnings = [text.replace(entry["path"], spoken) for text in warnings]
        entry["path"] = sources.get(role, "")
    measurements["warnings"] = warnings


def _removeWhole(node: Any) -> None:
    """Remove a node with its item in the subject hierarchy, and its display and storage nodes, which would stay."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    if item:
        hierarchy.RemoveItem(item, False, False)  # neither its data, which is removed below, nor its children
    displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    for each in [node, *displays, node.GetStorageNode()]:
        if each is not None:
            slicer.mrmlScene.RemoveNode(each)

"""What is wrong with the chosen inputs, told before Apply, in one line with its cure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from StrokeSegApp import parameters, scene
from StrokeSegApp.input_roles import roleTitle
from StrokeSegApp.logic import missingInputs
from StrokeSegApp.panel_words import inPanelWords
from StrokeSegApp.volume_facts import factsOf
from StrokeSegLib.errors import InputError
from StrokeSegLib.preprocess.geometry import onto_reference
from StrokeSegLib.preprocess.intensity import check_modality, find_adc_unit
from StrokeSegLib.volume import Volume

#: The check of values and of overlap looks at about this many voxels along an axis: quick on any size of scan.
SAMPLES_AN_AXIS = 48
_remembered: dict[tuple[Any, ...], str] = {}
REMEMBERED = 64


def problemOf(parameterNode: Any, model: Any) -> str:
    """Why Apply cannot be pressed, with the cure; empty when it can.

    Args:
        parameterNode: Holds the volume of each role.
        model: Card of the chosen model, or None.
    """
    if model is None:
        return _("No model is installed.")
    chosen = parameters.inputVolumes(parameterNode, [each.role for each in model.inputs])
    missing = [roleTitle(role) for role in missingInputs(model, list(chosen))]
    if missing:
        return _("Choose a volume for: {roles}").format(roles=", ".join(missing))
    if len({volume.GetID() for volume in chosen.values()}) < len(chosen):
        return _("The same volume is chosen for two inputs.")
    key = tuple(_state(role, node) for role, node in chosen.items())
    if key not in _remembered:
        if len(_remembered) >= REMEMBERED:
            _remembered.clear()
        _remembered[key] = imageProblem(chosen)
    return _remembered[key]


def imageProblem(chosen: Mapping[str, Any]) -> str:
    """What the volumes themselves show to be wrong: geometry, kind of image, place; empty when nothing is.

    Args:
        chosen: A volume node for each role, the first one with the grid of the result.
    """
    volumes: dict[str, Volume] = {}
    for role, node in chosen.items():
        try:
            volumes[role] = scene.volumeFromNode(node)
            check_modality(volumes[role].array, factsOf(node).modality or None, role)
        except InputError as error:
            said, title = inPanelWords(str(error)), roleTitle(role)
            return said if said.startswith(title) else f"{title}: {said}"
    first = next(iter(volumes))
    coarse = {role: _coarse(volume) for role, volume in volumes.items()}
    for role, volume in coarse.items():
        try:
            onGrid = onto_reference(volume, coarse[first], role)
        except InputError:
            return _(
                "{role} and {first} do not overlap in space: choose images of one head, or register them first"
            ).format(role=roleTitle(role), first=roleTitle(first))
        if role == "adc" and "dwi" in coarse:
            problem = _adcProblem(onGrid, onto_reference(coarse["dwi"], coarse[first], "dwi"))
            if problem:
                return problem
    return ""


def _adcProblem(adc: Volume, dwi: Volume) -> str:
    try:
        find_adc_unit(adc.array.astype(np.float32), dwi.array.astype(np.float32))
    except InputError as error:
        return f"{roleTitle('adc')}: {error}"
    return ""


def _coarse(volume: Volume) -> Volume:
    """Every n-th voxel along each axis."""
    steps = [max(1, size // SAMPLES_AN_AXIS) for size in volume.size_ijk]
    i, j, k = steps
    spacing = tuple(step * mm for step, mm in zip(steps, volume.spacing_mm, strict=True))
    return Volume(volume.array[::k, ::j, ::i], spacing, volume.origin, volume.direction)


def _state(role: str, node: Any) -> tuple[Any, ...]:
    """Changes whenever the answer may: another node, other voxels, another geometry or transform."""
    image = node.GetImageData()
    transform = node.GetParentTransformNode()
    times = (
        image.GetMTime() if image else 0,
        node.GetMTime(),
        transform.GetTransformToWorldMTime() if transform else 0,
    )
    return (role, node.GetID(), node.GetName(), *times)

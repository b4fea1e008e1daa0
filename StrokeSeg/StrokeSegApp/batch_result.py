"""A case of a batch as nodes of the scene: its images, and the result as a run in the panel gives it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from StrokeSegApp.volume_nodes import addVolume
from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image


def modelOf(result: Path) -> str | None:
    """Id of the model that a result folder is of; None where it does not say."""
    try:
        measurements = json.loads((result / "measurements.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return measurements.get("model") if isinstance(measurements, dict) else None


def loadResult(out: Path, case: Case, model: Any, loadedId: str | None = None) -> Any:
    """The segmentation node of a case; one that is still in the scene is not loaded again.

    Args:
        out: Result folder of the batch.
        case: Its images are loaded, the model's first input as the reference.
        model: Card of the model that the batch ran.
        loadedId: Of the segmentation node of an earlier call.

    Raises:
        InputError: An image cannot be read any more.
    """
    from StrokeSegApp import result_nodes

    loaded = slicer.mrmlScene.GetNodeByID(loadedId) if loadedId else None
    if loaded is not None:
        return loaded
    roles = [each.role for each in model.inputs if each.role in case.images]
    if not roles:
        raise InputError(
            _("case {case} has no image that model '{model}' takes: choose the batch's own model").format(
                case=case.case_id, model=model.id
            )
        )
    names = {role: f"{case.case_id} {role.upper()}" for role in roles}
    volumes = {role: read_image(str(case.images[role])).volume for role in roles}  # all of them before the scene
    nodes = {role: addVolume(volume, names[role]) for role, volume in volumes.items()}
    sources = {role: str(case.images[role]) for role in roles}
    try:
        reader = model.reading(roles)
        segmentation, _measurements = result_nodes.bringIn(out / case.case_id, reader, nodes[roles[0]], names, sources)
        result_nodes.keepValueImage(segmentation, nodes)
    except BaseException:
        for node in nodes.values():
            slicer.mrmlScene.RemoveNode(node)
        raise
    return segmentation

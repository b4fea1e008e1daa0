"""The user's choices, kept in one parameter node of the scene: model, device, a volume for each role, results shown.

What belongs to a result, such as its threshold and its opacity, is kept with the result's own nodes instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MODEL = "model"
DEVICE = "device"
INPUT_PREFIX = "Input."
RESULT = "Result"
COMPARED = "Compared"
VIEW_BEFORE = "ViewBeforeSideBySide"
#: Invoked on the parameter node when a model was installed, trained or removed (above VTK's own user events).
MODELS_CHANGED_EVENT = 31001


def modelId(node: Any) -> str:
    """Id of the chosen model; empty when none was chosen."""
    return node.GetParameter(MODEL)


def setModelId(node: Any, identifier: str) -> None:
    node.SetParameter(MODEL, identifier)


def announceModelsChanged(node: Any) -> None:
    """Tell every panel that the list of installed models is another one now."""
    node.InvokeEvent(MODELS_CHANGED_EVENT)


def device(node: Any) -> str:
    """``auto``, ``cpu``, ``cuda`` or ``mps``, as the command line has them."""
    return node.GetParameter(DEVICE) or "auto"


def setDevice(node: Any, name: str) -> None:
    node.SetParameter(DEVICE, name)


def inputVolume(node: Any, role: str) -> Any:
    """The volume node chosen for a role, or None."""
    return node.GetNodeReference(INPUT_PREFIX + role)


def setInputVolume(node: Any, role: str, volume: Any) -> None:
    node.SetNodeReferenceID(INPUT_PREFIX + role, volume.GetID() if volume else None)


def inputVolumes(node: Any, roles: Sequence[str]) -> dict[str, Any]:
    """The chosen volume nodes by role, without the roles that have none."""
    chosen = {role: inputVolume(node, role) for role in roles}
    return {role: volume for role, volume in chosen.items() if volume is not None}


def result(node: Any) -> Any:
    """The segmentation node whose findings the panel shows, or None."""
    return node.GetNodeReference(RESULT)


def setResult(node: Any, segmentation: Any) -> None:
    node.SetNodeReferenceID(RESULT, segmentation.GetID() if segmentation else None)


def compared(node: Any) -> Any:
    """The segmentation node that is to be shown beside the result, or None."""
    return node.GetNodeReference(COMPARED)


def setCompared(node: Any, segmentation: Any) -> None:
    node.SetNodeReferenceID(COMPARED, segmentation.GetID() if segmentation else None)


def viewBefore(node: Any) -> str:
    """What the views showed before two results were put side by side; empty while they are not."""
    return node.GetParameter(VIEW_BEFORE)


def setViewBefore(node: Any, state: str) -> None:
    node.SetParameter(VIEW_BEFORE, state)

"""The user's choices, kept in one parameter node of the scene: model, a volume for each role, the last result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MODEL = "model"
INPUT_PREFIX = "Input."
RESULT = "Result"


def modelId(node: Any) -> str:
    """Id of the chosen model; empty when none was chosen."""
    return node.GetParameter(MODEL)


def setModelId(node: Any, identifier: str) -> None:
    node.SetParameter(MODEL, identifier)


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

"""How a network goes over an image: the system's defaults with what a model card says otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.precision import permitted_precisions
from StrokeSegLib.systems.base import System
from StrokeSegLib.systems.dpn92_constants import PAPER, DPN92Constants

#: constant: windows that overlap are averaged, as published. gaussian: the middle of a window counts more.
Blend = Literal["constant", "gaussian"]


@dataclass(frozen=True)
class InferenceSettings:
    """What ``inference_settings`` of a model card may hold.

    Attributes:
        neighbors: Slices on each side that a 2D network sees; None means the system's, or none where the network takes
            just the channels.
        crop_to_brain: Whether a 2D network sees the box around the brain with a margin, or whole slices.
        window: Size ``(k, j, i)`` of a 3D network's window, voxels.
        overlap: Part of a window that it shares with the next, 0 to below 1.
        blend: How windows that overlap are weighted.
        mirror: Whether each slice or window is averaged with its two mirror images; three times the work.
        projections: The constants of fusion and classifier of the three planes.
        precision: In which arithmetic the network may run, see ``precision``.
    """

    neighbors: int | None
    crop_to_brain: bool
    window: tuple[int, ...]
    overlap: float
    blend: Blend
    mirror: bool
    projections: DPN92Constants
    precision: tuple[str, ...]


def inference_settings(system: System, of_card: Mapping[str, Any]) -> InferenceSettings:
    """The settings of a model.

    Raises:
        InputError: A key is unknown or a value impossible.
    """
    known = [field.name for field in dataclasses.fields(InferenceSettings)]
    unknown = [key for key in of_card if key not in known]
    if unknown:
        raise InputError(f"inference_settings know no {', '.join(unknown)}; known: {', '.join(known)}")
    blend = of_card.get("blend", "gaussian")
    if blend not in get_args(Blend):
        raise InputError(f"inference_settings: unknown blend {blend!r}; known: {', '.join(get_args(Blend))}")
    window = tuple(int(n) for n in of_card.get("window", system.window))
    if system.way == "windows" and (len(window) != 3 or any(n < 1 or n % system.size_divisor for n in window)):
        raise InputError(
            f"inference_settings: window {list(window)} must have three sizes that are multiples of "
            f"{system.size_divisor}, as network {system.network} needs"
        )
    neighbors = of_card.get("neighbors")
    return InferenceSettings(
        None if neighbors is None else int(neighbors),
        bool(of_card.get("crop_to_brain", True)),
        window,
        float(of_card.get("overlap", system.overlap)),
        blend,
        bool(of_card.get("mirror", False)),
        _constants(of_card.get("projections", {})),
        permitted_precisions(of_card),
    )


def _constants(changed: Mapping[str, float]) -> DPN92Constants:
    """The published constants with a card's own numbers."""
    numbers = [field.name for field in dataclasses.fields(PAPER) if isinstance(getattr(PAPER, field.name), float)]
    unknown = [key for key in changed if key not in numbers]
    if unknown:
        raise InputError(f"inference_settings: projections know no {', '.join(unknown)}; known: {', '.join(numbers)}")
    own: dict[str, Any] = {key: float(value) for key, value in changed.items()}
    return dataclasses.replace(PAPER, **own)

"""Model cards with just what the module reads of one, and the command that stands in for the command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

STAND_IN_COMMAND = [sys.executable, str(Path(__file__).resolve().parent / "stand_in" / "command.py")]


@dataclass(frozen=True)
class Input:
    role: str
    required: bool = True


@dataclass(frozen=True)
class Label:
    value: int
    name: str


@dataclass(frozen=True)
class Card:
    id: str = "bright"
    title: str = "Bright spots"
    version: str = "0.1"
    licence: str = "none"
    folder: Path = Path("nowhere")
    threshold: float = 0.5
    min_lesion_ml: float = 0.0
    inputs: tuple[Input, ...] = (Input("dwi"), Input("adc"), Input("flair", required=False))
    minimum_inputs: int = 2
    labels: tuple[Label, ...] = (Label(1, "ischemic lesion"),)
    lesion_models: dict[int, dict[str, float]] = field(default_factory=dict)

    def reading(self, roles: object) -> Card:
        """No specialists."""
        return self


def card(behavior: str) -> Card:
    """A card whose id makes the stand-in command behave so."""
    labels = (Label(1, "ischemic lesion"), Label(2, "hemorrhage")) if behavior == "two" else Card.labels
    return replace(Card(), id=behavior, title=f"Stand-in: {behavior}", labels=labels)

"""``strokeseg models``: what is bundled."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    models = commands.add_parser("models", help="list the bundled models")
    models.add_argument("--json", action="store_true", help="as JSON")
    models.set_defaults(command=_models)


def _models(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.models import list_models

    cards = list_models()
    if arguments.json:
        print(json.dumps([card.summary() for card in cards], indent=2))
        return
    for card in cards:
        inputs = ", ".join(i.role + ("" if i.required else " (optional)") for i in card.inputs)
        labels = ", ".join(label.name for label in card.labels)
        print(
            f"{card.id}  {card.version}  {card.title}\n"
            f"    inputs: {inputs}\n    finds:  {labels}\n    card:   {card.folder}"
        )

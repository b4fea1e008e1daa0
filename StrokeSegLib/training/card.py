"""The card of a trained run: what goes into model.json and into the README.md beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError
from StrokeSegLib.systems import System

VERSION = "0.1.0"
GENERATED = "generated images"
RESEARCH_USE = "Research use only, not a medical device"


def build_card(
    system: System,
    run: dict[str, Any],
    checkpoint: dict[str, Any],
    networks: Sequence[dict[str, str]],
    model_id: str,
) -> dict[str, Any]:
    """The content of model.json, not calibrated yet.

    Args:
        run: Content of run.json.
        checkpoint: Of the first network, without its tensors.
        networks: Name, graph, weights and sha256 of each.

    Raises:
        InputError: ``model_id`` is no name for a model.
    """
    if not re.fullmatch("[a-z0-9-]+", model_id):
        raise InputError(f"a model's id has lower-case letters, digits and hyphens, got {model_id!r}; choose another")
    required, optional = system.inputs_for(checkpoint["prepare_settings"])
    labels = dict(sorted({**system.labels, **system.rule_labels}.items()))
    generated = run["data"].get("kind") == GENERATED
    width = checkpoint["network_settings"].get("width", 1)
    return {
        "id": model_id,
        "title": system.title,
        "version": VERSION,
        "system": system.name,
        # Whoever trains on own images says what the weights may be used for.
        "licence": "Apache-2.0" if generated else "NOASSERTION",
        "task": f"Segmentation of {' and '.join(system.labels.values())}",
        "description": f"{checkpoint['network']} at width {width:g}, trained with the preset {run['preset']}"
        + _beginning(run.get("init")),
        "authors": "The StrokeSeg contributors" if generated else "Not stated",
        "data_source": data_source(run["data"]),
        "intended_use": RESEARCH_USE,
        "references": [system.citation],
        "inputs": [{"role": role, "required": role in required} for role in (*required, *optional)],
        "minimum_inputs": max(system.minimum_inputs, len(required)),
        "labels": [{"value": value, "name": name} for value, name in labels.items()],
        "network": checkpoint["network"],
        "network_settings": checkpoint["network_settings"],
        "networks": list(networks),
        "temperature": 1.0,
        "threshold": 0.5,
        "min_lesion_ml": 0.0,
        "prepare_settings": checkpoint["prepare_settings"],
        "inference_settings": checkpoint["inference_settings"],
        "training": {"preset": run["preset"], "seed": run["seed"], "steps": checkpoint["step"]},
    }


def _beginning(init: str | None) -> str:
    """What a fine-tuned network began with; a model's name, never where on this disk it lay."""
    if init is None:
        return ""
    name = Path(init).name
    return ", beginning with " + ("another run's weights" if name.endswith(".pt") else f"the weights of {name}")


def data_source(data: dict[str, Any]) -> str:
    """One sentence about what a run was trained on; names no file and no case."""
    if data.get("kind") == GENERATED:
        heads = "procedural heads" if data.get("anatomy") == "procedural heads" else "head label maps"
        lesions = "procedural lesions" if data.get("lesions") == "procedural lesions" else "lesion masks"
        return f"Generated images only, made from {heads} and {lesions}"
    patients = f" of {data['patients']} patients" if "patients" in data else ""
    what = "prepared cases" if data.get("kind") == "prepared cases" else "cases"
    reviewed = ""
    if data.get("reviewed_cases"):
        people = f"{data['readers']} reader{'s' if data['readers'] > 1 else ''}"
        reviewed = (
            f"; the truth of {data['reviewed_cases']} was corrected or accepted in a review by {people} "
            f"(SHA-256 of the case table {data['table_sha256']})"
        )
    return f"{data.get('cases', 'An unknown number of')} {what}{patients}, images of the user's own{reviewed}"


def card_text(card: dict[str, Any], run: dict[str, Any], measured: Sequence[str] = ()) -> str:
    """README.md of a model folder.

    Args:
        measured: Sentences about what the calibration measured.
    """
    training, settings = card["training"], run["settings"]
    inputs = ", ".join(f"`{i['role']}`" + ("" if i["required"] else " (optional)") for i in card["inputs"])
    labels = ", ".join(f"{label['value']} = {label['name']}" for label in card["labels"])
    stopped = "" if training["steps"] >= settings["steps"] else f"; stopped early, {settings['steps']} were planned"
    lines = [
        f"# {card['id']}: {card['title']}",
        f"**{RESEARCH_USE}.** No real case with an expert's mask was measured by this export:",
        "do so with `strokeseg evaluate` before you read anything into its results.",
        "",
        "| | |",
        "|---|---|",
        f"| system | `{card['system']}`: {card['references'][0]} |",
        f"| network | {card['description']} |",
        f"| inputs | {inputs}; at least {card['minimum_inputs']} |",
        f"| output | {labels} |",
        f"| trained on | {card['data_source']} |",
        f"| training | preset {training['preset']}, seed {training['seed']}, {training['steps']} steps{stopped} |",
        f"| post-processing | temperature {card['temperature']:g}, threshold {_thresholds(card)}, "
        f"smallest lesion {card['min_lesion_ml']:g} mL |",
        f"| licence of the weights | {card['licence']} |",
        "",
        "Calibration: " + (" ".join(measured) if measured else "none; probabilities are the network's own."),
    ]
    notes = [f"- {each}" for each in run.get("notes", [])]
    return "\n".join([*lines, *(["", "## Notes of the training", *notes] if notes else [])]) + "\n"


def _thresholds(card: dict[str, Any]) -> str:
    own = card.get("thresholds", {})
    names = {str(label["value"]): label["name"] for label in card["labels"]}
    return ", ".join(f"{value:g} ({names[key]})" for key, value in own.items()) or f"{card['threshold']:g}"

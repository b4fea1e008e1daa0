"""Model folders: the card in model.json, its check, and the weights; nothing that can run code is ever loaded.

A model folder holds ``model.json`` (schema in Resources/Models/schema.json), ``weights.safetensors``, ``graph.onnx``
and ``README.md``. The SHA-256 of the weights stands in model.json and is checked before each use.

A model folder may hold further ones: a specialist in a subfolder reads the cases that bring all of its inputs. So a
model of any MR sequence can have a network of its own for DWI with ADC. No bundled model has one yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError
from StrokeSegLib.resources import models_folder

CARD = "model.json"


@dataclass(frozen=True)
class ModelInput:
    """An image that a model takes."""

    role: str
    required: bool


@dataclass(frozen=True)
class ModelLabel:
    """A structure that a model marks."""

    value: int
    name: str


@dataclass(frozen=True)
class ModelNetwork:
    """One network of a model: the file of its graph, the file of its weights and their SHA-256."""

    name: str
    graph: Path
    weights: Path
    sha256: str


@dataclass(frozen=True, eq=False)
class ModelCard:
    """What model.json says.

    Attributes:
        id, title, version, licence: As shown to people.
        system: Name in ``systems.SYSTEMS``.
        inputs, minimum_inputs, labels: What goes in and comes out.
        networks: One or several; ``sha256`` is that of the first one's weights.
        network: Key in ``networks.NETWORKS``; ``settings`` are its keyword arguments.
        temperature: The logits are divided by it, so that probabilities mean what they say.
        threshold: Probability from which a voxel counts as lesion.
        min_lesion_ml: Smaller pieces are dropped.
        folder: Where it lies.
        prepare_settings: Arguments of the system's ``prepare``.
        inference_settings: How the network goes over the image, see ``inference.settings``.
        thresholds: Label value -> threshold, for labels with one of their own.
        lesion_models: Label value -> the probability that a marked lesion is one.
        min_lesion_probability: Lesions less likely than this to be one, by the lesion models, are dropped where the
            model's own thresholds hold; 0 keeps all.
        specialists: Models in subfolders, for cases with certain inputs; see ``reading``.
    """

    id: str
    title: str
    version: str
    licence: str
    system: str
    inputs: tuple[ModelInput, ...]
    minimum_inputs: int
    labels: tuple[ModelLabel, ...]
    networks: tuple[ModelNetwork, ...]
    network: str
    settings: dict[str, Any]
    temperature: float
    threshold: float
    min_lesion_ml: float
    folder: Path
    prepare_settings: dict[str, Any] = field(default_factory=dict)
    inference_settings: dict[str, Any] = field(default_factory=dict)
    thresholds: dict[int, float] = field(default_factory=dict)
    lesion_models: dict[int, dict[str, float]] = field(default_factory=dict)
    min_lesion_probability: float = 0.0
    specialists: tuple[ModelCard, ...] = ()

    @property
    def sha256(self) -> str:
        """SHA-256 of the (first) weights file."""
        return self.networks[0].sha256

    @property
    def roles(self) -> tuple[str, ...]:
        """All input roles, in the model's order."""
        return tuple(i.role for i in self.inputs)

    def threshold_of(self, label: int) -> float:
        """The threshold of one label: its own, or the common one."""
        return self.thresholds.get(label, self.threshold)

    def reading(self, roles: Collection[str]) -> ModelCard:
        """What reads a case with these inputs: the specialist that needs most of them and lacks none, or the model.

        A specialist goes by the model's id, title and version; its weights and all that was calibrated are its own.
        """
        fitting = [one for one in self.specialists if one._needs <= set(roles)]
        if not fitting:
            return self
        chosen = max(fitting, key=lambda one: len(one._needs))
        return replace(chosen, id=self.id, title=self.title, version=self.version)

    def specialist_summary(self) -> dict[str, Any]:
        """The same of a specialist."""
        return {"reads": sorted(self._needs, key=self.roles.index), "sha256": self.sha256}

    @property
    def _needs(self) -> set[str]:
        return {i.role for i in self.inputs if i.required}

    @property
    def all_networks(self) -> tuple[ModelNetwork, ...]:
        """Its networks and those of its specialists."""
        return (*self.networks, *(network for one in self.specialists for network in one.all_networks))

    def summary(self) -> dict[str, Any]:
        """What ``strokeseg models --json`` prints."""
        return {
            "id": self.id,
            "title": self.title,
            "system": self.system,
            "inputs": [{"role": i.role, "required": i.required} for i in self.inputs],
            "minimum_inputs": self.minimum_inputs,
            "labels": [{"value": label.value, "name": label.name} for label in self.labels],
            "version": self.version,
            "licence": self.licence,
            "sha256": self.sha256,
            **({"specialists": [one.specialist_summary() for one in self.specialists]} if self.specialists else {}),
        }


def list_models(folder: Path | None = None) -> list[ModelCard]:
    """The models in a folder of model folders, by id; the bundled ones when no folder is given."""
    folder = models_folder() if folder is None else folder
    return [load_card(each) for each in _models_in(folder)]


def _models_in(folder: Path) -> list[Path]:
    """The model folders in a folder; hidden ones are on their way in or out."""
    return sorted(file.parent for file in folder.glob(f"*/{CARD}") if not file.parent.name.startswith("."))


def find_model(model_id: str) -> ModelCard:
    """A bundled model by its id, or the model in a folder when ``model_id`` is the path of one.

    Raises:
        InputError: No such model; the message lists the known ones.
    """
    if (Path(model_id) / CARD).is_file():
        return load_card(Path(model_id))
    cards = list_models()
    for card in cards:
        if card.id == model_id:
            return card
    known = ", ".join(card.id for card in cards) or "none"
    raise InputError(f"unknown model {model_id!r}; known: {known}; or give the path of a model folder")


def load_card(folder: Path) -> ModelCard:
    """Reads and checks model.json.

    Raises:
        InputError: The file is unreadable or lacks something.
    """
    file = folder / CARD
    try:
        d = json.loads(file.read_text(encoding="utf-8"))
        card = ModelCard(
            id=d["id"],
            title=d["title"],
            version=d["version"],
            licence=d["licence"],
            system=d["system"],
            inputs=tuple(ModelInput(i["role"], bool(i["required"])) for i in d["inputs"]),
            minimum_inputs=int(d["minimum_inputs"]),
            labels=tuple(ModelLabel(int(i["value"]), i["name"]) for i in d["labels"]),
            networks=tuple(
                ModelNetwork(n["name"], _inside(folder, n["graph"]), _inside(folder, n["weights"]), n["sha256"])
                for n in d["networks"]
            ),
            network=d["network"],
            settings=dict(d["network_settings"]),
            temperature=float(d["temperature"]),
            threshold=float(d["threshold"]),
            min_lesion_ml=float(d["min_lesion_ml"]),
            folder=folder,
            prepare_settings=dict(d.get("prepare_settings", {})),
            inference_settings=dict(d.get("inference_settings", {})),
            thresholds={int(value): float(t) for value, t in d.get("thresholds", {}).items()},
            lesion_models={int(value): dict(each) for value, each in d.get("lesion_models", {}).items()},
            min_lesion_probability=float(d.get("min_lesion_probability", 0.0)),
            specialists=tuple(load_card(each) for each in _models_in(folder)),
        )
        for one in card.specialists:
            _check_specialist(card, one)
        return card
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} is no valid model card ({type(error).__name__}: {error}); see Resources/Models/schema.json"
        ) from error


def _check_specialist(card: ModelCard, one: ModelCard) -> None:
    """A specialist marks what its model marks, from some of the inputs that its model takes."""
    if (one.system, one.labels) != (card.system, card.labels) or one.specialists:
        raise ValueError(f"{one.folder.name} in it must be of the same system and labels, with no models inside")
    if not one._needs or not one._needs <= set(card.roles):
        raise ValueError(f"{one.folder.name} in it must need some of the inputs {', '.join(card.roles)}")


def _inside(folder: Path, name: str) -> Path:
    """A file of the model folder; names that lead out of it are refused."""
    if Path(name).name != name:
        raise ValueError(f"{name!r} must be a plain file name")
    return folder / name


def check_weights(network: ModelNetwork) -> None:
    """Compares the weights file's SHA-256 with the card's.

    Raises:
        InputError: The file is missing or not the one that the card names.
    """
    try:
        digest = hashlib.sha256(network.weights.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(
            f"cannot read the weights {network.weights}: {error.strerror}; install the model again"
        ) from error
    if digest != network.sha256:
        raise InputError(
            f"the weights {network.weights} have SHA-256 {digest[:12]}…, the model card says {network.sha256[:12]}…; "
            "the file was changed or damaged: install the model again"
        )

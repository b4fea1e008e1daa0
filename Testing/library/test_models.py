"""Model folders: the card's check, the hash, and what is bundled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.backends import Choice, load_backend
from StrokeSegLib.models import check_weights, find_model, list_models, load_card
from StrokeSegLib.resources import models_folder, resources_folder
from StrokeSegLib.systems import SYSTEMS

BUNDLED = [card.id for card in list_models()]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the bundled mri model that a test may damage."""
    return Path(shutil.copytree(models_folder() / "mri", tmp_path / "mri"))


def test_mri_is_bundled() -> None:
    assert "mri" in BUNDLED


@pytest.mark.parametrize("model_id", BUNDLED)
def test_every_card_follows_the_schema_and_names_a_known_system(model_id: str) -> None:
    schema = json.loads((models_folder() / "schema.json").read_text(encoding="utf-8"))
    bundled = models_folder() / model_id
    for file in bundled.rglob("model.json"):
        card = json.loads(file.read_text(encoding="utf-8"))
        jsonschema.validate(card, schema)
        assert card["id"] == model_id
        assert card["system"] in SYSTEMS
    assert (bundled / "README.md").is_file()


@pytest.mark.parametrize("model_id", BUNDLED)
def test_every_bundled_model_is_whole_and_small(model_id: str) -> None:
    card = find_model(model_id)
    for network in card.all_networks:
        check_weights(network)
    size = sum(file.stat().st_size for file in card.folder.rglob("*") if file.is_file())
    assert size < 10e6


def test_all_models_together_fit_the_clone() -> None:
    assert sum(file.stat().st_size for file in resources_folder().rglob("*") if file.is_file()) < 40e6


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown model 'nothing'; known: .*mri"):
        find_model("nothing")


def test_the_path_of_a_model_folder_works_too(copy: Path) -> None:
    assert find_model(str(copy)).folder == copy


def test_changed_weights_are_refused(copy: Path) -> None:
    weights = copy / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-100] ^= 1
    weights.write_bytes(data)
    with pytest.raises(InputError, match=r"have SHA-256 .* the model card says .* install the model again"):
        load_backend(load_card(copy), Choice("openvino", "cpu"))


def test_missing_weights_are_refused(copy: Path) -> None:
    (copy / "weights.safetensors").unlink()
    with pytest.raises(InputError, match="cannot read the weights"):
        load_backend(load_card(copy), Choice("torch", "cpu"))


@pytest.mark.parametrize("damage", ["{", "{}", '{"id": 3}'])
def test_a_damaged_card_is_refused(copy: Path, damage: str) -> None:
    (copy / "model.json").write_text(damage)
    with pytest.raises(InputError, match="no valid model card"):
        load_card(copy)


def test_a_card_may_not_point_out_of_its_folder(copy: Path) -> None:
    card = json.loads((copy / "model.json").read_text(encoding="utf-8"))
    card["networks"][0]["weights"] = "../other.safetensors"
    (copy / "model.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="plain file name"):
        load_card(copy)

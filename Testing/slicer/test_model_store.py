"""The models that are installed: imported only when whole and safe, whole or not at all, and removed the same way."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import slicer
from StrokeSegApp import model_store

from StrokeSegLib.errors import InputError
from StrokeSegLib.models import find_model
from StrokeSegLib.resources import models_folder

#: Ids of the models that come with StrokeSeg, in the order of the list.
BUNDLED = sorted(folder.parent.name for folder in models_folder().glob("*/model.json"))


@pytest.fixture
def store(tmp_path):
    """An empty folder for the user's models; its name has spaces and accents."""
    return tmp_path / "Réglages de Jörg 脳" / "Models"


@pytest.fixture
def folder(tmp_path):
    """A good model folder, a copy of the bundled one under another id."""
    return copyOf("noncontrast-ct", tmp_path / "from elsewhere", "our-ct")


def copyOf(bundled, target, newId):
    shutil.copytree(models_folder() / bundled, target)
    edit(target, id=newId, title="Our own")
    return target


def edit(folder, **changes):
    file = folder / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def everythingIn(store):
    return sorted(path.name for path in store.rglob("*")) if store.is_dir() else []


def test_without_a_store_the_bundled_models_are_there_and_can_not_be_removed(store):
    models = model_store.installed(store)
    assert [model.folder for model in models] == [models_folder() / name for name in BUNDLED]
    assert all(model.bundled and model.sizeBytes > 1e6 for model in models)
    with pytest.raises(InputError, match="comes with StrokeSeg"):
        model_store.remove(models[0])
    assert (models_folder() / "mri" / "model.json").is_file()


def test_an_imported_model_is_listed_with_its_own_files_and_can_be_found_and_removed(store, folder):
    (folder / "notes.txt").write_text("not of the model")
    card = model_store.importModel(folder, store)
    assert card.folder == store / "our-ct"
    assert everythingIn(store) == sorted(["our-ct", "model.json", "graph.onnx", "weights.safetensors", "README.md"])
    assert [each.id for each in model_store.cards(store)] == [*BUNDLED, "our-ct"]
    model_store.verify(card)
    assert model_store.findModel("our-ct", store).title == "Our own"
    assert find_model(model_store.modelWord(card)).title == "Our own"  # what the worker will find
    assert model_store.modelWord(find_model("mri")) == "mri"
    model_store.remove(model_store.installed(store)[len(BUNDLED)])
    assert everythingIn(store) == []


def test_a_specialist_inside_comes_along_and_is_checked_like_the_model(store, folder):
    specialist = copyOf("noncontrast-ct", folder / "thin", "our-ct")
    (specialist / "notes.txt").write_text("not of the model")
    card = model_store.importModel(folder, store)
    assert [each.folder for each in card.specialists] == [store / "our-ct" / "thin"]
    own = ["model.json", "graph.onnx", "weights.safetensors", "README.md"]
    assert everythingIn(store) == sorted(["our-ct", *own, "thin", *own])
    model_store.remove(model_store.installed(store)[len(BUNDLED)])
    otherBytes(specialist)
    with pytest.raises(InputError, match="SHA-256"):
        model_store.importModel(folder, store)
    edit(specialist, threshold=2)
    with pytest.raises(InputError, match="threshold is 2"):
        model_store.importModel(folder, store)
    assert everythingIn(store) == []


def test_an_unknown_model_is_refused_with_the_known_ones(store, folder):
    model_store.importModel(folder, store)
    with pytest.raises(InputError, match=f"unknown model 'x'; known: {', '.join(BUNDLED)}, our-ct"):
        model_store.findModel("x", store)


def test_a_damaged_model_of_the_user_is_listed_with_what_is_wrong_and_the_others_stay_usable(store, folder):
    model_store.importModel(folder, store)
    (store / "our-ct" / "model.json").write_text("{")
    damaged = model_store.installed(store)[len(BUNDLED)]
    assert damaged.card is None
    assert "no valid model card" in damaged.problem
    assert [card.id for card in model_store.cards(store)] == BUNDLED
    model_store.remove(damaged)
    assert everythingIn(store) == []


def pickled(folder):
    (folder / "weights.safetensors").write_bytes(pickle.dumps({"weights": [1.0]}))


def truncated(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def otherBytes(folder):
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def torchFile(folder):
    os.rename(folder / "weights.safetensors", folder / "weights.pt")
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    edit(folder, networks=[{**card["networks"][0], "weights": "weights.pt"}])


def leadingOut(folder):
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    edit(folder, networks=[{**card["networks"][0], "graph": "../graph.onnx"}])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "model.json").unlink(), "holds no model.json"),
        (lambda folder: (folder / "model.json").write_bytes(b"\xff\xfe{"), "can not be read as JSON"),
        (lambda folder: edit(folder, id="../evil"), "id is '../evil'"),
        (lambda folder: edit(folder, threshold=2), "threshold is 2, needed: below 1"),
        (lambda folder: edit(folder, system="x-ray"), "of the system 'x-ray'"),
        (lambda folder: (folder / "graph.onnx").unlink(), "lacks graph.onnx"),
        (lambda folder: (folder / "weights.safetensors").unlink(), "can not be read"),
        (pickled, "no whole safetensors file"),
        (truncated, "no whole safetensors file"),
        (otherBytes, "SHA-256"),
        (torchFile, "weights.pt"),
        (leadingOut, "../graph.onnx"),
        (lambda folder: edit(folder, id="mri"), "'mri' is installed already"),
    ],
)
def test_a_bad_folder_is_refused_in_one_line_and_nothing_is_left(store, folder, damage, said):
    damage(folder)
    with pytest.raises(InputError) as refused:
        model_store.importModel(folder, store)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert everythingIn(store) == []


def test_a_second_import_of_the_same_id_leaves_the_first_as_it_is(store, folder):
    model_store.importModel(folder, store)
    edit(folder, title="Another")
    with pytest.raises(InputError, match="remove it first"):
        model_store.importModel(folder, store)
    assert model_store.findModel("our-ct", store).title == "Our own"


def test_a_disk_that_is_full_in_the_middle_leaves_nothing(store, folder, monkeypatch):
    def full(source, target):
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_store.shutil, "copyfile", full)
    with pytest.raises(InputError, match="disk full"):
        model_store.importModel(folder, store)
    assert everythingIn(store) == []


def test_a_file_that_is_in_use_as_on_windows_is_said_and_the_model_stays_whole(store, folder, monkeypatch):
    model_store.importModel(folder, store)

    def locked(source, target):
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    monkeypatch.setattr(model_store.os, "replace", locked)
    with pytest.raises(InputError, match=r"used by another process.*restart Slicer"):
        model_store.remove(model_store.installed(store)[len(BUNDLED)])
    model_store.verify(model_store.findModel("our-ct", store))


def test_an_import_that_was_killed_is_no_model(store, folder):
    shutil.copytree(folder, store / ".our-ct-1234")
    assert [card.id for card in model_store.cards(store)] == BUNDLED


def test_the_users_models_lie_beside_slicers_settings_and_outlive_the_extension():
    settings = Path(slicer.app.slicerUserSettingsFilePath)
    assert model_store.userFolder() == settings.parent / "StrokeSeg" / "Models"

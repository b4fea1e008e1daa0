"""From a run to a model that segments: card, provenance, several networks, calibration, other programs' formats."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
import pytest
import torch
from head_phantoms import ct_cases
from training_phantoms import tiny_cases, tiny_preset

from StrokeSegLib.case_table import write_case_table
from StrokeSegLib.cli import main
from StrokeSegLib.demo import demo_case
from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.backends import OpenVinoBackend, TorchBackend
from StrokeSegLib.models import load_card
from StrokeSegLib.networks import dpn92_unet, resnet50_unet
from StrokeSegLib.resources import models_folder
from StrokeSegLib.segmentation import segment
from StrokeSegLib.training.calibrate import KnownCase, as_card_keys, calibrate, fitted_temperature
from StrokeSegLib.training.export import export_run
from StrokeSegLib.training.loop import train

slow = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def shallow_networks() -> Iterator[None]:
    """One block a stage, because a deep network is traced for many seconds.

    What becomes of a run is looked at here; whole networks are exported in test_graph.py, test_export.py and
    test_end_to_end_training.py.
    """
    with pytest.MonkeyPatch.context() as patch:
        for network in (dpn92_unet, resnet50_unet):
            patch.setattr(network, "STAGE_BLOCKS", (1, 1, 1, 1))
        yield


def trained(folder: Path, system: str, name: str, *words: str) -> Path:
    return train(tiny_preset(system, name, "steps=1", *words), tiny_cases(system, name), folder / "run")


@pytest.fixture(scope="module")
def mri_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("mri"), "mri", "bundled")


@pytest.fixture(scope="module")
def mri_model(mri_run: Path) -> Path:
    return export_run(mri_run, mri_run.parent / "my-model").folder


def valid(folder: Path) -> dict[str, Any]:
    """The content of model.json, checked against the schema."""
    import jsonschema

    content: dict[str, Any] = json.loads((folder / "model.json").read_text())
    jsonschema.validate(content, json.loads((models_folder() / "schema.json").read_text()))
    return content


def test_the_card_says_where_the_model_comes_from(mri_model: Path) -> None:
    content = valid(mri_model)
    assert content["id"] == "my-model"
    assert content["training"] == {"preset": "bundled, modified", "seed": 1, "steps": 1, "checkpoint": "last"}
    assert [i["role"] for i in content["inputs"]] == ["dwi", "adc"]
    assert content["data_source"] == "3 prepared cases, images of the user's own"
    text = (mri_model / "README.md").read_text()
    assert "Research use only" in text
    assert "bundled, modified" in text
    assert content["data_source"] in text


def test_the_exported_weights_are_the_averaged_ones(mri_run: Path, mri_model: Path) -> None:
    checkpoint = torch.load(mri_run / "network" / "checkpoint.pt", weights_only=True)
    card = load_card(mri_model)
    seen = TorchBackend(card, "cpu")._net.state_dict()["head.weight"]
    assert torch.allclose(seen, checkpoint["average"]["head.weight"], atol=1e-3)
    assert not torch.equal(checkpoint["average"]["head.weight"], checkpoint["net"]["head.weight"])


def test_segment_takes_the_folder_and_both_backends_agree(mri_model: Path) -> None:
    case = demo_case()
    ours, theirs = (segment(case.images, str(mri_model), "cpu", backend=name) for name in ("openvino", "torch"))
    assert ours.measurements["model"] == "my-model"
    assert np.abs(ours.probability[1].array - theirs.probability[1].array).max() < 1e-3


@slow
def test_two_networks_of_a_run_become_two_networks_of_a_model(mri_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(mri_run, run)
    shutil.copytree(run / "network", run / "second")
    record = json.loads((run / "run.json").read_text())
    record["networks"]["second"] = {}
    (run / "run.json").write_text(json.dumps(record))
    checkpoint = torch.load(run / "second" / "checkpoint.pt", weights_only=True)
    checkpoint["average"]["head.bias"] += 1
    torch.save(checkpoint, run / "second" / "checkpoint.pt")
    card = export_run(run, tmp_path / "out", model_id="pair")
    valid(tmp_path / "out")
    assert [network.name for network in card.networks] == ["network", "second"]
    x = np.random.default_rng(0).standard_normal((1, 6, 32, 64)).astype(np.float32)
    one, two = (OpenVinoBackend(card, network).run(x) for network in card.networks)
    assert np.allclose(two - one, 1, atol=1e-4)

    with pytest.raises(InputError, match=r"already holds model\.json"):
        export_run(run, tmp_path / "out")
    other = {**checkpoint["network_settings"], "width": 0.125}
    torch.save(checkpoint | {"network_settings": other}, run / "second" / "checkpoint.pt")
    with pytest.raises(InputError, match="network second has another network_settings"):
        export_run(run, tmp_path / "third")


@pytest.mark.parametrize(
    ("system", "name"),
    [
        ("noncontrast-ct", "bundled"),
        pytest.param("noncontrast-ct", "paper", marks=slow),
        pytest.param("three-projection", "bundled", marks=slow),
    ],
)
def test_a_ct_run_becomes_a_model_that_segments(system: str, name: str, tmp_path: Path) -> None:
    card = export_run(trained(tmp_path, system, name), tmp_path / "model")
    content = valid(card.folder)
    assert content["training"]["preset"] == f"{name}, modified"
    (case,) = ct_cases(tmp_path, [1])
    result = segment({"ct": case.images["ct"]}, str(card.folder), "cpu")
    assert set(result.probability) == {label.value for label in card.labels}


@slow
def test_a_perfusion_run_becomes_a_model_with_optional_inputs(tmp_path: Path) -> None:
    card = export_run(trained(tmp_path, "ct-perfusion", "bundled"), tmp_path / "model")
    content = valid(card.folder)
    assert [label["value"] for label in content["labels"]] == [1, 3]
    assert content["minimum_inputs"] >= 1


def test_a_folder_without_a_run_or_without_weights_is_refused(mri_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        export_run(tmp_path, tmp_path / "out")
    shutil.copy(mri_run / "run.json", tmp_path)
    with pytest.raises(InputError, match="no trained network yet"):
        export_run(tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="lower-case"):
        export_run(mri_run, tmp_path / "out", model_id="My Model")
    assert not (tmp_path / "out").exists()


def test_the_temperature_is_the_one_that_made_the_probabilities_wrong() -> None:
    # 200,000 voxels that are lesion with probability p; a network twice as sure says sigmoid(2 logit(p)).
    rng = np.random.default_rng(0)
    p = rng.uniform(0.02, 0.98, 200_000)
    y = rng.random(p.size) < p
    stated = 1 / (1 + ((1 - p) / p) ** 2)
    assert fitted_temperature(stated, y) == pytest.approx(2, abs=0.03)


def test_calibration_writes_what_the_system_reads(mri_model: Path) -> None:
    case = demo_case()
    card = load_card(mri_model)
    found = calibrate(card, {"network": OpenVinoBackend(card)}, [KnownCase(case.images, case.truth)], lambda *_: None)
    assert found.cases == 1
    assert found.dice_post >= found.dice_raw - 1e-9 or found.temperature != 1
    assert as_card_keys(found, {"system": "mri"})["threshold"] == found.thresholds[1]
    two = replace(found, thresholds={1: 0.4, 2: 0.6}, min_lesion_ml=0.01)
    keys = as_card_keys(two, {"system": "three-projection", "inference_settings": {"crop_to_brain": False}})
    assert keys["inference_settings"] == {
        "crop_to_brain": False,
        "projections": {
            "k_axial": 0.4,
            "k_coronal": 0.4,
            "k_sagittal": 0.4,
            "hemorrhagic_k": 0.6,
            "vpred_above": 1.5,
        },
    }
    assert as_card_keys(replace(two, thresholds={1: 0.4, 2: 0.6}), {"system": "noncontrast-ct"})["thresholds"] == {
        "1": 0.4,
        "2": 0.6,
    }


def test_the_command_exports_and_calibrates_a_run(
    mri_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", "--model", str(mri_run), "--format", "model", "--out", str(tmp_path / "m")]
    assert main([*words, "--calibrate", "synth", "--cases", "1", "--id", "mine"]) == 0
    content = valid(tmp_path / "m")
    assert content["id"] == "mine"
    assert "On 1 cases" in (tmp_path / "m" / "README.md").read_text()
    capsys.readouterr()
    assert main(words) == 2
    assert "already holds model.json" in capsys.readouterr().err


def test_a_table_without_truth_cannot_calibrate(mri_run: Path, tmp_path: Path) -> None:
    cases = [replace(case, lesion=None) for case in ct_cases(tmp_path, [1])]
    write_case_table(cases, tmp_path / "cases.csv")
    words = ["--model", str(mri_run), "--format", "model", "--out", str(tmp_path / "m")]
    assert main(["export", *words, "--calibrate", str(tmp_path / "cases.csv")]) == 2
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("from_run", [False, pytest.param(True, marks=slow)])
def test_one_onnx_file_gives_the_models_logits(from_run: bool, mri_run: Path, mri_model: Path, tmp_path: Path) -> None:
    source = mri_run if from_run else mri_model
    assert main(["export", "--model", str(source), "--format", "onnx", "--out", str(tmp_path)]) == 0
    (file,) = tmp_path.iterdir()
    moved = tmp_path / "elsewhere" / "alone.onnx"
    moved.parent.mkdir()
    file.rename(moved)
    onnx.checker.check_model(str(moved), full_check=True)
    model = onnx.load(moved, load_external_data=False)
    assert all(t.data_location != onnx.TensorProto.EXTERNAL for t in model.graph.initializer)
    assert {p.key: p.value for p in model.metadata_props}["system"] == "mri"
    x = np.random.default_rng(0).standard_normal((2, 6, 64, 32)).astype(np.float32)
    alone = ov.Core().compile_model(str(moved), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]
    assert np.abs(alone - OpenVinoBackend(load_card(mri_model)).run(x)).max() < 1e-5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "tflite"], "unknown format 'tflite'; known: onnx, monai-bundle, model"),
        (["--format", "onnx", "--id", "x"], "go with --format model"),
        (["--format", "onnx", "--anatomy", "heads"], "for --calibrate synth"),
        (["--format", "model", "--cases", "0"], "at least 1"),
        (["--format", "model"], "holds no run"),
        (["--format", "onnx", "--model", "nothing"], "unknown model 'nothing'"),
    ],
)
def test_wrong_words_are_told_and_nothing_is_written(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--model", "mri", "--out", str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()

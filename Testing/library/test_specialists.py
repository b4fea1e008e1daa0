"""A model folder with a specialist inside: who reads a case, and that all of the model is checked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file
from test_segment_systems import ONE, run, write_model
from test_systems import mr_head

from StrokeSegLib.batch.plan import BatchWish, plan_batch
from StrokeSegLib.case_table import Case
from StrokeSegLib.cli import DONE, main
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import write_image
from StrokeSegLib.models import load_card
from StrokeSegLib.networks import build_network
from StrokeSegLib.training.evaluate import evaluate
from StrokeSegLib.training.export import write_graph


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Marks nothing but with DWI and ADC, where the specialist marks all."""
    folder = tmp_path / "model"
    (folder / "diffusion").mkdir(parents=True)
    write_model(folder, "mri", 30, 2, ONE, prepare_settings={"mode": "rest"}, threshold=0.6)
    models = {"1": {"intercept": 3.0, "per_logit": 0.0, "per_log10_ml": 0.0}}
    settings = {"id": "pair", "title": "Pair", "version": "7.0.0", "threshold": 0.4, "lesion_models": models}
    write_model(folder / "diffusion", "mri", 6, 2, ONE, **settings)
    return folder


def give_graph(folder: Path, in_channels: int) -> None:
    card = load_card(folder)
    net = build_network(card.network, card.settings).eval()
    net.load_state_dict(load_file(folder / "weights.safetensors"))
    write_graph(net, in_channels, folder)


def change(folder: Path, **values: Any) -> None:
    file = folder / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_who_reads_a_case(model: Path) -> None:
    card = load_card(model)
    (pair,) = card.specialists
    for roles in ("dwi",), ("adc", "flair"), ("t1", "t2"):
        assert card.reading(roles) is card
    for roles in ("dwi", "adc"), ("t1", "adc", "dwi"):
        reader = card.reading(roles)
        assert (reader.id, reader.title, reader.version) == ("tiny", "Tiny", "0.0.1")
        assert (reader.sha256, reader.threshold, reader.folder) == (pair.sha256, 0.4, model / "diffusion")
    assert card.summary()["specialists"] == [{"reads": ["dwi", "adc"], "sha256": pair.sha256}]
    assert [network.sha256 for network in card.all_networks] == [card.sha256, pair.sha256]


def test_a_specialist_that_is_being_written_is_none_yet(model: Path) -> None:
    shutil.copytree(model / "diffusion", model / ".diffusion.staging-here-1-2")
    assert len(load_card(model).specialists) == 1


def test_the_specialists_network_threshold_and_lesion_models_are_used(model: Path) -> None:
    images, _ = mr_head(skull=False)
    # Zero weights and this bias give each voxel 0.5: below the model's threshold, above the specialist's.
    alone = run({"dwi": images["dwi"]}, model)
    assert alone.measurements["sha256"] == load_card(model).sha256
    assert alone.measurements["thresholds"] == {"1": 0.6}
    assert not alone.labels.array.any()
    found = run({"flair": images["flair"], "dwi": images["dwi"], "adc": images["adc"]}, model)
    assert found.measurements["model"] == "tiny"
    assert found.measurements["sha256"] == load_card(model / "diffusion").sha256
    assert found.measurements["thresholds"] == {"1": 0.4}
    assert found.measurements["inputs_not_read"] == ["flair"]
    assert found.labels.array.any()
    assert found.labels.same_grid(images["flair"])
    assert found.measurements["lesions"][0]["probability"] == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-3)


def test_a_batch_and_an_evaluation_take_the_specialist_case_by_case(model: Path, tmp_path: Path) -> None:
    images, _ = mr_head(skull=False)
    paths = {role: tmp_path / f"{role}.nii.gz" for role in ("dwi", "adc", "t2")}
    for role, path in paths.items():
        write_image(images[role], path)
    truth = tmp_path / "truth.nii.gz"
    write_image(images["dwi"].with_array(np.ones(images["dwi"].array.shape, np.uint8)), truth)
    cases = [
        Case("pair", "one", {role: paths[role] for role in ("dwi", "adc")}, truth),
        Case("alone", "two", {"t2": paths["t2"]}, truth),
    ]
    card = load_card(model)
    for folder, in_channels in (model, 30), (model / "diffusion", 6):
        give_graph(folder, in_channels)
    plan = plan_batch(BatchWish(str(model), cases, tmp_path / "batch"), lambda *_: None)
    assert [job.sha256 for job in plan.jobs] == [card.specialists[0].sha256, card.sha256]
    found = evaluate(str(model), cases, tmp_path / "out", device="cpu")
    marked = [case.scores[0].predicted_ml > 0 for case in found.cases]
    assert marked == [True, False]


def test_what_others_read_is_of_one_network_and_the_export_says_where_the_other_is(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give_graph(model, 30)
    assert main(["export", "--model", str(model), "--format", "onnx", "--out", str(tmp_path / "onnx")]) == DONE
    assert f"without the specialist that is in it: export {model / 'diffusion'}, too" in capsys.readouterr().err
    assert len(list((tmp_path / "onnx").glob("*.onnx"))) == 1


def test_damage_to_a_specialist_is_told(model: Path, tmp_path: Path) -> None:
    change(model / "diffusion", networks=[{**ONE_NETWORK, "sha256": "0" * 64}])
    images, _ = mr_head(skull=False)
    with pytest.raises(InputError, match="have SHA-256"):
        run({role: images[role] for role in ("dwi", "adc")}, model)
    case = Case("a", "a", {"t2": tmp_path / "t2.nii.gz"})
    with pytest.raises(InputError, match="have SHA-256"):
        plan_batch(BatchWish(str(model), [case], tmp_path / "batch"), lambda *_: None)


ONE_NETWORK = {"name": "network", "graph": "graph.onnx", "weights": "weights.safetensors"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"system": "noncontrast-ct"}, "same system and labels"),
        ({"labels": [{"value": 2, "name": "hemorrhage"}]}, "same system and labels"),
        ({"inputs": [{"role": "dwi", "required": False}]}, "need some of the inputs dwi, adc, flair, t1, t2"),
        ({"inputs": [{"role": "ct", "required": True}]}, "need some of the inputs"),
    ],
)
def test_a_specialist_that_does_not_fit_is_refused(model: Path, values: dict[str, Any], said: str) -> None:
    change(model / "diffusion", **values)
    with pytest.raises(InputError, match=said):
        load_card(model)

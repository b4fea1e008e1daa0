"""Training in the small: every preset takes steps, learns, stops in good order and says what it did."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_phantoms import TINY, tiny_cases, tiny_preset

from StrokeSegLib.cli import main
from StrokeSegLib.errors import InputError
from StrokeSegLib.training.checkpoint import CHECKPOINT, read_checkpoint
from StrokeSegLib.training.curves import nice_ticks
from StrokeSegLib.training.loop import train
from StrokeSegLib.training.presets import find_preset
from StrokeSegLib.training.recipes import recipe_for


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(("system", "name"), TINY)
def test_every_preset_takes_steps_and_leaves_a_whole_run_folder(system: str, name: str, tmp_path: Path) -> None:
    preset = tiny_preset(system, name)
    run = train(preset, tiny_cases(system, name), tmp_path / "run", device="cpu")
    record = json.loads((run / "run.json").read_text())
    assert record["preset"] == f"{name}, modified"
    assert record["settings"] == preset.as_dict()
    assert record["versions"]["torch"] == torch.__version__ or torch.__version__.startswith(record["versions"]["torch"])
    plans = [plan.name for plan in recipe_for(preset).plans]
    assert list(record["networks"]) == plans
    for plan in plans:
        checkpoint = read_checkpoint(run / plan / CHECKPOINT)
        assert (checkpoint["step"], checkpoint["system"], checkpoint["network_name"]) == (3, system, plan)
    with (run / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows] == plans
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    with Image.open(run / "curves.png") as picture:
        assert picture.size == (1000, 640)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20  # lines and words, not a blank


def test_the_lesion_fraction_is_counted_in_the_box_of_the_brain_and_stored(tmp_path: Path) -> None:
    """The brain's box is 10 x 24 x 24 of 12 x 32 x 32; each case's lesion 2 x 6 x 6."""
    run = train(
        tiny_preset("noncontrast-ct", "paper"), tiny_cases("noncontrast-ct", "paper"), tmp_path / "run", device="cpu"
    )
    facts = read_checkpoint(run / "network" / CHECKPOINT)["facts"]
    assert facts["lesion_fraction"] == pytest.approx(2 * 6 * 6 / (10 * 24 * 24))


def test_without_imagenet_weights_the_run_says_that_the_encoder_trains(tmp_path: Path) -> None:
    run = train(tiny_preset("mri", "paper"), tiny_cases("mri", "paper"), tmp_path / "run", device="cpu")
    assert "encoder trains from the first step" in " ".join(json.loads((run / "run.json").read_text())["notes"])


@pytest.mark.slow
def test_the_loss_falls(tmp_path: Path) -> None:
    preset = tiny_preset("noncontrast-ct", "bundled", "steps=150", "learning_rate=3e-3", "warmup_steps=10")
    run = train(preset, tiny_cases("noncontrast-ct", "bundled"), tmp_path / "run", device="cpu")
    with (run / "log.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 3
    assert losses[-1] < 0.5 * losses[0]


def test_a_bad_batch_stops_the_run_and_names_its_cases(tmp_path: Path) -> None:
    cases = tiny_cases("noncontrast-ct", "bundled", 1)
    cases[0].channels[:] = np.nan
    with pytest.raises(InputError, match="not finite at step 0"):
        train(tiny_preset("noncontrast-ct", "bundled"), cases, tmp_path / "run", device="cpu")
    assert json.loads((tmp_path / "run" / "bad_batch.json").read_text())["cases"] == ["case-0", "case-0"]
    assert not (tmp_path / "run" / "network" / CHECKPOINT).exists()


def test_a_run_is_not_overwritten_nor_resumed_with_other_settings(tmp_path: Path) -> None:
    cases = tiny_cases("ct-perfusion", "paper")
    run = train(tiny_preset("ct-perfusion", "paper"), cases, tmp_path / "run", device="cpu")
    with pytest.raises(InputError, match="already holds a run; go on with it by --resume"):
        train(tiny_preset("ct-perfusion", "paper"), cases, run, device="cpu")
    with pytest.raises(InputError, match=r"learning_rate 0\.0002 instead of 0\.1"):
        train(tiny_preset("ct-perfusion", "paper", "learning_rate=0.1"), cases, run, resume=True, device="cpu")
    before = (run / "network" / CHECKPOINT).read_bytes()
    train(tiny_preset("ct-perfusion", "paper"), cases, run, resume=True, device="cpu")  # it is done already
    assert (run / "network" / CHECKPOINT).read_bytes() == before
    train(tiny_preset("ct-perfusion", "paper", "steps=4"), cases, run, resume=True, device="cpu")
    assert read_checkpoint(run / "network" / CHECKPOINT)["step"] == 4
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "x.jpg").touch()
    with pytest.raises(InputError, match="exists and holds no run"):
        train(tiny_preset("ct-perfusion", "paper"), cases, tmp_path / "photos", resume=True, device="cpu")


def test_a_raising_progress_stops_the_run_and_leaves_a_checkpoint(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("train", 2):
            raise StopError

    cases = tiny_cases("ct-perfusion", "paper")
    with pytest.raises(StopError):
        train(tiny_preset("ct-perfusion", "paper"), cases, tmp_path / "run", device="cpu", progress=stop)
    assert read_checkpoint(tmp_path / "run" / "network" / CHECKPOINT)["step"] == 2


def test_training_begins_with_given_weights_or_says_why_not(tmp_path: Path) -> None:
    cases = tiny_cases("ct-perfusion", "paper")
    first = train(tiny_preset("ct-perfusion", "paper"), cases, tmp_path / "first", device="cpu")
    given = first / "network" / CHECKPOINT
    slow = tiny_preset("ct-perfusion", "paper", "steps=1", "learning_rate=1e-12", "seed=5")
    second = train(slow, cases, tmp_path / "second", device="cpu", init=str(given))
    weights = read_checkpoint(second / "network" / CHECKPOINT)["net"]
    for name, value in read_checkpoint(given)["net"].items():
        assert torch.allclose(weights[name], value, atol=1e-9), name
    wide = tiny_preset("ct-perfusion", "paper", "width=0.5")
    with pytest.raises(InputError, match=r"does not fit this preset's network: \d+ weights differ"):
        train(wide, cases, tmp_path / "third", device="cpu", init=str(given))
    with pytest.raises(InputError, match="this system trains a resnet50-unet"):
        train(
            tiny_preset("mri", "bundled"), tiny_cases("mri", "bundled"), tmp_path / "4", device="cpu", init=str(given)
        )
    with pytest.raises(InputError, match="unknown model"):
        train(slow, cases, tmp_path / "5", device="cpu", init="nothing")


def test_a_narrower_network_begins_with_a_wider_ones_weights_and_the_run_says_so(tmp_path: Path) -> None:
    cases = tiny_cases("mri", "bundled")
    wide = train(tiny_preset("mri", "bundled", "width=0.125"), cases, tmp_path / "wide", device="cpu")
    given = str(wide / "network" / CHECKPOINT)
    narrow = train(tiny_preset("mri", "bundled", "width=0.0625"), cases, tmp_path / "narrow", device="cpu", init=given)
    assert "began with a wider network's weights" in (narrow / "run.json").read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"does not fit this preset's network: \d+ weights differ"):
        train(
            tiny_preset("mri", "bundled", "width=0.125"),
            cases,
            tmp_path / "wider",
            device="cpu",
            init=str(narrow / "network" / CHECKPOINT),
        )


def test_gradients_of_two_slices_in_bf16_are_those_of_fp32() -> None:
    """torch's own bfloat16 kernel reads memory that was never written there; see ``blocks3d.Conv3d``."""
    import torch

    from StrokeSegLib.networks.blocks3d import Conv3d

    torch.manual_seed(0)
    conv = Conv3d(16, 16, 3, padding=1)
    x = torch.randn(2, 16, 2, 6, 6).contiguous(memory_format=torch.channels_last_3d)
    gradients = []
    for enabled in (False, True):
        conv.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = conv(x)
        y.float().square().sum().backward()
        gradients.append(conv.weight.grad.clone())
    assert torch.allclose(gradients[0], gradients[1], rtol=0.02, atol=0.02 * float(gradients[0].abs().max()))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precisions_train(precision: str, tmp_path: Path) -> None:
    preset = tiny_preset("mri", "bundled", f"precision={precision}")
    run = train(preset, tiny_cases("mri", "bundled"), tmp_path / "run", device="cpu")
    assert read_checkpoint(run / "network" / CHECKPOINT)["step"] == 3


def test_only_convolution_kernels_are_penalized() -> None:
    from StrokeSegLib.networks import build_network

    recipe = recipe_for(find_preset("ct-perfusion", "paper"))
    net = build_network(recipe.network, recipe.network_settings(5, 1) | {"width": 0.25})
    decay = {id(p): group["weight_decay"] for group in recipe.optimizer(net).param_groups for p in group["params"]}
    for name, parameter in net.named_parameters():
        assert decay[id(parameter)] == (2e-3 if parameter.dim() == 5 else 0), name
    squares = sum(float(p.detach().square().sum()) for p in net.parameters() if p.dim() == 5)
    assert recipe.monitor(net)["l2_penalty"] == pytest.approx(1e-3 * squares, rel=1e-5)


def test_ticks_are_round_and_reach_the_highest_value() -> None:
    assert nice_ticks(2.6, 360) == [0, 1, 2, 3]
    assert nice_ticks(0, 100) == [0, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--system", "mri", "--data", "synth", "--set", "steps=many"], "steps needs a whole number"),
        (["--system", "ct", "--data", "synth"], "unknown system 'ct'"),
        (["--system", "mri", "--data", "no.csv"], "no.csv"),
        (["--system", "mri", "--data", "no.csv", "--anatomy", "x"], "are for --data synth"),
    ],
)
def test_wrong_words_end_with_2_and_write_nothing(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--out", str(tmp_path / "run"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

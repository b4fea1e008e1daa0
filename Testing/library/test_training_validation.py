"""Validation while a network trains: what is measured, which weights are kept, and that stopping changes neither."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from head_phantoms import ct_cases
from synthetic_ct import ct_head
from torch import Tensor, nn
from training_phantoms import tiny_cases, tiny_preset

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.metrics import jaccard
from StrokeSegLib.models import load_card
from StrokeSegLib.segmentation import segment
from StrokeSegLib.training.checkpoint import BEST, CHECKPOINT, read_checkpoint
from StrokeSegLib.training.curves import draw_curves, validation_lines
from StrokeSegLib.training.export import export_run
from StrokeSegLib.training.logs import read_log
from StrokeSegLib.training.loop import train
from StrokeSegLib.training.selection import members
from StrokeSegLib.training.validation import _means, validate

#: Four steps with a validation after each second one, on a grid as coarse as the phantoms'.
WORDS = ("steps=6", "validate_every=2", "in_plane_mm=6", "ema=0.5", "warmup_steps=1", "learning_rate=0.01")
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Two patients to train on, one with a lesion and a healthy one to validate on."""
    cases = ct_cases(tmp_path_factory.mktemp("images"), [1, 1, 1, 0])
    return [replace(case, split="val" if n > 1 else "train") for n, case in enumerate(cases)]


def trained(table: list[Case], run: Path, *words: str, **more: Any) -> Path:
    preset = tiny_preset("noncontrast-ct", "bundled", *WORDS, *words)
    return train(preset, table, run, device="cpu", cache_dir=table[0].images["ct"].parent / "cache", **more)


@pytest.fixture(scope="module")
def whole(table: list[Case], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    return trained(table, tmp_path_factory.mktemp("whole") / "run")


def scores(run: Path) -> dict[int, float]:
    """Step -> IoU, of the steps that were validated."""
    with (run / "log.csv").open() as file:
        return {int(row["step"]): float(row["validation_iou"]) for row in csv.DictReader(file) if row["validation_iou"]}


def nothing(stage: str, done: int, total: int) -> None:
    """No progress shown."""


def test_the_mean_is_taken_over_patients() -> None:
    """a: (0.2 + 0.4) / 2; b has both labels: (0.9 + 0.5) / 2."""
    found = _means({"a": {1: [0.2, 0.4]}, "b": {1: [0.9], 2: [0.5]}})
    assert found.iou == pytest.approx(0.5)
    assert found.by_label == pytest.approx({1: 0.6, 2: 0.5})


def test_validation_comes_as_often_as_asked_and_the_best_weights_are_kept(whole: Path) -> None:
    by_step = scores(whole)
    assert list(by_step) == [2, 4, 6]
    assert max(by_step.values()) > 0
    best = read_checkpoint(whole / "network" / BEST)
    assert best["validation_iou"] == pytest.approx(max(by_step.values()), rel=1e-5)
    assert best["step"] == max(by_step, key=lambda step: by_step[step])
    assert read_checkpoint(whole / "network" / CHECKPOINT)["step"] == 6
    record = json.loads((whole / "run.json").read_text())
    assert record["networks"]["network"]["best_step"] == best["step"]
    assert "validated on 2 cases" in " ".join(record["notes"])
    (line,) = validation_lines(read_log(whole))
    assert line.steps == (2, 4, 6)


def test_the_validation_is_that_of_inference(whole: Path, table: list[Case], tmp_path: Path) -> None:
    """The exported model finds on the validation case what the best weights found; the healthy case has no say."""
    card = export_run(whole, tmp_path / "model")
    best = read_checkpoint(whole / "network" / BEST)
    training = json.loads((card.folder / "model.json").read_text())["training"]
    assert training["checkpoint"] == "best"
    assert training["validation_iou"]["network"] == pytest.approx(best["validation_iou"], abs=1e-4)
    assert training["steps"] == 6
    case = table[2]
    assert case.lesion is not None
    found = segment({"ct": case.images["ct"]}, str(card.folder), "cpu", backend="torch").probability[1].array > 0.5
    truth = read_image(case.lesion).volume.array == 1
    assert jaccard(found, truth) == pytest.approx(best["validation_iou"], abs=0.01)


def assert_same_end(found: Path, wanted: Path) -> None:
    for file in (CHECKPOINT, BEST):
        a, b = (read_checkpoint(run / "network" / file) for run in (found, wanted))
        assert (a["step"], a.get("validation"), a.get("validation_iou")) == (
            b["step"],
            b.get("validation"),
            b.get("validation_iou"),
        )
        for name, value in b["average"].items():
            assert torch.equal(a["average"][name], value), (file, name)
    assert scores(found) == scores(wanted)


@pytest.mark.parametrize("where", [("train", 3), ("validate", 4)])
def test_a_run_stopped_anywhere_and_resumed_keeps_the_same_weights(
    where: tuple[str, int], whole: Path, table: list[Case], tmp_path: Path
) -> None:
    """Stopped between steps, or in the middle of the validation of step 4."""
    done_steps = 0

    def stop(stage: str, done: int, total: int) -> None:
        nonlocal done_steps
        done_steps = done if stage == "train" else done_steps
        if where == ("train", done_steps) or (stage == "validate" and where == ("validate", done_steps + 1)):
            raise RuntimeError("stop")

    run = tmp_path / "run"
    with pytest.raises(RuntimeError, match="stop"):
        trained(table, run, progress=stop)
    assert read_checkpoint(run / "network" / CHECKPOINT)["step"] == where[1]
    trained(table, run, resume=True)
    assert_same_end(run, whole)


def test_weights_kept_after_the_last_checkpoint_do_not_stand_in_the_way(
    whole: Path, table: list[Case], tmp_path: Path
) -> None:
    """A kill may leave a best.pt that is younger than the checkpoint: the run goes on as if it were not there."""
    run = tmp_path / "run"

    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("train", 1):
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        trained(table, run, progress=stop)
    shutil.copy(whole / "network" / BEST, run / "network" / BEST)
    trained(table, run, resume=True)
    assert_same_end(run, whole)


def test_without_cases_to_validate_on_the_run_says_so(tmp_path: Path) -> None:
    preset = tiny_preset("noncontrast-ct", "bundled", "validate_every=2")
    run = train(preset, tiny_cases("noncontrast-ct", "bundled"), tmp_path / "run", device="cpu")
    assert "the last weights are exported" in " ".join(json.loads((run / "run.json").read_text())["notes"])
    assert not (run / "network" / BEST).exists()
    assert "validation_iou" not in read_log(run)[0]


def test_validation_cases_that_spoil_it_are_refused_before_anything_is_written(
    table: list[Case], tmp_path: Path
) -> None:
    same = [*table[:2], replace(table[2], patient_id=table[0].patient_id)]
    with pytest.raises(InputError, match="patient-0 is in train and val"):
        trained(same, tmp_path / "run")
    with pytest.raises(InputError, match="cases of split val: all masks are empty"):
        trained([*table[:2], table[3]], tmp_path / "run")
    assert not (tmp_path / "run").exists()


class BrightIsBlood(nn.Module):
    """60 to 78 HU, of 0 to 80, is hemorrhage (bone is above); ischemia is nowhere."""

    def forward(self, x: Tensor) -> Tensor:
        blood = 1000 * torch.minimum(x[:, :1] - 60 / 80, 78 / 80 - x[:, :1])
        return torch.cat([torch.full_like(blood, -100), blood], dim=1)


def description(name: str) -> dict[str, Any]:
    return {
        "system": "three-projection",
        "network": "dpn92-unet",
        "network_name": name,
        "network_settings": {"in_channels": 3, "out_channels": 2},
        "prepare_settings": {"in_plane_mm": None, "min_slice_mm": 0.0, "plane_spacing_mm": 2.0},
        "inference_settings": {},
    }


@pytest.mark.parametrize("name", ["axial-1", "coronal-2", "sagittal-1", "network"])
def test_the_network_of_a_plane_is_judged_by_that_plane(name: str, tmp_path: Path) -> None:
    """A rule that finds the bright ball in every plane; thick slices have no coronal or sagittal plane to be judged."""
    for number, slice_mm in enumerate((2.0, 4.0)):
        ct, _, labels = ct_head((2.0, 2.0, slice_mm), radius_mm=45.0, blood_hu=70.0)
        labels[labels == 1] = 0
        write_image(ct, tmp_path / f"ct-{number}.nii.gz")
        write_image(ct.with_array(labels), tmp_path / f"lesion-{number}.nii.gz")
    thin, thick = (
        Case(f"c{n}", f"p{n}", {"ct": tmp_path / f"ct-{n}.nii.gz"}, tmp_path / f"lesion-{n}.nii.gz", "val")
        for n in range(2)
    )
    found = validate(BrightIsBlood(), description(name), [thin, thick], CPU, nothing)
    assert found.by_label.keys() == {2}
    assert found.iou > 0.8
    if name in ("coronal-2", "sagittal-1"):
        assert validate(BrightIsBlood(), description(name), [thin], CPU, nothing) == found
        with pytest.raises(InputError, match="no case of split val shows a lesion"):
            validate(BrightIsBlood(), description(name), [thick], CPU, nothing)


def test_the_best_six_axial_networks_and_two_of_each_other_plane_are_taken() -> None:
    axial = {f"axial-{n}": iou for n, iou in enumerate((0.1, 0.7, 0.3, 0.9, 0.5, 0.6, 0.2, 0.8), start=1)}
    other = {"coronal-1": 0.4, "coronal-2": 0.3, "coronal-3": 0.5, "sagittal-1": 0.1}
    names = [*axial, *other]
    chosen = members(names, {**axial, **other})
    assert chosen == [f"axial-{n}" for n in (2, 3, 4, 5, 6, 8)] + ["coronal-1", "coronal-3", "sagittal-1"]
    assert members(names, {**axial, **other, "axial-1": None})[:8] == list(axial)  # not all are judged yet
    assert members(["network"], {"network": 0.3}) == ["network"]


@pytest.mark.slow
def test_the_model_holds_the_chosen_networks(tmp_path: Path) -> None:
    words = ("steps=1", "axial_members=0", "coronal_members=3", "sagittal_members=0")
    preset = tiny_preset("three-projection", "paper", *words)
    run = train(preset, tiny_cases("three-projection", "paper"), tmp_path / "run", device="cpu")
    for name, iou in (("coronal-1", 0.5), ("coronal-2", 0.3), ("coronal-3", 0.4)):
        torch.save(read_checkpoint(run / name / CHECKPOINT) | {"validation_iou": iou}, run / name / BEST)
    card = export_run(run, tmp_path / "model")
    assert [network.name for network in card.networks] == ["coronal-1", "coronal-3"]
    training = json.loads((card.folder / "model.json").read_text())["training"]
    assert training["trained_networks"] == 3
    assert training["validation_iou"] == {"coronal-1": 0.5, "coronal-3": 0.4}
    assert "with the best validation IoU of 3" in (card.folder / "README.md").read_text()
    assert load_card(card.folder).networks == card.networks


def test_the_picture_shows_the_validation(tmp_path: Path) -> None:
    from PIL import Image

    row = {"network": "network", "step": "50", "loss": "1", "learning_rate": "0.1"}
    rows = [row | {"validation_iou": ""}, row | {"step": "100", "validation_iou": "0.5"}]
    pictures = []
    for number, each in enumerate((rows, [row, row | {"step": "100"}])):
        draw_curves(each, tmp_path / f"{number}.png", "t")
        with Image.open(tmp_path / f"{number}.png") as picture:
            pictures.append(np.asarray(picture))
    assert pictures[0].shape == pictures[1].shape
    assert not np.array_equal(pictures[0], pictures[1])

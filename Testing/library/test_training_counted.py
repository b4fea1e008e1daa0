"""The z-score of the perfusion paper: each channel's mean and SD, counted on the training cases and used ever after."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from head_phantoms import ctp_cases
from training_phantoms import tiny_cases, tiny_preset

from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.checkpoint import CHECKPOINT, read_checkpoint
from StrokeSegLib.training.counted import count_prepare_settings
from StrokeSegLib.training.dataset import TrainingCase, read_case
from StrokeSegLib.training.loop import train
from StrokeSegLib.training.recipes import recipe_for
from StrokeSegLib.training.recipes.ct_perfusion import COUNTING_SCALE, channel_stats

SYSTEM = SYSTEMS["ct-perfusion"]


def counting_case(values: list[list[float]]) -> TrainingCase:
    """A row of two brain voxels and one beside the brain, with these values of five channels."""
    channels = np.full((5, 1, 1, 3), 9, np.float16)
    channels[:, 0, 0, :2] = np.array(values) / COUNTING_SCALE
    brain = np.array([[[True, True, False]]])
    return TrainingCase("a", channels, np.zeros((1, 1, 1, 3), np.uint8), brain, (1.0, 1.0, 1.0))


def test_mean_and_sd_by_hand() -> None:
    """CBF 10, 20, 30, 40: mean 25, SD sqrt(125). CT is missing in the second case, MTT in both."""
    first = counting_case([[30, 40], [10, 20], [4, 4], [0, 0], [2, 6]])
    second = counting_case([[0, 0], [30, 40], [4, 4], [0, 0], [2, 6]])
    stats = channel_stats([first, second])["stats"]
    assert set(stats) == {"ct", "cbf", "cbv", "tmax"}
    assert stats["ct"] == pytest.approx([35, 5], rel=1e-3)
    assert stats["cbf"] == pytest.approx([25, 125**0.5], rel=1e-3)
    assert stats["cbv"] == pytest.approx([4, 0], abs=0.02)
    assert stats["tmax"] == pytest.approx([4, 2], rel=1e-3)


def test_a_run_counts_once_and_its_weights_carry_the_numbers(tmp_path: Path) -> None:
    """With them the brains of the training cases have mean 0 and SD 1; a case of another split has no say."""
    torch.set_num_threads(1)
    cases = ctp_cases(tmp_path, [1, 0, 1])
    table = [*cases[:2], replace(cases[2], split="test")]
    stages: list[str] = []
    preset = tiny_preset("ct-perfusion", "paper", "steps=1", "batch_size=1")
    run = train(preset, table, tmp_path / "run", device="cpu", progress=lambda stage, *_: stages.append(stage))
    assert "count" in stages
    settings = read_checkpoint(run / "network" / CHECKPOINT)["prepare_settings"]
    assert settings["stats"] == json.loads((run / "run.json").read_text())["counted"]["stats"]
    assert set(settings["stats"]) == {"ct", "cbf", "cbv", "mtt", "tmax"}
    prepared = [read_case(case, SYSTEM, settings) for case in table[:2]]
    for n in range(5):
        values = np.concatenate([case.channels[n][case.brain].astype(float) for case in prepared])
        assert abs(values.mean()) < 0.1, n
        assert 0.7 < values.std() < 1.05, n  # 5 SD is the end of what a network sees; the core lies beyond

    stages.clear()
    longer = replace(preset, steps=2)
    train(longer, table, run, resume=True, device="cpu", progress=lambda stage, *_: stages.append(stage))
    assert "count" not in stages
    assert read_checkpoint(run / "network" / CHECKPOINT)["prepare_settings"] == settings


def test_nothing_is_counted_where_a_recipe_wants_nothing_or_cases_are_prepared() -> None:
    bundled = recipe_for(tiny_preset("ct-perfusion", "bundled"))
    assert count_prepare_settings(bundled, tiny_cases("ct-perfusion", "bundled"), lambda *_: None) == {}
    paper = recipe_for(tiny_preset("ct-perfusion", "paper"))
    assert count_prepare_settings(paper, tiny_cases("ct-perfusion", "paper"), lambda *_: None) == {}

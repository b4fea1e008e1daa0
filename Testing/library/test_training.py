"""Training in the small: the pool, the schedule, a loss that falls, a run that resumes, a model that comes out."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from StrokeSegLib.demo import demo_case
from StrokeSegLib.segmentation import segment
from StrokeSegLib.training.bundle import bundle
from StrokeSegLib.training.calibrate import expected_calibration_error
from StrokeSegLib.training.config import BundledMri
from StrokeSegLib.training.loop import CHECKPOINT, learning_rate, train
from StrokeSegLib.training.pool import Pool, Sources, augment, load_sources, pooled

TINY = BundledMri(width=0.125, steps=6, batch_size=2, crop=64, warmup_steps=2, pool_size=2, precision="fp32")
PROCEDURAL = Sources([], None, 1.0)


@pytest.fixture(autouse=True)
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that generate and train at once on two cores take turns badly."""
    torch.set_num_threads(1)


def test_the_learning_rate_rises_then_falls_to_a_hundredth() -> None:
    config = replace(TINY, steps=100, warmup_steps=10, learning_rate=1.0)
    assert learning_rate(0, config) == pytest.approx(0.1)
    assert learning_rate(9, config) == pytest.approx(1.0)
    assert learning_rate(55, config) == pytest.approx(0.01 + 0.99 / 2)
    assert learning_rate(100, config) == pytest.approx(0.01)


def test_a_pooled_case_is_what_inference_prepares() -> None:
    case = demo_case()
    pooled_case = pooled(case)
    assert pooled_case.channels.shape[0] == 2
    assert pooled_case.channels.shape[1:] == pooled_case.target.shape
    k, j, i = pooled_case.lesion.T
    assert (pooled_case.target[k, j, i] > 127).all()


def test_lesion_crops_show_the_lesion() -> None:
    pool = Pool(PROCEDURAL, size=1, processes=0, seed=0)
    pool.cases.append(pooled(demo_case()))
    x, y = pool.batch(np.random.default_rng(0), 8, 96, lesion_chance=1.0)
    assert x.shape == (8, 6, 96, 96)
    assert (y.reshape(8, -1).max(axis=1) > 0.5).all()


def test_augmentation_keeps_image_and_truth_together() -> None:
    """A single bright DWI voxel is the lesion: it has to stay so whatever is drawn."""
    x = np.full((6, 32, 32), -0.5, np.float32)
    y = np.zeros((32, 32), np.float32)
    x[:3, 5, 9] = 2.0
    y[5, 9] = 1
    for seed in range(20):
        moved_x, moved_y = augment(np.random.default_rng(seed), x, y)
        assert np.unravel_index(moved_x[1].argmax(), (32, 32)) == np.unravel_index(moved_y.argmax(), (32, 32))


def test_a_run_trains_resumes_and_becomes_a_model(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(replace(TINY, steps=3), PROCEDURAL, run)
    first = torch.load(run / CHECKPOINT, weights_only=True)
    train(TINY, PROCEDURAL, run)
    second = torch.load(run / CHECKPOINT, weights_only=True)
    assert (first["step"], second["step"]) == (3, 6)
    assert json.loads((run / "config.json").read_text())["width"] == 0.125
    key = "head.weight"
    assert not torch.equal(first["net"][key], second["net"][key])

    found = bundle(run, tmp_path / "mri", PROCEDURAL, cases=1)
    assert found["step"] == 6
    result = segment(demo_case().images, str(tmp_path / "mri"), device="cpu")
    assert (
        result.measurements["sha256"]
        == json.loads((tmp_path / "mri" / "model.json").read_text())["networks"][0]["sha256"]
    )


@pytest.mark.slow
def test_the_loss_falls(tmp_path: Path) -> None:
    config = replace(TINY, steps=150, batch_size=4, crop=96, learning_rate=3e-3, warmup_steps=10)
    train(config, PROCEDURAL, tmp_path)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["ce"]) < 0.7 * float(rows[0]["ce"])


def test_sources_need_label_maps(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no label maps"):
        load_sources(tmp_path, None)


def test_calibration_error_by_hand() -> None:
    p = np.array([0.9, 0.9, 0.1, 0.1])
    y = np.array([True, False, False, False])
    # Two bins of two: |0.9 - 0.5| and |0.1 - 0| with equal weight.
    assert expected_calibration_error(p, y) == pytest.approx((0.4 + 0.1) / 2)

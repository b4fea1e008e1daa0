"""The benchmark of training: the plain loop is a real training, and the numbers say what their names say."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_phantoms import tiny_cases, tiny_preset

from StrokeSegLib.cli import DONE, WRONG_INPUT, main
from StrokeSegLib.training import benchmark
from StrokeSegLib.training.benchmark_memory import CHANNELS, TINY, one_step_memory, random_case
from StrokeSegLib.training.benchmark_plain import PlainLoop, crop_loader
from StrokeSegLib.training.presets import PRESETS, find_preset
from StrokeSegLib.training.recipes import recipe_for

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")


def test_the_plain_loop_learns_a_bright_square() -> None:
    recipe = recipe_for(tiny_preset("noncontrast-ct", "bundled", "learning_rate=0.01", "batch_size=4"))
    torch.manual_seed(0)
    loader = crop_loader(tiny_cases("noncontrast-ct", "bundled"), lambda case: case, recipe, 4)
    losses = [step.loss for step in PlainLoop(loader, recipe).take(40)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_the_plain_loops_slices_come_with_their_neighbors_and_the_middle_ones_truth() -> None:
    preset = tiny_preset("mri", "bundled", "batch_size=8")
    (case,) = tiny_cases("mri", "bundled", 1)
    # Every slice says its number, and so does its truth.
    number = np.arange(6).reshape(6, 1, 1)
    channels = np.stack([np.broadcast_to(number, (6, 64, 64)), np.broadcast_to(10 + number, (6, 64, 64))])
    target = np.broadcast_to(number * 51, (1, 6, 64, 64)).astype(np.uint8)
    told = replace(case, channels=channels.astype(np.float16), target=target)
    loop = PlainLoop(crop_loader([told], lambda case: case, recipe_for(preset), 8), recipe_for(preset))
    x, y = loop.sample, loop.sample_truth
    assert x.shape == (8, 6, 64, 64)
    assert y.shape == (8, 1, 64, 64)
    for sample, truth in zip(x, y, strict=True):
        low, middle, high, *second = (float(plane.mean()) for plane in sample)
        assert (low, high) == (middle - 1, middle + 1)
        assert second == [10 + low, 10 + middle, 10 + high]
        assert float(truth.mean()) == pytest.approx(middle / 5)


def test_the_command_prints_ratios_of_two_real_trainings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a preset made tiny, in two turns; the memory of children has a test of its own."""
    preset = tiny_preset("ct-perfusion", "bundled")
    monkeypatch.setattr(benchmark, "ROUNDS", 2)
    monkeypatch.setitem(PRESETS["ct-perfusion"], "bundled", lambda: preset)
    monkeypatch.setattr(benchmark, "one_step_memory", lambda system, name: {"batch_size": 2, "peak_memory_mb": 7})
    monkeypatch.setattr(benchmark, "memory_growth_mb", lambda system: 0.5)
    assert main(["benchmark", "training", "--system", "ct-perfusion", "--steps", "3", "--json"]) == DONE
    (measured,) = (printed := json.loads(capsys.readouterr().out)).values()
    assert list(printed) == ["ct-perfusion"]
    assert (measured["steps"], measured["batch_size"]) == (4, 2)  # whole turns
    assert (measured["peak_memory_mb"], measured["memory_growth_mb"]) == (7, 0.5)
    seconds = measured["seconds"]
    assert min(seconds.values()) > 0
    assert measured["data_ratio"] == pytest.approx(seconds["data_first_epoch"] / seconds["data_second_epoch"])
    assert measured["data_ratio"] > 1
    assert measured["ratio"] > measured["ratio_network"] > 0  # the plain loop reads its images each time
    assert 0 < measured["floor_fraction"] < 1.5


def test_the_operations_of_a_convolution_are_those_counted_by_hand() -> None:
    """2 * 4 * 3 * 9 a pixel forward, and as much for the kernel's gradient; the image has none."""
    net = torch.nn.Conv2d(3, 4, 3, padding=1, bias=False)
    assert benchmark.network_flop(net, torch.zeros(2, 3, 8, 8)) == 2 * (2 * 4 * 3 * 9) * 2 * 8 * 8


@linux
def test_the_memory_of_a_step_is_that_of_a_process_of_its_own() -> None:
    measured = one_step_memory("ct-perfusion", "bundled", [*TINY["ct-perfusion"], "batch_size=2"])
    assert measured["batch_size"] == 2
    assert 100 < measured["peak_memory_mb"] < 3000  # Python and torch, and little else


@pytest.mark.parametrize(("system", "name"), CHANNELS)
def test_the_random_case_is_as_large_as_a_sample(system: str, name: str) -> None:
    preset = find_preset(system, name)
    case = random_case(preset)
    sides = {"ct-perfusion": "patch", "noncontrast-ct": "patch"}
    if system in sides:
        assert case.brain.shape == tuple(getattr(preset, sides[system]))
    else:
        assert case.brain.shape[1] == case.brain.shape[2] >= 128
    assert case.channels.shape == (CHANNELS[system, name], *case.brain.shape)
    assert all(plane.max() == 255 for plane in case.target)


@pytest.mark.parametrize("words", [("--steps", "0"), ("--system", "mra")])
def test_wrong_words_are_refused(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "training", *words]) == WRONG_INPUT
    assert words[1] in capsys.readouterr().err

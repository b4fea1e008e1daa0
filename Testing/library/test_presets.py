"""Presets: the papers' numbers, changing them by words, and their learning rates through the recipes."""

from __future__ import annotations

import dataclasses

import pytest

from StrokeSegLib.errors import InputError
from StrokeSegLib.training.presets import PRESETS, Preset, find_preset, with_settings
from StrokeSegLib.training.recipes import recipe_for

EVERY = [(system, name) for system in PRESETS for name in PRESETS[system]]
#: Written out from the four papers (and their resolutions), not taken from the code.
PAPER_NUMBERS = {
    "ct-perfusion": {
        "steps": 12_350, "batch_size": 4, "learning_rate": 2e-4, "width": 1.0, "precision": "fp32",
        "patch": (32, 128, 128), "variant": "residual", "dilation": "context", "dropout": 0.5, "slope": 0.3,
        "weight_decay": 2e-3, "with_bce": False, "flip_chance": 0.5,
    },
    "noncontrast-ct": {
        "steps": 40_000, "batch_size": 2, "learning_rate": 1e-4, "width": 1.0, "precision": "fp32",
        "patch": (128, 128, 128), "sampler": "labeled", "norm": "minmax_brain", "residual": True,
        "squeeze_excite": "standard", "weight_decay": 1e-5, "decay_every": 5000, "decay_factor": 0.5,
        "floor_fraction": 0.125, "normalize_weights": False,
    },
    "mri": {
        "batch_size": 32, "learning_rate": 1e-5, "width": 1.0, "precision": "fp32", "crop": 128, "momentum": 0.9,
        "rotation_deg": 180.0, "flip_chance": 0.5, "fine_tune_fraction": 0.1, "frozen_steps": 8750,
    },
    "three-projection": {
        "steps": 20_000, "batch_size": 12, "learning_rate": 1e-4, "width": 1.0, "precision": "fp32",
        "axial_members": 40, "coronal_members": 2, "sagittal_members": 2, "learning_rate_decay": 0.99977,
        "stroke_slice_chance": 0.5, "focal_gamma": 2.0, "slice_pixels": 512, "min_scale": 0.9, "max_scale": 1.1,
        "rotation_deg": 45.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("system", PAPER_NUMBERS)
def test_paper_presets_hold_the_published_numbers(system: str) -> None:
    values = find_preset(system, "paper").as_dict()
    for key, number in PAPER_NUMBERS[system].items():
        assert values[key] == (list(number) if isinstance(number, tuple) else number), key


@pytest.mark.parametrize(("system", "name"), EVERY)
def test_presets_are_frozen_and_survive_json(system: str, name: str) -> None:
    preset = find_preset(system, name)
    assert (preset.system, preset.name) == (system, name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset.steps = 1  # type: ignore[misc]
    assert type(preset).from_dict(preset.as_dict()) == preset


def test_a_changed_preset_says_so_and_an_unchanged_one_does_not() -> None:
    paper = find_preset("noncontrast-ct", "paper")
    assert with_settings(paper, ["batch_size=2"]) is paper
    changed = with_settings(paper, ["patch=64,64,32", "residual=false", "learning_rate=3e-4", "sampler=uniform"])
    assert changed.name == "paper, modified"
    assert changed.as_dict() | {"name": "paper"} == paper.as_dict() | {
        "patch": [64, 64, 32], "residual": False, "learning_rate": 3e-4, "sampler": "uniform",
    }  # fmt: skip
    assert with_settings(find_preset("mri", "bundled"), ["steps=1", "steps=2"]).steps == 2


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("step=5", "no key 'step'; known: .*batch_size.*steps"),
        ("steps", "expected key=value"),
        ("steps=many", "steps needs a whole number, got 'many'"),
        ("steps=1.5", "steps needs a whole number"),
        ("steps=0", "steps is 0; needed at least 1"),
        ("learning_rate=fast", "learning_rate needs a number"),
        ("learning_rate=nan", "learning_rate is nan; needed a finite number"),
        ("learning_rate=0", "learning_rate is 0.0; needed a number above 0"),
        ("width=-1", "width is -1.0; needed a number above 0"),
        ("precision=fp8", "precision needs one of fp32, bf16, fp16"),
        ("residual=maybe", "residual needs true or false"),
        ("patch=1,2", "patch has 2 sizes, needed three"),
        ("name=paper", "no key 'name'"),
        ("seed=-1", "seed is -1; needed at least 0"),
    ],
)
def test_wrong_words_are_refused_with_the_cure(word: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_settings(find_preset("noncontrast-ct", "paper"), [word])


def test_unknown_systems_and_presets_list_the_known_ones() -> None:
    with pytest.raises(InputError, match="known: ct-perfusion, mri, noncontrast-ct, three-projection"):
        find_preset("ct", "paper")
    with pytest.raises(InputError, match="known: paper, bundled"):
        find_preset("mri", "best")


@pytest.mark.parametrize(
    ("preset", "rates"),
    [
        (
            find_preset("noncontrast-ct", "paper"),
            {0: 1e-4, 5000: 5e-5, 10_000: 2.5e-5, 15_000: 1.25e-5, 39_999: 1.25e-5},
        ),
        (find_preset("three-projection", "paper"), {0: 1e-4, 1: 9.9977e-5, 20_000: 1.005e-6}),
        (find_preset("ct-perfusion", "paper"), {0: 2e-4, 12_349: 2e-4}),
        (find_preset("mri", "paper"), {0: 1e-5, 8749: 1e-5}),
        # 300 steps of warm-up; the middle of the cosine is the middle of 1 and 1/100; the end a hundredth.
        (find_preset("mri", "bundled"), {0: 1e-3 / 300, 299: 1e-3, 7250: 1e-3 * 0.505, 14_200: 1e-5}),
    ],
)
def test_learning_rates_by_step(preset: Preset, rates: dict[int, float]) -> None:
    recipe = recipe_for(preset)
    for step, rate in rates.items():
        assert recipe.learning_rate(step) == pytest.approx(rate, rel=1e-3)


def test_the_published_run_trains_44_networks_in_three_planes() -> None:
    names = [plan.name for plan in recipe_for(find_preset("three-projection", "paper")).plans]
    assert len(set(names)) == 44
    assert [name.split("-")[0] for name in names].count("axial") == 40

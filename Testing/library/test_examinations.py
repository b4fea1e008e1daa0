"""MRI examinations with some of the sequences: what is there, and what counts as true."""

from __future__ import annotations

import numpy as np
import pytest

from StrokeSegLib.synth.examinations import EXAMINATIONS, WITHOUT_PAIR, draw_taken, make_examination, only_with
from StrokeSegLib.synth.mri import make_mri_case
from StrokeSegLib.synth.mri_sequences import STAGES
from StrokeSegLib.synth.procedural import procedural_head
from StrokeSegLib.synth.sources import Sources
from StrokeSegLib.systems.mri import SEQUENCES
from StrokeSegLib.training.pool import generated_case
from StrokeSegLib.training.recipes.mri import misscaled_any

SPACING_MM = (4.0, 4.0, 8.0)


def test_chances_of_examinations_sum_to_one() -> None:
    assert sum(EXAMINATIONS.values()) == pytest.approx(1)
    assert sum(WITHOUT_PAIR.values()) == pytest.approx(1)


def test_beside_a_network_for_the_pair_no_examination_has_both() -> None:
    assert not [roles for roles in WITHOUT_PAIR if {"dwi", "adc"} <= set(roles)]
    rng = np.random.default_rng(0)
    assert {draw_taken(rng, SEQUENCES, WITHOUT_PAIR) for _ in range(2000)} == set(WITHOUT_PAIR)
    case = generated_case(Sources(), "mri", rng, {"mode": "rest", "sequences": ["adc", "t2"]})
    assert set(case.images) in ({"adc"}, {"t2"})


def test_every_examination_is_drawn_in_the_cards_order_and_never_an_empty_one() -> None:
    rng = np.random.default_rng(0)
    drawn = {draw_taken(rng, SEQUENCES) for _ in range(2000)}
    assert drawn == set(EXAMINATIONS)
    assert draw_taken(rng, ()) == ()
    pairs = {draw_taken(rng, ("flair", "t1")) for _ in range(200)}
    assert pairs == {("flair",), ("t1",), ("flair", "t1")}


@pytest.mark.slow
def test_truth_is_what_the_sequences_show() -> None:
    head = procedural_head(np.random.default_rng(1))
    for seed in range(30):
        case = make_mri_case(np.random.default_rng(seed), head, healthy=False, spacing_mm=SPACING_MM)
        if case.parameters["stage"] == list(STAGES).index("chronic") and case.truth.array.any():
            break
    visible = case.visible_on or {}
    on_diffusion = only_with(case, ("dwi", "adc"))
    assert list(on_diffusion.images) == ["dwi", "adc"]
    assert np.array_equal(on_diffusion.truth.array > 0, visible["dwi"])  # old: its high ADC alone is no finding
    with_flair = only_with(case, ("dwi", "adc", "flair"))
    assert np.array_equal(with_flair.truth.array > 0, visible["dwi"] | visible["flair"])
    assert visible["adc"].sum() > visible["dwi"].sum()


@pytest.mark.slow
@pytest.mark.parametrize("roles", [("t2",), ("dwi", "adc"), ("adc", "flair")])
def test_an_examination_has_its_sequences_alone(roles: tuple[str, ...]) -> None:
    case = make_examination(np.random.default_rng(2), procedural_head(np.random.default_rng(1)), None, roles)
    assert tuple(case.images) == roles
    assert all(image.same_grid(case.truth) for image in case.images.values())


def test_a_wrong_scale_keeps_missing_sequences_at_zero_and_signal_free_voxels_at_theirs() -> None:
    each = 3  # a slice and its neighbors
    x = np.zeros((2 * len(SEQUENCES) * each, 2, 2), np.float32)
    planes = {role: slice(n * each, (n + 1) * each) for n, role in enumerate(SEQUENCES)}
    half = len(x) // 2
    x[planes["dwi"]] = -1 / 1.5  # DWI of 0
    x[planes["t1"]] = 2.0
    for role in ("dwi", "t1"):
        x[half:][planes[role]] = 1
    moved = misscaled_any(np.random.default_rng(0), x)
    assert np.array_equal(moved[half:], x[half:])
    assert np.allclose(moved[planes["dwi"]], -1 / 1.5)
    for role in ("adc", "flair", "t2"):
        assert not moved[planes[role]].any()
    gain = moved[planes["t1"]] / 2
    assert np.allclose(gain, gain.flat[0])
    assert gain.flat[0] != 1

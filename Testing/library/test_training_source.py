"""What training draws: samples by number, crops that hold what they should, generated cases."""

from __future__ import annotations

import numpy as np
import pytest
from training_phantoms import TINY, tiny_cases, tiny_preset

from StrokeSegLib.errors import InputError
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.augment import mirrored, quarter_turned, rescaled, turned_and_scaled
from StrokeSegLib.training.crops import cut, near_window, slice_sample
from StrokeSegLib.training.dataset import TrainingCase, prepare_case
from StrokeSegLib.training.pool import Pool, PoolSource, SynthSource, generated_case, load_heads, modality_for
from StrokeSegLib.training.recipes import recipe_for
from StrokeSegLib.training.recipes.three_projection import even_slice
from StrokeSegLib.training.source import IndexedCases, TableSource, index_of


@pytest.mark.parametrize(("system", "name"), TINY)
def test_a_sample_depends_on_its_step_and_number_alone(system: str, name: str) -> None:
    plan = recipe_for(tiny_preset(system, name)).plans[0]
    cases = IndexedCases(tiny_cases(system, name))
    together = TableSource(cases, plan.draw, plan.seed).batch(7, range(4))
    alone = TableSource(cases, plan.draw, plan.seed).batch(7, range(2, 4))
    np.testing.assert_array_equal(together.x[2:], alone.x)
    np.testing.assert_array_equal(together.y[2:], alone.y)
    assert together.names[2:] == alone.names
    other = TableSource(cases, plan.draw, plan.seed).batch(8, range(4))
    assert not np.array_equal(together.x, other.x)
    assert (together.x.dtype, together.y.dtype) == (np.float32, np.float32)
    assert together.y.min() >= 0
    assert together.y.max() <= 1


@pytest.mark.parametrize(("system", "name"), [key for key in TINY if key[1] == "bundled"])
def test_crops_drawn_for_a_lesion_show_one(system: str, name: str) -> None:
    """The lesion is bright in every channel, wherever augmentation moved it."""
    words = ["lesion_chance=1"] + (["channel_drop_chance=0"] if system == "ct-perfusion" else [])
    plan = recipe_for(tiny_preset(system, name, *words)).plans[0]
    batch = TableSource(IndexedCases(tiny_cases(system, name)), plan.draw, 1).batch(0, range(20))
    for x, y in zip(batch.x, batch.y, strict=True):
        lesion = y.max(axis=0) > 0.5
        assert lesion.any()
        middle = x[len(x) // 4]  # for slices with neighbors: the middle one of the first channel
        assert middle[lesion].mean() > middle[~lesion].mean() + 0.5


def test_a_window_beyond_the_case_is_filled() -> None:
    array = np.arange(1, 9).reshape(1, 2, 2, 2)
    window = cut(array, (-1, 0, 1), (3, 2, 2))
    assert window.shape == (1, 3, 2, 2)
    assert window[0, 0].tolist() == [[0, 0], [0, 0]]
    assert window[0, 1].tolist() == [[2, 0], [4, 0]]
    assert cut(array, (5, 5, 5), (1, 1, 1), np.array([9])).ravel().tolist() == [9]


def test_windows_near_a_voxel_hold_it_and_stay_inside() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        center = rng.integers(0, (12, 40, 30))
        starts = near_window(rng, (12, 40, 30), center, (16, 20, 10))
        assert starts[0] == 0  # the window is larger than the case: it begins at its edge
        for c, s, n, w in list(zip(center, starts, (12, 40, 30), (16, 20, 10), strict=True))[1:]:
            assert 0 <= s <= c < s + w <= n


def test_the_index_of_a_case_by_hand() -> None:
    target = np.zeros((2, 4, 6, 8), np.uint8)
    target[0, 1, 2, 3] = 255
    target[1, 2, 5, 7] = 200
    target[0, 3, 0, 0] = 100  # less than half
    brain = np.zeros((4, 6, 8), bool)
    brain[1:3, 2:5, 3:8] = True
    index = index_of(TrainingCase("a", np.zeros((1, 4, 6, 8), np.float16), target, brain, (1.0, 1.0, 1.0)))
    assert index.lesion.tolist() == [[1, 2, 3], [2, 5, 7]]
    assert [np.flatnonzero(s).tolist() for s in index.stroke_slices] == [[1, 2], [2, 5], [3, 7]]
    assert index.box == (slice(1, 3), slice(2, 5), slice(3, 8))
    assert index.lesion_voxels == 1  # the other one lies outside of the brain's box
    assert len(index.brain) == 2 * 3 * 5


def test_augmentation_moves_image_and_truth_together() -> None:
    x = np.zeros((2, 33, 33), np.float32)
    x[:, 5:12, 9:14] = 3
    sample = (x, (x[:1] > 0).astype(np.float32))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        moved = turned_and_scaled(rng, quarter_turned(rng, mirrored(rng, sample, (-1, -2)), 0.75), 45, (0.9, 1.1))
        np.testing.assert_allclose(moved[0][0] / 3, moved[1][0], atol=1e-5)
        assert moved[1].sum() > 20


def test_a_rescaled_image_keeps_its_scale_but_for_a_little() -> None:
    x = np.ones((400, 2, 2), np.float32)
    changed = rescaled(np.random.default_rng(0), x, 0.05, 0.0)[:, 0, 0]
    assert changed.mean() == pytest.approx(1, abs=0.01)
    assert changed.std() == pytest.approx(0.05, abs=0.01)


def test_coronal_slices_of_thick_series_get_square_pixels() -> None:
    """Two slices 3 mm apart, 1 mm pixels: six rows over the same 6 mm, linear between the slices' middles."""
    channels = np.zeros((1, 2, 4, 5), np.float16)
    channels[0, 1] = 6
    case = TrainingCase("a", channels, np.zeros((1, 2, 4, 5), np.uint8), np.ones((2, 4, 5), bool), (1.0, 1.0, 3.0))
    x, y = even_slice(case, "coronal", 2)
    assert x.shape == y.shape == (1, 6, 5)
    np.testing.assert_allclose(x[0, :, 0], [0, 0, 2, 4, 6, 6], atol=1e-5)
    assert slice_sample(case, "sagittal", 1, 0)[0].shape == (1, 2, 4)


def test_a_full_pool_lets_the_oldest_case_go() -> None:
    pool = Pool(load_heads(SynthSource()), "mri", {}, size=2, processes=0, seed=0)
    for case in tiny_cases("mri", "bundled", 3):
        pool.add(case)
    assert sorted(pool[n].case_id for n in range(len(pool))) == ["case-1", "case-2"]
    assert pool.made == 3
    plan = recipe_for(tiny_preset("mri", "bundled")).plans[0]
    assert set(PoolSource(pool, plan.draw, 1).batch(0, range(20)).names) == {"case-1", "case-2"}


@pytest.mark.slow
def test_background_processes_fill_the_pool() -> None:
    with Pool(load_heads(SynthSource()), "mri", {"mode": "diffusion"}, size=2, processes=1, seed=3) as pool:
        pool.refresh(wait_for=1)
        case = pool[0]
    assert case.channels.shape[0] == 2
    assert case.channels.dtype == np.float16
    assert case.target.shape[1:] == case.brain.shape == case.channels.shape[1:]


def test_cases_that_are_all_refused_end_the_wait_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("StrokeSegLib.training.pool.REFUSED_IN_A_ROW", 2)
    wrong = {"mode": "diffusion", "no_such_setting": 1}
    with (
        Pool(load_heads(SynthSource()), "mri", wrong, size=2, processes=1, seed=3) as pool,
        pytest.raises(InputError, match=r"2 generated cases in a row .* know no no_such_setting"),
    ):
        pool.refresh(wait_for=1)


@pytest.mark.parametrize(
    ("system", "name", "modality"),
    [
        ("mri", "bundled", "dwi"),
        ("mri", "paper", "mri"),
        ("ct-perfusion", "paper", "ctp"),
        ("noncontrast-ct", "paper", "ct"),
        ("three-projection", "bundled", "ct"),
    ],
)
def test_what_a_preset_reads_is_generated(system: str, name: str, modality: str) -> None:
    assert modality_for(system, recipe_for(tiny_preset(system, name)).prepare_settings) == modality


@pytest.mark.slow
def test_only_what_the_read_sequence_shows_is_true() -> None:
    """Seen on T1 is less than on FLAIR, T1 and T2 together, and the published preset can prepare the case."""
    heads = load_heads(SynthSource())
    settings = recipe_for(tiny_preset("mri", "paper", "sequence=t1")).prepare_settings
    everything = {"mode": "stack", "sequences": ["flair", "t1", "t2"]}  # with diffusion, the grid is its own
    shown, whole = (
        generated_case(heads, "mri", np.random.default_rng(4), each).truth.array for each in (settings, everything)
    )
    assert (shown <= whole).all()
    assert shown.sum() < whole.sum()
    made = generated_case(heads, "mri", np.random.default_rng(4), settings)
    assert prepare_case("a", SYSTEMS["mri"], made.images, made.truth, settings).channels.shape[0] == 3

"""How sure a result is, by hand arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import expit, logit

from StrokeSegLib.errors import InputError
from StrokeSegLib.uncertainty import LesionModel, error_probability, fit_lesion_model, uncertainty_map
from StrokeSegLib.volume import Volume


def test_a_marked_voxel_is_wrong_with_the_rest_an_unmarked_one_with_the_largest() -> None:
    p = {1: np.array([[[0.7, 0.2, 0.5, 0.1]]], np.float32), 2: np.array([[[0.1, 0.3, 0.9, 0.0]]], np.float32)}
    labels = np.array([[[1, 0, 2, 3]]], np.uint8)  # 3 is found by a rule
    assert error_probability(p, labels)[0, 0] == pytest.approx([0.3, 0.3, 0.1, 0.0])


def test_what_was_dropped_stays_doubtful() -> None:
    p = {1: np.array([[[0.95]]], np.float32)}
    assert error_probability(p, np.zeros((1, 1, 1), np.uint8))[0, 0, 0] == pytest.approx(0.95)


def test_a_voxel_is_seen_with_its_surroundings() -> None:
    """A lone sure voxel among sure others of the other kind is doubted more than its p says; far from it none is."""
    p = np.zeros((9, 81, 81), np.float32)
    p[4, 40, 40] = 1.0
    volume = Volume(p, (1.0, 1.0, 5.0))
    labels = volume.with_array((p > 0.5).astype(np.uint8))
    doubt = uncertainty_map({1: volume}, labels)
    assert doubt.same_grid(volume)
    # Its odds are kept at 9999 to 1, theirs at 1 to 9999: 9999 ** (3/4 - 1/4) is 100 to 1.
    assert doubt.array[4, 40, 40] == pytest.approx(1 / 101, abs=0.002)
    assert doubt.array[4, 40, 43] < 0.001  # one voxel is next to nothing in a blur of 12 mm
    assert doubt.array[4, 40, 60] == 0


def test_beside_a_lesion_one_doubts_more_than_far_from_it() -> None:
    p = np.full((1, 60, 60), 0.02, np.float32)
    p[0, :, :30] = 0.98
    volume = Volume(p, (1.0, 1.0, 5.0))
    doubt = uncertainty_map({1: volume}, volume.with_array((p > 0.5).astype(np.uint8))).array[0, 30]
    # Beside the border the surroundings are half of each, log odds 0: of odds of 1 to 49 three quarters' power is left.
    assert doubt[30] == pytest.approx(1 / (1 + 49**0.75), abs=0.005)
    assert doubt[29] == pytest.approx(1 / (1 + 49**0.75), abs=0.005)
    assert doubt[55] == pytest.approx(0.02, abs=0.002)
    assert np.all(np.diff(doubt[30:]) <= 1e-6)


def test_nothing_found_is_no_doubt() -> None:
    nothing = Volume(np.zeros((2, 4, 4), np.float32), (1.0, 1.0, 1.0))
    assert not uncertainty_map({1: nothing}, nothing.with_array(np.zeros((2, 4, 4), np.uint8))).array.any()


def test_a_lesion_model_by_hand() -> None:
    model = LesionModel(intercept=0.0, per_logit=1.0, per_log10_ml=2.0)
    # Log odds of 0.75 are ln 3; log10 of 10 mL is 1: ln 3 + 2.
    assert model.probability(0.75, 10.0) == pytest.approx(3 * np.e**2 / (1 + 3 * np.e**2))
    assert model.probability(0.5, 1.0) == pytest.approx(0.5)
    assert model.as_dict() == {"intercept": 0.0, "per_logit": 1.0, "per_log10_ml": 2.0}


def test_a_lesion_model_is_found_again_from_what_it_says() -> None:
    rng = np.random.default_rng(0)
    true = LesionModel(-0.5, 1.2, 0.8)
    p, ml = rng.uniform(0.3, 0.99, 4000), 10 ** rng.uniform(-2, 2, 4000)
    chance = np.array([true.probability(*each) for each in zip(p, ml, strict=True)])
    found = fit_lesion_model(p.tolist(), ml.tolist(), (rng.random(4000) < chance).tolist())
    again = np.array([found.probability(*each) for each in zip(p, ml, strict=True)])
    assert np.abs(again - chance).mean() < 0.03


def test_all_alike_gives_a_model_that_is_not_certain() -> None:
    model = fit_lesion_model([0.8, 0.9], [1.0, 2.0], [True, True])
    assert 0.5 < model.probability(0.85, 1.5) < 1
    with pytest.raises(InputError, match="got none"):
        fit_lesion_model([], [], [])


def test_as_blurred_voxel_by_voxel() -> None:
    """What is worked on is cut to a box and blurred on a coarse grid: that must hardly show."""
    rng = np.random.default_rng(1)
    fields = ndimage.gaussian_filter(rng.standard_normal((2, 30, 70, 50)), (0, 1.7, 3.6, 4.4))
    first, second = expit(6 * fields / fields.std() - 6).astype(np.float32)
    marked = np.where(first > 0.6, 1, np.where(second > 0.7, 2, 0)).astype(np.uint8)
    marked[0, 69, 49] = 3  # found by a rule
    grid = Volume(marked, (0.9, 1.1, 2.3))
    found = uncertainty_map({1: grid.with_array(first), 2: grid.with_array(second)}, grid).array
    sigma = [12.0 / 2.355 / mm for mm in (2.3, 1.1, 0.9)]
    seen = {}
    for value, p in ((1, first), (2, second)):
        own = logit(p.clip(1e-4, 1 - 1e-4))
        seen[value] = expit(0.75 * own + 0.25 * ndimage.gaussian_filter(own, sigma, mode="nearest"))
    inner = np.s_[:, 3:-3, 3:-3]  # maps end in nothing before an image does
    np.testing.assert_allclose(found[inner], error_probability(seen, marked)[inner], atol=0.05)
    assert found[0, 69, 49] == 0
    assert found.dtype == np.float32


def test_working_in_place_changes_no_bit() -> None:
    """Beside the sum as it is written down, slice by slice, with a new array for each step."""
    from StrokeSegLib import uncertainty as module

    rng = np.random.default_rng(2)
    maps = {value: rng.beta(0.3, 2.0, (7, 61, 53)).astype(np.float32) for value in (1, 2)}
    marked = np.where(maps[1] > 0.6, 1, np.where(maps[2] > 0.7, 2, 0)).astype(np.uint8)
    grid = Volume(marked, (0.45, 0.8, 2.3))
    found = uncertainty_map({value: grid.with_array(p) for value, p in maps.items()}, grid).array
    near = {value: module._Blurred.of(p, grid.spacing_mm) for value, p in maps.items()}

    def between(array, axis, low, part):  # type: ignore[no-untyped-def]
        high = np.minimum(low + 1, array.shape[axis] - 1)
        return array.take(low, axis) * (1 - part) + array.take(high, axis) * part

    for k in range(7):
        seen = {}
        for value, p in maps.items():
            one = near[value]
            plane = between(one.coarse, 0, one.low[0][k : k + 1], one.part[0][k : k + 1])[0]
            around = between(between(plane, 0, one.low[1], one.part[1][:, None]), 1, one.low[2], one.part[2])
            odds = p[k].clip(np.float32(1e-4), np.float32(1 - 1e-4))
            log_odds = (1 - module.SURROUNDINGS) * np.log(odds / (1 - odds)) + module.SURROUNDINGS * around
            seen[value] = np.reciprocal(np.exp(-log_odds) + 1)
        np.testing.assert_array_equal(found[k], error_probability(seen, marked[k]))

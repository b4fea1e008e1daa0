"""How sure a result is, by hand arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

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
    """A lone sure voxel among unsure ones is doubted; far from anything nothing is."""
    p = np.zeros((5, 41, 41), np.float32)
    p[2, 20, 20] = 1.0
    volume = Volume(p, (1.0, 1.0, 5.0))
    labels = volume.with_array((p > 0.5).astype(np.uint8))
    doubt = uncertainty_map({1: volume}, labels)
    assert doubt.same_grid(volume)
    # Its blur holds (1 / (sqrt(2 pi) sigma))^2 of it in the plane (the next slices are 5 mm away: 1 / 1.06).
    sigma = 4 / 2.355
    own = 1 / (2 * np.pi * sigma**2)
    assert doubt.array[2, 20, 20] == pytest.approx(1 - (1 + own) / 2, abs=0.02)
    assert 0 < doubt.array[2, 20, 22] < 0.05
    assert doubt.array[2, 20, 30] == 0


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

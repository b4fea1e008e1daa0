"""A CT without its skull gives one brain, whatever value lies around it."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_ct import ct_head

from StrokeSegLib.preprocess.ct_edge import AIR_HU, resampled_ct
from StrokeSegLib.preprocess.geometry import grid_of, resample, working_grid
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.systems.base import Prepared
from StrokeSegLib.volume import Volume

HEAD, BRAIN, _ = ct_head((1.3, 1.3, 5.0), noise_hu=2.0)
GRID = working_grid(HEAD, 2.0, 3.0)
AROUND = [0.0, -1.0, -1000.0, -1024.0, -3024.0]


def stripped(around: float) -> Volume:
    return HEAD.with_array(np.where(BRAIN, HEAD.array, np.float32(around)).astype(np.float32))


def prepared(system: str, around: float) -> Prepared:
    return SYSTEMS[system].prepare({"ct": stripped(around)}, in_plane_mm=2.0, tissue_hu=31.0)


@pytest.mark.parametrize("system", ["noncontrast-ct", "three-projection"])
def test_the_value_around_a_stripped_brain_changes_nothing(system: str) -> None:
    first = prepared(system, AROUND[0])
    true_ml = BRAIN.sum() * HEAD.voxel_volume_ml
    assert first.brain.sum() * np.prod(first.grid.spacing_mm) / 1000 == pytest.approx(true_ml, rel=0.03)
    for around in AROUND[1:]:
        other = prepared(system, around)
        assert np.array_equal(other.brain, first.brain)
        assert np.allclose(other.channels[0][first.brain], first.channels[0][first.brain], atol=0.01)


@pytest.mark.parametrize("around", AROUND)
def test_the_edge_of_a_stripped_brain_has_the_brains_values(around: float) -> None:
    gray = np.random.default_rng(0).uniform(30, 40, BRAIN.shape)
    values = resampled_ct(HEAD.with_array(np.where(BRAIN, gray, around).astype(np.float32)), GRID)
    assert (((values > 29.99) & (values < 40.01)) | (values == around)).all()


@pytest.mark.parametrize("window_hu", [(-1000.0, 3000.0), (0.0, 80.0), (-100.0, 300.0)])
def test_a_head_with_its_skull_is_only_resampled(window_hu: tuple[float, float]) -> None:
    whole = HEAD.with_array(HEAD.array.clip(*window_hu))
    assert np.array_equal(resampled_ct(whole, GRID), resample(whole, GRID, outside=AIR_HU).array)


def test_brain_that_fills_the_image_is_only_resampled() -> None:
    flat = Volume(np.full((4, 20, 20), 35, np.int16), (1.0, 1.0, 5.0))
    assert (resampled_ct(flat, grid_of(flat)) == 35).all()

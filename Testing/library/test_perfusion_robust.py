"""Perfusion maps as other sites send them: on grids of their own, with padding, with two of them swapped."""

from __future__ import annotations

import numpy as np
import pytest
from test_ct_perfusion import MAPS, SYSTEM, slab

from StrokeSegLib.preprocess.geometry import Grid, onto_reference
from StrokeSegLib.preprocess.intensity import check_modality
from StrokeSegLib.volume import Volume

IMAGES, LABELS = slab()


def half_a_voxel_off(volume: Volume) -> Volume:
    """An empty image whose voxels lie between those of the given one."""
    shift = np.array(volume.origin) + 0.5 * np.array([volume.spacing_mm[0], volume.spacing_mm[1], 0.0])
    return Volume(np.zeros_like(volume.array), volume.spacing_mm, tuple(shift), volume.direction)


@pytest.mark.parametrize("role", ["cbf", "cbv", "mtt"])
def test_the_edge_of_a_resampled_map_is_no_rim_without_blood(role: str) -> None:
    """Healthy brain alone has one value, so on any grid a voxel has that or none."""
    value = float(IMAGES[role].array.max())
    flat = IMAGES[role].with_array(np.where(IMAGES[role].array > 0, np.float32(value), 0))
    moved = onto_reference(flat, half_a_voxel_off(flat), role).array
    assert np.allclose(moved[moved != 0], value)
    assert (moved > 0).sum() == pytest.approx((flat.array > 0).sum(), rel=0.02)


def test_what_calculation_leaves_of_0_is_no_brain() -> None:
    clean = SYSTEM.prepare(IMAGES)
    noise = np.abs(np.random.default_rng(0).normal(0, 1e-11, LABELS.shape)).astype(np.float32)
    unclean = {role: IMAGES[role].with_array(IMAGES[role].array + noise) for role in MAPS}
    prepared = SYSTEM.prepare({**IMAGES, **unclean})
    assert np.array_equal(prepared.brain, clean.brain)
    assert np.allclose(prepared.channels, clean.channels, atol=1e-3)


def test_the_order_in_which_axes_are_stored_changes_nothing() -> None:
    ct = IMAGES["ct"]
    i, j, k = ct.size_ijk
    turned = Grid((i, j, k), ct.spacing_mm, tuple(ct.ijk_to_lps((i - 1, 0, 0))), ct.direction * [-1, 1, 1])
    reference = Volume(ct.array[:, :, ::-1].copy(), turned.spacing_mm, turned.origin, turned.direction)
    maps = {role: onto_reference(IMAGES[role], reference, role) for role in MAPS}
    a, b = SYSTEM.prepare(IMAGES), SYSTEM.prepare({"ct": reference, **maps})
    assert np.array_equal(a.brain, b.brain)
    assert np.allclose(a.channels, b.channels, atol=1e-3)


def test_swapped_mtt_and_tmax_are_told() -> None:
    assert SYSTEM.prepare(IMAGES).warnings == ()
    swapped = {**IMAGES, "mtt": IMAGES["tmax"], "tmax": IMAGES["mtt"]}
    assert any("mtt and tmax are not swapped" in warning for warning in SYSTEM.prepare(swapped).warnings)


@pytest.mark.parametrize("role", MAPS)
def test_padding_that_no_ct_has_does_not_make_a_map_a_ct(role: str) -> None:
    array = IMAGES[role].array
    check_modality(np.where(array > 0, array, -32768), None, role)

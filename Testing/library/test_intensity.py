"""ADC units, DWI scale and the CT/MRI check, on phantoms of known values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.preprocess.brain import brain_mask
from StrokeSegLib.preprocess.intensity import (
    check_modality,
    dwi_scale,
    find_adc_unit,
    looks_like_ct,
    network_channels,
)


def phantom() -> tuple[np.ndarray, np.ndarray]:
    """A disk of brain (DWI 200, ADC 0.8) around a ventricle (DWI 20, ADC 3.0); noise-free background 0."""
    j, i = np.mgrid[:64, :64]
    r = np.hypot(j - 32, i - 32)
    dwi = np.where(r < 28, 200.0, 0.0) * np.where(r < 6, 0.1, 1.0)
    adc = np.where(r < 28, 0.8, 0.0)
    adc[r < 6] = 3.0
    return np.repeat(dwi[None], 6, 0).astype(np.float32), np.repeat(adc[None], 6, 0).astype(np.float32)


@pytest.mark.parametrize(
    ("factor", "power", "name"), [(1, 0, "10⁻³ mm²/s"), (1e-3, 3, "mm²/s"), (1e3, -3, "10⁻⁶ mm²/s")]
)
def test_the_three_adc_units_are_recognized(factor: float, power: int, name: str) -> None:
    dwi, adc = phantom()
    unit = find_adc_unit(adc * np.float32(factor), dwi)
    assert (unit.power, unit.name) == (power, name)


def test_a_map_that_fits_no_unit_is_refused() -> None:
    dwi, adc = phantom()
    with pytest.raises(InputError, match=r"median of 0\.28.* fits no ADC unit"):
        find_adc_unit(adc * np.float32(0.35), dwi)


def test_an_empty_adc_is_refused() -> None:
    dwi, adc = phantom()
    with pytest.raises(InputError, match="no positive value"):
        find_adc_unit(adc * 0, dwi)


def test_negative_adc_in_the_air_does_not_disturb_the_unit() -> None:
    dwi, adc = phantom()
    adc[dwi == 0] = -900.0
    assert find_adc_unit(adc, dwi).power == 0


def test_a_head_with_more_fluid_than_brain_has_its_adc_unit_too() -> None:
    """Three fifths of what is not background are CSF, a third as bright as the brain on DWI."""
    fluid = np.arange(1000).reshape(10, 10, 10) % 5 < 3
    adc, dwi = np.where(fluid, 3.0, 0.85).astype(np.float32), np.where(fluid, 100.0, 300.0).astype(np.float32)
    for power, factor in ((0, 1.0), (3, 1e-3), (-3, 1e3)):
        assert find_adc_unit(adc * np.float32(factor), dwi).power == power


def test_the_dwi_scale_is_the_median_of_parenchyma() -> None:
    dwi, adc = phantom()
    assert dwi_scale(dwi, adc, brain_mask(dwi, adc)) == pytest.approx(200)


def test_the_dwi_scale_ignores_the_scanner_gain() -> None:
    dwi, adc = phantom()
    a = network_channels(dwi, adc, dwi_scale(dwi, adc, brain_mask(dwi, adc)))
    b = network_channels(dwi * 17, adc, dwi_scale(dwi * 17, adc, brain_mask(dwi * 17, adc)))
    assert np.allclose(a, b, atol=1e-5)


def test_brain_mask_fills_the_ventricle_and_leaves_the_air() -> None:
    dwi, adc = phantom()
    mask = brain_mask(dwi, adc)
    j, i = np.mgrid[:64, :64]
    r = np.hypot(j - 32, i - 32)
    assert mask[3][r < 26].all()
    assert not mask[3][r > 31].any()


def test_face_and_neck_in_the_scan_disturb_neither_mask_nor_scale() -> None:
    """Muscle (DWI 60, ADC 1.4) and fat (DWI 60, ADC 0.4) fill three times the slices that show brain (DWI 200)."""
    dwi, adc = phantom()
    muscle = np.where(dwi > 0, 60, 0).astype(np.float32)
    neck_adc = np.where(dwi > 0, 1.4, 0).astype(np.float32)
    neck_adc[:, :32] = np.where(dwi[:, :32] > 0, 0.4, 0)
    whole_dwi = np.concatenate([muscle, muscle, muscle, dwi])
    whole_adc = np.concatenate([neck_adc, neck_adc, neck_adc, adc])
    mask = brain_mask(whole_dwi, whole_adc)
    assert not mask[:18].any()
    assert mask[20].sum() > 2000
    assert dwi_scale(whole_dwi, whole_adc, mask) == pytest.approx(200)


@pytest.mark.parametrize("seed", range(4))
def test_brain_mask_is_an_opening_a_closing_and_filled_holes_slice_by_slice(seed: int) -> None:
    """Against scipy's own, on blobs that touch the image's edges and enclose holes."""
    noise = np.random.default_rng(seed).normal(size=(5, 60, 50))
    inside = ndimage.gaussian_filter(noise, (0.5, 2, 2)) > 0.02
    dwi, adc = np.where(inside, 200, 0).astype(np.float32), np.full(inside.shape, 0.8, np.float32)
    pieces, _ = ndimage.label(ndimage.binary_opening(inside, np.ones((1, 3, 3))))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept = (sizes > 0.02 * sizes.max())[pieces]
    closed = ndimage.binary_closing(np.pad(kept, ((0, 0), (8, 8), (8, 8))), np.ones((1, 5, 5)), iterations=2)
    expected = np.stack([ndimage.binary_fill_holes(plane) for plane in closed[:, 8:-8, 8:-8]])
    assert kept.sum() < expected.sum() < inside.size
    assert np.array_equal(brain_mask(dwi, adc), expected | kept)


def test_brain_mask_of_nothing_is_empty() -> None:
    zeros = np.zeros((3, 16, 16), np.float32)
    assert not brain_mask(zeros, zeros).any()


def ct_phantom() -> np.ndarray:
    j, i = np.mgrid[:64, :64]
    r = np.hypot(j - 32, i - 32)
    plane = np.where(r < 28, 35.0, np.where(r < 31, 900.0, -1000.0))
    return np.repeat(plane[None], 6, 0)


def test_ct_is_told_from_mri_by_its_air() -> None:
    assert looks_like_ct(ct_phantom())
    assert not looks_like_ct(phantom()[0])


def test_an_adc_map_in_micrometers_with_noise_below_zero_is_no_ct() -> None:
    rng = np.random.default_rng(0)
    adc = rng.normal(0, 600, (10, 40, 40))  # a fifth of the air below -500 is as bad as it gets
    adc[:, 10:30, 10:30] = 900
    assert not looks_like_ct(adc)


@pytest.mark.parametrize("role", ["dwi", "adc"])
def test_ct_given_as_mri_is_refused(role: str) -> None:
    with pytest.raises(InputError, match=f"{role} looks like CT .*needed an MRI"):
        check_modality(ct_phantom(), None, role)


def test_mri_given_as_ct_is_refused() -> None:
    with pytest.raises(InputError, match="ct looks like MRI"):
        check_modality(phantom()[0], None, "ct")


def test_a_skull_stripped_ct_with_zeros_around_it_is_ct() -> None:
    stripped = np.clip(ct_phantom(), 0, 80)
    stripped[stripped == 80] = 0
    check_modality(stripped, None, "ct")


def test_a_skull_stripped_ct_with_a_rest_of_bone_is_ct() -> None:
    stripped = np.clip(ct_phantom(), 0, 80)
    stripped[stripped == 80] = 0
    shown = np.flatnonzero(stripped)
    stripped.ravel()[shown[:: len(shown) // (len(shown) // 20)]] = 700.0  # one voxel of twenty
    check_modality(stripped, None, "ct")


@pytest.mark.parametrize(("low", "high"), [(0.0, 80.0), (-10.0, 90.0), (-65.0, 185.0)])
def test_a_ct_that_was_saved_through_a_window_is_ct(low: float, high: float) -> None:
    check_modality(np.clip(ct_phantom(), low, high), None, "ct")


def test_a_ct_that_is_cut_to_the_head_is_ct() -> None:
    cut = np.full((20, 40, 40), 30.0, np.float32)
    cut[:, :4] = 900.0  # bone
    cut[:, -1, :] = -1000.0  # a corner of air: 2.5%
    check_modality(cut, None, "ct")
    with pytest.raises(InputError, match="looks like MRI"):
        check_modality(cut * 20 + 20_000, None, "ct")


def test_the_dicom_modality_decides_when_there_is_one() -> None:
    with pytest.raises(InputError, match="its DICOM modality is CT"):
        check_modality(phantom()[0], "CT", "dwi")
    check_modality(phantom()[0], "MR", "dwi")

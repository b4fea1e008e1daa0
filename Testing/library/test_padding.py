"""What stands where nothing was measured: any value around the head leaves the same image."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_ct import ct_head

from StrokeSegLib.errors import InputError
from StrokeSegLib.preprocess.ct_brain import ct_brain_mask
from StrokeSegLib.preprocess.geometry import onto_reference
from StrokeSegLib.preprocess.intensity import check_modality
from StrokeSegLib.preprocess.padding import without_padding
from StrokeSegLib.segmentation import _on_one_grid, _read_all
from StrokeSegLib.volume import Volume

SPACING_MM = (2.0, 2.0, 4.0)
HEAD, BRAIN, _ = ct_head(SPACING_MM, noise_hu=4.0)
OUTSIDE = HEAD.array < -500
RNG = np.random.default_rng(0)


def volume(array: np.ndarray, shift_mm: float = 0.0) -> Volume:
    return Volume(np.ascontiguousarray(array), SPACING_MM, (shift_mm, 0.0, 0.0), np.eye(3))


def adc_map(around: float | np.ndarray) -> np.ndarray:
    """An ADC map in 10⁻⁶ mm²/s, a few values below 0 at the skull."""
    adc = RNG.normal(850, 60, BRAIN.shape).astype(np.float32)
    adc[~BRAIN] = RNG.normal(100, 120, int((~BRAIN).sum()))
    return np.where(OUTSIDE, around, adc).astype(np.float32)


@pytest.mark.parametrize("around", [-1.0, -4096.0, -32768.0, 4095.0, 3000.0])
@pytest.mark.parametrize("role", ["dwi", "adc", "flair"])
def test_any_padding_of_an_mri_becomes_0_and_is_told(role: str, around: float) -> None:
    given = adc_map(around)
    readings = _read_all({role: volume(given)}, lambda stage, done, total: None)
    read = readings[role].volume.array
    assert np.array_equal(read, np.where(OUTSIDE, 0, given))
    assert f"have the value {around:g}" in _on_one_grid(readings)[1][0]
    assert given[OUTSIDE].max() == around  # the caller's array is left alone


@pytest.mark.parametrize(
    "around",
    [0.0, 3.0, RNG.logistic(0, 500, OUTSIDE.shape), RNG.integers(0, 4, OUTSIDE.shape)],
    ids=["0", "a noise floor", "noise", "noise of whole numbers"],
)
def test_air_without_padding_is_left_as_it_is(around: float | np.ndarray) -> None:
    given = volume(adc_map(around))
    assert without_padding(given, "adc") == (given, "")


def test_an_image_that_is_centered_on_0_keeps_what_lies_around_it() -> None:
    given = volume(np.where(OUTSIDE, -0.7, RNG.normal(0, 1, BRAIN.shape)))
    assert without_padding(given, "t1") == (given, "")


def test_padding_does_not_run_into_the_brain_where_an_image_is_resampled() -> None:
    reference = volume(adc_map(0.0), shift_mm=1.0)
    clean, padded = adc_map(0.0), None
    padded = np.where(OUTSIDE, -32768, clean)
    a, b = (onto_reference(volume(array), reference, "adc").array for array in (clean, padded))
    assert np.array_equal(a, b)


@pytest.mark.parametrize("scale", [400, 500, 1000])
def test_an_adc_map_whose_air_was_not_masked_is_no_ct(scale: float) -> None:
    """Noise over noise: half of it below 0, in an image that is mostly air."""
    noise = RNG.logistic(0, scale, (10, 90, 90))  # the logarithm of two Rayleigh values' ratio is logistic
    noise[:, 30:60, 30:60] = 850
    check_modality(noise, None, "adc")


@pytest.mark.parametrize("role", ["dwi", "adc"])
@pytest.mark.parametrize("around", [-1000.0, -1024.0, -3024.0])
def test_a_ct_with_padding_is_still_told_from_mri(role: str, around: float) -> None:
    corners = HEAD.array.copy()
    corners[:, :10] = around
    for ct in (corners, np.where(BRAIN, HEAD.array, around)):
        with pytest.raises(InputError, match=f"{role} looks like CT"):
            check_modality(ct, None, role)


@pytest.mark.parametrize("around", [0.0, -1.0])
def test_a_ct_whose_air_was_replaced_is_read(around: float) -> None:
    """As masking tools and threshold filters leave it: skull and scalp are there."""
    hu = np.where(OUTSIDE, around, HEAD.array)
    hu[~OUTSIDE & (HEAD.array > 44) & (HEAD.array < 60)] = -80  # scalp has fat
    check_modality(hu, None, "ct")
    mask = ct_brain_mask(hu.astype(np.float32), SPACING_MM)
    assert (mask & BRAIN).sum() > 0.97 * BRAIN.sum()


@pytest.mark.parametrize("around", [0.0, -1.0, -1024.0, -3024.0])
def test_a_stripped_ct_with_anything_around_it_is_read(around: float) -> None:
    check_modality(np.where(BRAIN, HEAD.array, around), None, "ct")


@pytest.mark.parametrize("modality", [None, "CT"])
@pytest.mark.parametrize("corners", [-2000, None])
def test_a_ct_without_its_intercept_is_refused_also_where_it_has_padding(modality: str, corners: int | None) -> None:
    stored = np.rint(HEAD.array + 1024 + RNG.normal(0, 20, BRAIN.shape)).astype(np.int16)
    stored[0, :2] = -30  # noise of air lies below 0 in places
    if corners is not None:
        j, i = np.indices(stored.shape[1:]) - np.array(stored.shape[1:])[:, None, None] / 2
        stored[:, np.hypot(j, i) > min(stored.shape[1:]) / 2] = corners
    with pytest.raises(InputError, match=r"stored with 1024 added.*subtract 1024"):
        check_modality(stored, modality, "ct")

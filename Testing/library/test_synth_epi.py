"""EPI as physics has it: a ball's known field, signal that moves and piles up, and nothing lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.synth.anatomy import BRAIN, Head, Tissue
from StrokeSegLib.synth.diffusion import SyntheticCase, make_case
from StrokeSegLib.synth.epi import movement
from StrokeSegLib.synth.mri_ranges import DIFFUSION
from StrokeSegLib.synth.procedural import procedural_head
from StrokeSegLib.synth.susceptibility import AIR_OVER_TISSUE_PPM, field_ppm

#: Nothing but anatomy and EPI.
PLAIN = replace(
    DIFFUSION,
    noise=(1e-3, 1e-3),
    ghost=(0.0, 0.0),
    bias=(0.0, 0.0),
    skull_stripped_chance=0.0,
    white_matter_disease_chance=0.0,
    old_infarct_chance=0.0,
    plexus_bright_chance=0.0,
    psf_fwhm_voxel=(0.1, 0.1),
    tesla=(3.0,),
)


def moved(image: NDArray[np.float32], shift: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(movement(shift, np.ones(image.shape, bool)).of(image), np.float32)


def line(*values: float) -> NDArray[np.float32]:
    """One line along ``j``."""
    return np.array(values, np.float32)[None, :, None]


def test_a_ball_of_air_has_the_field_of_a_dipole() -> None:
    """Outside a ball of radius a: susceptibility / 3 * (a / r)^3 * (3 cos^2 - 1), inside nothing; no brain, no shim."""
    axis = np.arange(100) * 2.0 - 99.0
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    whole = np.full(radius.shape, Tissue.MUSCLE, np.uint8)
    with_ball = np.where(radius < 20, np.uint8(Tissue.AIR), whole)
    field, spacing_mm = field_ppm(Head(with_ball, 2.0))
    field = field - field_ppm(Head(whole, 2.0))[0]
    assert spacing_mm == 4.0
    middle = (np.array(field.shape) - 1) / 2

    def at(z_mm: float, x_mm: float) -> float:
        place = middle + np.array([z_mm, 0, x_mm]) / spacing_mm
        return float(ndimage.map_coordinates(field, place[:, None], order=1)[0])

    for r in (28.0, 36.0, 44.0):
        expected = AIR_OVER_TISSUE_PPM / 3 * (20 / r) ** 3
        assert at(r, 0) == pytest.approx(2 * expected, rel=0.1)
        assert at(0, r) == pytest.approx(-expected, rel=0.1)
        assert at(r / np.sqrt(3), r * np.sqrt(2 / 3)) == pytest.approx(0, abs=0.15 * expected)
    assert at(0, 0) == pytest.approx(0, abs=0.2)


def test_no_shift_leaves_every_voxel_as_it_is() -> None:
    image = np.random.default_rng(1).random((3, 9, 4)).astype(np.float32)
    assert np.allclose(moved(image, np.zeros_like(image)), image, atol=1e-6)


def test_a_shift_of_whole_voxels_moves_whole_voxels() -> None:
    image = line(0, 0, 3, 1, 0, 0, 0)
    assert np.allclose(moved(image, np.full_like(image, 2.0)), line(0, 0, 0, 0, 3, 1, 0))
    assert np.allclose(moved(image, np.full_like(image, -1.5)), line(1.5, 2, 0.5, 0, 0, 0, 0))


def test_signal_squeezed_to_half_its_length_is_twice_as_bright() -> None:
    image, shift = np.ones((1, 8, 1), np.float32), -0.5 * np.arange(8, dtype=np.float32)[None, :, None]
    # Ends at 0, 0.75, 1.25, ... 3.75, 4.5: the first and last voxel's outer ends move as their middles do.
    result = moved(image, shift).ravel()
    assert np.allclose(result[1:3], 2)
    assert result.sum() == pytest.approx(8)
    assert not result[5:].any()


def test_signal_that_overtakes_its_neighbor_is_kept() -> None:
    """A fold: the line's sum stays the same."""
    rng = np.random.default_rng(2)
    image = np.zeros((2, 60, 3), np.float32)
    image[:, 20:40] = rng.random((2, 20, 3))
    shift = (4 * rng.standard_normal(image.shape)).astype(np.float32)
    result = moved(image, shift)
    assert np.allclose(result.sum(axis=1), image.sum(axis=1), rtol=1e-5)
    assert result.min() >= 0


def test_a_mask_moves_with_its_signal() -> None:
    mask = line(0, 1, 1, 0, 0, 0) > 0
    move = movement(np.full(mask.shape, 2.0, np.float32), np.ones(mask.shape, bool))
    assert np.array_equal(move.of_mask(mask, np.ones(mask.shape, np.float32)), line(0, 0, 0, 1, 1, 0) > 0)


def test_the_field_is_off_above_the_sinuses_and_beside_the_mastoids_alone() -> None:
    """At 3 T a shimmed brain is within 50 Hz nearly everywhere; over the base tens to hundreds are common."""
    head = procedural_head(np.random.default_rng(3))
    ppm, spacing_mm = field_ppm(head)
    factor = round(spacing_mm / head.spacing_mm)
    inside = np.isin(head.tissue, BRAIN)[factor // 2 :: factor, factor // 2 :: factor, factor // 2 :: factor]
    shape = tuple(min(a, b) for a, b in zip(inside.shape, ppm.shape, strict=True))
    hz = np.abs(ppm[: shape[0], : shape[1], : shape[2]] * 42.577 * 3)
    inside = inside[: shape[0], : shape[1], : shape[2]]
    assert 0.01 < (hz[inside] > 50).mean() < 0.10
    assert 100 < hz[inside].max() < 600
    heights = np.argwhere(inside & (hz > 60))[:, 0] / shape[0]
    assert np.mean(heights < 0.55) > 0.9


def test_bands_of_epi_are_bright_and_keep_their_adc() -> None:
    """With a long readout bright places come up that a readout of no time has not; none of them is truth."""
    head = procedural_head(np.random.default_rng(3))

    def made(readout_s: float) -> SyntheticCase:
        ranges = replace(PLAIN, readout_s=(readout_s, readout_s))
        return make_case(np.random.default_rng(5), head, ranges=ranges, healthy=True, spacing_mm=(2.0, 2.0, 4.0))

    calm, banded = made(0.0), made(0.06)
    limit = 1.3 * float(np.percentile(calm.images["dwi"].array, 99.5))
    bright = {name: case.images["dwi"].array > limit for name, case in (("calm", calm), ("banded", banded))}
    assert bright["banded"].sum() > 2 * bright["calm"].sum() + 50
    new = banded.images["adc"].array[bright["banded"] & ~bright["calm"]]
    assert np.median(new) > 0.6
    assert not banded.truth.array.any()

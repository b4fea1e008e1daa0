"""Head CTs as other sites send them: cut, open, long, clipped, off in their unit; read, or refused in one line."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from synthetic_ct import ct_head, dice

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import Reading, without_nan
from StrokeSegLib.preprocess.ct_brain import brain_doubts, ct_brain_mask
from StrokeSegLib.preprocess.ct_level import leveled
from StrokeSegLib.preprocess.geometry import to_axial
from StrokeSegLib.preprocess.intensity import check_modality
from StrokeSegLib.systems.mri import MRI
from StrokeSegLib.systems.noncontrast_ct import prepare
from StrokeSegLib.volume import Volume

SPACING_MM = (2.0, 2.0, 4.0)
HEAD, BRAIN, _ = ct_head(SPACING_MM, noise_hu=4.0)
MIDDLE = HEAD.array.shape[2] // 2


def found(hu: np.ndarray) -> np.ndarray:
    return ct_brain_mask(hu.astype(np.float32), SPACING_MM)


@pytest.mark.parametrize(
    "cut",
    [
        np.s_[:, :, MIDDLE:],  # one half of the head
        np.s_[:, 12:-12, 12:-12],  # 114 mm of a brain of 120 mm
        np.s_[:, 24:-24, 24:-24],  # 66 mm
        np.s_[12:, 24:-24, 24:-24],
    ],
)
def test_a_field_of_view_that_cuts_the_brain_keeps_what_it_shows(cut) -> None:
    assert dice(found(HEAD.array[cut]), BRAIN[cut]) > 0.95


def test_a_scan_that_cuts_the_neck_alone_gets_no_neck() -> None:
    """Two lowest slices of neck go to the image's border behind; the scalp's rule holds for them as ever."""
    hu = HEAD.array.copy()
    hu[:2, MIDDLE:, 10:-10] = 50
    assert not found(hu)[:2].any()


def test_an_open_forehead_loses_no_brain() -> None:
    hu = HEAD.array.copy()
    j = np.arange(hu.shape[1])[None, :, None]
    k = np.arange(hu.shape[0])[:, None, None]
    open_skull = (j < hu.shape[1] * 0.35) & (k > 8) & (k < hu.shape[0] - 10) & (hu > 300)
    hu[open_skull] = 40
    mask = found(hu)
    assert (mask & BRAIN).sum() > 0.95 * BRAIN.sum()


@pytest.mark.parametrize("around", [0.0, -1024.0])
def test_rests_of_bone_on_a_stripped_brain_lose_no_brain(around: float) -> None:
    """The stripping went 3 mm too far out on patches of the surface: bone at the edge, and no scalp over it."""
    k, j, i = np.indices(HEAD.array.shape) - (np.array(HEAD.array.shape).reshape(3, 1, 1, 1) - 1) / 2
    radius = np.hypot(np.hypot(i * 2, j * 2), k * 4)
    patches = np.sin(4 * np.arctan2(j, i)) * np.cos(k / 3)
    hu = np.where(radius < 60 + 3 * (patches > 0), HEAD.array, around)
    assert (hu > 500).sum() > 0.02 * BRAIN.sum()
    assert dice(found(hu), BRAIN) > 0.95


def body(below: int) -> tuple[np.ndarray, np.ndarray]:
    """The head on so many slices of a chest: a ring of ribs with soft tissue and two lungs in it."""
    j, i = np.mgrid[: HEAD.array.shape[1], : HEAD.array.shape[2]]
    middle = (np.array(HEAD.array.shape[1:]) - 1) / 2
    radius = np.hypot(j - middle[0], i - middle[1]) * 2
    chest = np.where(radius < 76, 50.0, -1000.0)
    chest[(radius < 66) & (radius > 60)] = 600
    chest[(np.hypot(j - middle[0], np.abs(i - middle[1]) - 17) < 11)] = -850
    lower = np.repeat(chest[None], below, 0)
    return np.concatenate([lower, HEAD.array]), np.concatenate([np.zeros(lower.shape, bool), BRAIN])


def test_the_chest_below_a_head_is_no_brain() -> None:
    hu, brain = body(60)
    mask = found(hu)
    assert not mask[:40].any()
    assert (mask & brain).sum() > 0.95 * brain.sum()


@pytest.mark.parametrize("window_hu", [(0.0, 80.0), (-10.0, 100.0), (0.0, 3000.0)])
def test_fat_and_air_that_a_window_made_dark_are_no_brain(window_hu: tuple[float, float]) -> None:
    """Fat and air cells between brain and skull, 8 mm, become 0 HU in the window: dark, but not soft tissue."""
    hu = HEAD.array.copy()
    k, j, i = np.indices(hu.shape) - (np.array(hu.shape).reshape(3, 1, 1, 1) - 1) / 2
    radius = np.hypot(np.hypot(i * 2, j * 2), k * 4)
    fat = (radius < 60) & (radius > 50)
    hu[fat] = -100
    mask = found(np.clip(hu, *window_hu))
    assert (mask & fat & (radius > 54)).sum() < 0.1 * (fat & (radius > 54)).sum()
    assert (mask & (radius < 48)).sum() > 0.97 * (radius < 48).sum()


@pytest.mark.parametrize("offset_hu", [-35.0, -20.0, 20.0, 35.0])
def test_tissue_comes_to_its_level_from_any_zero(offset_hu: float) -> None:
    level = leveled(HEAD.array + np.float32(offset_hu), BRAIN, SPACING_MM, 31.0)
    tissue = BRAIN & (HEAD.array > 26)
    assert np.median(level[tissue]) == pytest.approx(31, abs=1.5)


def test_wide_ventricles_are_no_offset() -> None:
    hu = HEAD.array.copy()
    deep = np.indices(hu.shape)[1] > 0.44 * hu.shape[1]
    hu[BRAIN & deep] -= 30  # two thirds of the brain are fluid
    level = leveled(hu, BRAIN, SPACING_MM, 31.0)
    tissue = BRAIN & ~deep & (HEAD.array > 26)
    assert np.median(level[tissue]) == pytest.approx(31, abs=2.5)


def test_every_order_and_direction_of_the_axes_shows_the_same_brain() -> None:
    """48 ways to store one scan: the axial view of each is the scan."""
    scan = Volume(HEAD.array[:10], (1.0, 2.0, 3.0), (5.0, -7.0, 11.0))
    for order in permutations(range(3)):
        for flips in product((1, -1), repeat=3):
            axes = [2 - a for a in order[::-1]]
            array = np.transpose(scan.array, axes)
            direction, spacing = scan.direction[:, order] * flips, tuple(scan.spacing_mm[a] for a in order)
            first = [scan.size_ijk[a] - 1 if f < 0 else 0 for a, f in zip(order, flips, strict=True)]
            index = np.zeros(3)
            index[list(order)] = first
            array = np.flip(array, [2 - n for n, f in enumerate(flips) if f < 0])
            axial = to_axial(Volume(array, spacing, tuple(scan.ijk_to_lps(index)), direction))
            assert axial.same_grid(scan)
            assert np.array_equal(axial.array, scan.array)


NO_HOUNSFIELD = {
    "1024 added": (lambda hu: (hu.clip(-1024) + 1024).astype(np.uint16), "stored with 1024 added.*subtract 1024"),
    "1000 added": (lambda hu: hu.clip(-1000) + 1000, "stored with 1000 added.*subtract 1000"),
    "no sign": (lambda hu: np.rint(hu).astype(np.int16).view(np.uint16), "without their sign.*signed 16 bit"),
    "8 bits of all": (lambda hu: ((hu.clip(-1024, 2000) + 1024) * 255 / 3024).astype(np.uint8), "of 8 bits.*original"),
    "8 bits of a window": (lambda hu: (hu.clip(0, 80) * 255 / 80).astype(np.uint8), "of 8 bits.*original"),
    "0 to 1": (lambda hu: (hu.clip(-1024, 2000) + 1024) / 3024, "scaled to 0-1.*original"),
}


@pytest.mark.parametrize("modality", [None, "CT"])
@pytest.mark.parametrize("name", NO_HOUNSFIELD)
def test_a_ct_in_another_unit_is_refused_with_its_cure(name: str, modality: str | None) -> None:
    change, words = NO_HOUNSFIELD[name]
    with pytest.raises(InputError, match=words) as error:
        check_modality(change(HEAD.array), modality, "ct")
    assert "needed Hounsfield units" in str(error.value)
    assert "\n" not in str(error.value)


IN_HOUNSFIELD = {
    "whole": lambda hu: hu,
    "16 bit": lambda hu: hu.astype(np.int16),
    "padded": lambda hu: np.where(hu < -900, -3024, hu),
    "brain window": lambda hu: hu.clip(0, 80),
    "air and fat are 0": lambda hu: hu.clip(0) * np.where(hu > 500, 1.5, 1),
    "inner view": lambda hu: np.where(hu[:, 20:-20, 20:-20] > 44, -60, hu[:, 20:-20, 20:-20]),
}


@pytest.mark.parametrize("modality", [None, "CT"])
@pytest.mark.parametrize("name", IN_HOUNSFIELD)
def test_a_ct_in_hounsfield_units_passes(name: str, modality: str | None) -> None:
    check_modality(IN_HOUNSFIELD[name](HEAD.array), modality, "ct")


@pytest.mark.parametrize("role", ["cbf", "cbv", "mtt", "tmax"])
@pytest.mark.parametrize("modality", ["CT", "MR", None])
def test_perfusion_maps_may_be_of_either_modality(role: str, modality: str | None) -> None:
    check_modality(np.where(BRAIN, 5.0, 0.0), modality, role)
    with pytest.raises(InputError, match=f"{role} looks like CT .*needed a perfusion map"):
        check_modality(HEAD.array, modality, role)


def test_a_small_brain_in_a_long_scan_and_a_wrong_level_are_said() -> None:
    assert brain_doubts(HEAD.array, BRAIN, SPACING_MM) == ()
    few = BRAIN & (np.arange(len(BRAIN)) < 12)[:, None, None]
    assert "mL of brain were found" in brain_doubts(HEAD.array, few, SPACING_MM)[0]
    vessels = HEAD.array.copy()
    vessels[:, ::4, ::4] = 300  # one of 16 columns
    assert "as after contrast" in brain_doubts(vessels, BRAIN, SPACING_MM)[0]
    whole = np.ones_like(BRAIN)
    assert "more than any brain" in brain_doubts(np.full(whole.shape, 30.0), whole, SPACING_MM)[0]
    assert "median of 84 HU" in brain_doubts(HEAD.array + 50, BRAIN, SPACING_MM)[0]


def test_the_system_hands_the_doubts_on() -> None:
    assert prepare({"ct": HEAD}).warnings == ()
    assert "Hounsfield" in " ".join(prepare({"ct": HEAD.with_array(HEAD.array + 40)}).warnings)


def test_swapped_diffusion_maps_are_doubted() -> None:
    rng = np.random.default_rng(0)
    fluid = BRAIN & (np.indices(BRAIN.shape)[2] < MIDDLE - 15)
    dwi = np.where(BRAIN, np.where(fluid, 60, 200), 0) + BRAIN * rng.normal(0, 8, BRAIN.shape)
    adc = np.where(BRAIN, np.where(fluid, 3000, 800), 0) + BRAIN * rng.normal(0, 20, BRAIN.shape)
    right, wrong = ({"dwi": HEAD.with_array(a), "adc": HEAD.with_array(b)} for a, b in ((dwi, adc), (adc, dwi / 10)))
    assert MRI.prepare(right).warnings == ()
    assert "swapped" in MRI.prepare(wrong).warnings[0]


def test_nan_in_memory_is_zero_and_the_callers_array_is_left_alone() -> None:
    given = HEAD.array.astype(np.float32)
    given[0, :5, 0] = np.nan
    reading = without_nan("(in memory)", Reading(HEAD.with_array(given)))
    assert np.isfinite(reading.volume.array).all()
    assert np.isnan(given).sum() == 5
    assert "5 voxels" in reading.warnings[0]

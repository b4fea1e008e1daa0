"""Generated DWI, ADC, FLAIR, T1 and T2: they follow one signal model, and strokes look as old as they are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from synth_phantoms import ball_head

from StrokeSegLib.synth.anatomy import PARENCHYMA, Head, Tissue
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.synth.lesion_shapes import grown
from StrokeSegLib.synth.mri import make_mri_case
from StrokeSegLib.synth.mri_ranges import DIFFUSION, TISSUE_MR
from StrokeSegLib.synth.mri_sequences import MRI_RANGES, STAGES, TISSUE_T1_MS, Protocol, nulling_ti_ms, signals
from StrokeSegLib.synth.mri_structural import Scene, structural_image
from StrokeSegLib.synth.mri_tissues import draw_tables
from StrokeSegLib.synth.placement import ScanGrid, lookup, place
from StrokeSegLib.synth.procedural import procedural_head

#: No noise, no artifact, no disease but the stroke; lesions whole and sharp.
CLEAN = replace(
    MRI_RANGES,
    diffusion=replace(
        DIFFUSION,
        noise=(1e-6, 1e-6),
        bias=(0.0, 0.0),
        readout_s=(0.0, 0.0),
        ghost=(0.0, 0.0),
        shower_chance=0.0,
        lesion_fade=(0.0, 0.0),
        lesion_edge_mm=(0.1, 0.1),
        skull_stripped_chance=0.0,
        psf_fwhm_voxel=(0.1, 0.1),
    ),
    noise=(1e-6, 1e-6),
    bias=(0.0, 0.0),
    psf_fwhm_pixel=(0.1, 0.1),
    motion_chance=0.0,
    flow_chance=0.0,
    white_matter_disease_chance=0.0,
    microbleed_chance=0.0,
    perivascular_chance=0.0,
)
SPACING_MM = (2.5, 2.5, 5.0)
#: Of one seed: hashes of what was drawn and of the truth, and of each image its shape, mean and 95th percentile.
PINNED: dict[str, Any] = {
    "parameters": "765b8f7a298e9272",
    "truth": "e2edad3582a53d4e",
    "images": {
        "dwi": ((30, 58, 52), 74.51308, 287.4925),
        "adc": ((30, 58, 52), 0.59202, 2.1813),
        "flair": ((34, 191, 171), 119.15018, 501.842),
        "t1": ((175, 172, 154), 427.93817, 1607.2975),
        "t2": ((175, 172, 154), 275.55341, 1076.1292),
    },
}


@pytest.fixture(scope="module")
def head() -> Head:
    return procedural_head(np.random.default_rng(3))


@pytest.fixture(scope="module")
def stages(head: Head) -> dict[str, SyntheticCase]:
    """The same head and stroke at four ages; large enough to have an inside."""
    seed = next(s for s in range(30) if _truth_ml(_case(head, s, "acute")) > 15)
    return {name: _case(head, seed, name) for name in STAGES}


def _case(head: Head, seed: int, stage: str) -> SyntheticCase:
    chances = tuple(float(stage == name) for name in STAGES)
    ranges = replace(CLEAN, stage_chances=chances)
    return make_mri_case(np.random.default_rng(seed), head, ranges=ranges, healthy=False, spacing_mm=SPACING_MM)


def _truth_ml(case: SyntheticCase) -> float:
    return float(case.truth.array.sum()) * case.truth.voxel_volume_ml


def _contrast(case: SyntheticCase, role: str) -> float:
    """The lesion's median over that of the parenchyma around it (ADC tells CSF and lesion apart from neither)."""
    lesion = ndimage.binary_erosion(case.truth.array > 0, np.ones((1, 3, 3), bool))
    around = ndimage.binary_dilation(case.truth.array > 0, iterations=5) & (case.truth.array == 0)
    adc = case.images["adc"].array
    image = case.images[role].array
    return float(np.median(image[lesion]) / np.median(image[around & (adc > 0.5) & (adc < 1.1)]))


def _protocol(b: float = 1.0) -> Protocol:
    ti = nulling_ti_ms(9000, 4000)
    return Protocol(b, 80, 120, 9000, ti, 10, 500, 100, 4000)


def test_diffusion_signal_falls_by_b_times_adc() -> None:
    one = np.ones(1, np.float32)
    made = signals(one, 1000 * one, 80 * one, 0.8 * one, _protocol(b=1.2))
    assert made["b0"][0] == pytest.approx(np.exp(-1.0))  # TE equals T2
    assert made["dwi"][0] / made["b0"][0] == pytest.approx(np.exp(-0.96))


def test_flair_nulls_csf_and_t2_shows_it_brightest() -> None:
    """By hand: TI = T1 ln(2 / (1 + exp(-TR / T1))) leaves no magnetization."""
    middle = {t: [np.mean(r) for r in (*TISSUE_MR[t], TISSUE_T1_MS[t])] for t in Tissue}
    density, t2, adc, t1 = (np.array([middle[t][n] for t in Tissue], np.float32) for n in range(4))
    t1[Tissue.CSF] = 4000
    made = signals(density, t1, t2, adc, _protocol())
    assert made["flair"][Tissue.CSF] < 1e-3 * made["flair"][Tissue.WHITE_MATTER]
    brain = [Tissue.WHITE_MATTER, Tissue.CORTEX, Tissue.DEEP_GRAY, Tissue.BRAINSTEM, Tissue.CEREBELLUM_GRAY]
    assert made["t2"][Tissue.CSF] > 1.5 * made["t2"][brain].max()
    assert made["t1"][Tissue.WHITE_MATTER] > made["t1"][Tissue.CORTEX] > made["t1"][Tissue.CSF]
    assert made["flair"][Tissue.CORTEX] > made["flair"][Tissue.WHITE_MATTER]


def test_images_and_truth_lie_on_the_first_images_grid(stages: dict[str, SyntheticCase]) -> None:
    case = stages["acute"]
    assert list(case.images) == ["dwi", "adc", "flair", "t1", "t2"]
    assert all(volume.same_grid(case.truth) for volume in case.images.values())
    assert all(np.isfinite(volume.array).all() for volume in case.images.values())


def test_stages_look_their_age(stages: dict[str, SyntheticCase]) -> None:
    hyper, acute, subacute, chronic = stages.values()
    for fresh in (hyper, acute):
        assert _contrast(fresh, "adc") < 0.8
        assert _contrast(fresh, "dwi") > 1.2
    assert _contrast(hyper, "flair") == pytest.approx(1.0, abs=0.12)
    assert _contrast(acute, "flair") > 1.1
    assert 0.85 < _contrast(subacute, "adc") < 1.2
    assert _contrast(subacute, "dwi") > 1.1  # T2 shines through
    assert _contrast(subacute, "flair") > 1.2
    assert _contrast(chronic, "adc") > 1.25
    assert _contrast(chronic, "dwi") < 1.2
    assert _contrast(chronic, "t1") < 0.95
    assert _contrast(chronic, "t2") > 1.2


def test_truth_is_what_some_image_shows(stages: dict[str, SyntheticCase]) -> None:
    for case in stages.values():
        assert case.visible_on is not None
        assert np.array_equal(np.logical_or.reduce(list(case.visible_on.values())), case.truth.array > 0)
    hyper = stages["hyperacute"].visible_on
    assert hyper is not None
    assert hyper["dwi"].sum() > 10 * hyper["flair"].sum()  # the mismatch of the first hours


def test_adc_has_the_unit_that_was_asked_for(head: Head) -> None:
    made = [
        make_mri_case(np.random.default_rng(1), head, ranges=CLEAN, spacing_mm=(4.0, 4.0, 8.0), adc_unit=unit)
        for unit in ("um2/ms", "mm2/s", "um2/s")
    ]
    adc = made[0].images["adc"].array
    assert np.allclose(made[1].images["adc"].array, adc * 1e-3)
    assert np.allclose(made[2].images["adc"].array, adc * 1e3)
    brain = adc[(adc > 0.4) & (adc < 1.3)]
    assert 0.65 < np.median(brain) < 1.0


def test_own_grids_cover_the_same_place(head: Head) -> None:
    case = make_mri_case(np.random.default_rng(2), head, ranges=CLEAN, spacing_mm=(4.0, 4.0, 8.0), own_grids=True)
    first = case.images["dwi"]
    for role in ("flair", "t1", "t2"):
        volume = case.images[role]
        assert volume.array.shape != first.array.shape
        for n, m, a, b in zip(
            volume.array.shape[::-1], first.array.shape[::-1], volume.spacing_mm, first.spacing_mm, strict=True
        ):
            assert (n - 1) * a == pytest.approx((m - 1) * b)


def test_a_healthy_head_has_no_truth_and_a_seed_makes_the_same_case(head: Head) -> None:
    a, b = (make_mri_case(np.random.default_rng(5), head, healthy=True, spacing_mm=(4.0, 4.0, 8.0)) for _ in range(2))
    assert not a.truth.array.any()
    assert all(np.array_equal(a.images[role].array, b.images[role].array) for role in a.images)


def test_a_grown_lesion_has_the_volume_that_was_asked_for_to_1_percent(head: Head) -> None:
    rng = np.random.default_rng(0)
    grid = place(rng, head, (1.5, 1.5, 3.0), tilt_degrees=0.0, scale=1.0, warp_mm=1.0)
    brain = np.isin(lookup(head.tissue, grid.head_mm, head.spacing_mm), PARENCHYMA).astype(np.float32)
    lesion = grown(rng, grid, brain, volume_ml=20.0)
    assert lesion.sum() * np.prod(grid.spacing_mm) / 1000 == pytest.approx(20.0, rel=0.01)


def test_one_seed_gives_one_case_on_any_machine() -> None:
    case = make_mri_case(
        np.random.default_rng([7, 1]), ball_head(), healthy=False, spacing_mm=(3.0, 3.0, 6.0), own_grids=True
    )
    words = json.dumps({name: f"{value:.6g}" for name, value in sorted(case.parameters.items())})
    assert hashlib.sha256(words.encode()).hexdigest()[:16] == PINNED["parameters"]
    assert hashlib.sha256(case.truth.array.tobytes()).hexdigest()[:16] == PINNED["truth"]
    for role, (shape, mean, high) in PINNED["images"].items():
        array = case.images[role].array
        width = float(array.max() - array.min())
        assert array.shape == shape, role
        assert abs(array.mean() - mean) < 1e-3 * width, role
        assert abs(np.percentile(array, 95) - high) < 1e-3 * width, role


def test_a_border_aslant_through_a_thick_slice_is_a_ramp_without_steps() -> None:
    """White matter above a plane of 45 degrees: in a slice of 6 mm its part grows by a sixth per mm."""
    x = np.arange(48)
    tissue = np.where(x[None, None, :] > x[:, None, None], np.uint8(Tissue.WHITE_MATTER), np.uint8(Tissue.CSF))
    head = Head(np.ascontiguousarray(np.broadcast_to(tissue, (48, 48, 48))), 1.0)
    places = np.meshgrid(np.arange(3, 48, 6.0), np.arange(48.0), np.arange(48.0), indexing="ij")
    head_mm = np.stack(places[::-1]).astype(np.float32)
    grid = ScanGrid((8, 48, 48), (1.0, 1.0, 6.0), np.eye(3), (0.0, 0.0, 0.0), head_mm)
    ranges = replace(CLEAN, slice_mm=(6.0, 6.0), in_plane_mm=(1.0, 1.0))
    slopes, away = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        _, tables, _ = draw_tables(rng, "acute", ranges)
        _, image = structural_image(rng, "flair", Scene(head, grid, tables, {}), 1e-9, True, ranges)
        fluid, white = image[4, 24, 5], image[4, 24, -5]
        line = (image[4, 24, 5:-5] - fluid) / (white - fluid)
        ramp = np.flatnonzero((line > 0.1) & (line < 0.9))
        fit = np.polyfit(ramp, line[ramp], 1)
        slopes.append(fit[0])
        away.append(np.sqrt(np.mean((np.polyval(fit, ramp) - line[ramp]) ** 2)))
    assert np.mean(slopes) == pytest.approx(1 / 6, abs=0.02)
    assert np.mean(away) < 0.06  # three samples through the slice make 0.076

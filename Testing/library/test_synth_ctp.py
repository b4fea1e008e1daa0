"""Generated CT perfusion: the central volume theorem, penumbra around core, and a series whose truth is known."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from synth_phantoms import ball_head

from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.ctp import make_ctp_case, render_maps
from StrokeSegLib.synth.ctp_perfusion import CORE, PENUMBRA, Perfusion, draw_perfusion, transit_time
from StrokeSegLib.synth.ctp_ranges import CTP_RANGES
from StrokeSegLib.synth.ctp_series import ArterialInput, TissueCurves, draw_input, make_series, residue
from StrokeSegLib.synth.diffusion import SyntheticCase

#: No noise, blur, masks or limits: what is rendered is the physics alone.
PURE = replace(
    CTP_RANGES,
    cbf_noise=(0, 0),
    cbv_noise=(0, 0),
    tmax_noise_s=(0, 0),
    ct_noise_hu=(0, 0),
    motion_chance=0,
    maps_stripped_chance=0,
    csf_masked_chance=0,
    vessels_masked_chance=0,
    quantized_chance=0,
    cbf_limit=(1e6, 1e6),
    cbv_limit=(1e6, 1e6),
    mtt_limit_s=(1e6, 1e6),
    tmax_limit_s=(1e6, 1e6),
)
NO_DISEASE = replace(CTP_RANGES, carotid_chance=0, white_matter_disease_chance=0, old_infarct_chance=0)
SPACING_MM = (3.0, 3.0, 6.0)
#: Of one seed: hashes of what was drawn and of the truth, and of each image its mean and 95th percentile.
PINNED: dict[str, Any] = {
    "parameters": "399a94f083061d4c",
    "truth": "ebbe7adb0d25758c",
    "images": {
        "ct": (22.7339, 54.72),
        "cbf": (10.0085, 66.542),
        "cbv": (0.6347, 3.795),
        "mtt": (1.0495, 4.798),
        "tmax": (0.5206, 2.733),
    },
}


@pytest.fixture(scope="module")
def head() -> Head:
    return ball_head()


def _perfusion(head: Head, seed: int, ranges: object = CTP_RANGES, healthy: bool | None = False) -> Perfusion:
    rng = np.random.default_rng(seed)
    return draw_perfusion(rng, head, None, ranges=ranges, healthy=healthy, spacing_mm=SPACING_MM)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sick(head: Head) -> Perfusion:
    perfusion = _perfusion(head, 1, replace(NO_DISEASE, no_core_chance=0, slab_chance=0))
    assert (perfusion.labels == CORE).any()
    assert (perfusion.labels == PENUMBRA).any()
    return perfusion


def test_transit_time_is_volume_over_flow() -> None:
    # 4 mL/100 g at 60 mL/100 g/min: 4 / 60 min = 4 s. No flow, no time.
    assert transit_time(np.array([4.0, 2.0, 1.0]), np.array([60.0, 0.0, 15.0])).tolist() == [4.0, 0.0, 4.0]


def test_maps_without_noise_keep_the_central_volume_theorem(head: Head, sick: Perfusion) -> None:
    images = {role: image.array for role, image in render_maps(np.random.default_rng(0), sick, PURE).images.items()}
    flows = images["cbf"] > 2
    assert flows.any()
    assert np.allclose(images["mtt"][flows], 60 * images["cbv"][flows] / images["cbf"][flows], rtol=1e-4)


def test_truth_is_tmax_over_6_s_outside_of_the_core(sick: Perfusion) -> None:
    tissue = sick.parenchyma > 0.5
    penumbra, core = sick.labels == PENUMBRA, sick.labels == CORE
    assert np.array_equal(penumbra, tissue & ~core & (sick.tmax > 6))
    assert (sick.tmax[core] > 6).all()


@pytest.mark.parametrize("seed", range(5))
def test_core_is_wrapped_in_penumbra_on_one_side_of_the_brain(head: Head, seed: int) -> None:
    wide = replace(NO_DISEASE, no_core_chance=0, slab_chance=0, mismatch_ratio=(3, 4), core_ml_log=(15, 0))
    perfusion = _perfusion(head, seed, wide)
    core, tissue = perfusion.labels == CORE, perfusion.parenchyma > 0.5
    x_mm = perfusion.grid.head_mm[0] - perfusion.grid.head_mm[0][perfusion.brain > 0.5].mean()
    side = np.sign(np.median(x_mm[core]))
    # Next to the core, away from the falx, all tissue is ischemic.
    near = ndimage.binary_dilation(core, np.ones((1, 3, 3))) & ~core & tissue & (side * x_mm > 8)
    assert near.any()
    assert (perfusion.tmax[near] > 6).mean() > 0.9
    both = (perfusion.labels > 0) & (np.abs(x_mm) > 12)
    assert (np.sign(x_mm[both]) == side).all()


def test_core_flow_is_under_30_percent_of_its_tissue_and_penumbra_over_it(head: Head) -> None:
    ranges = replace(NO_DISEASE, no_core_chance=0, slab_chance=0, texture=(0, 0), core_edge_mm=(0.01, 0.01))
    sick, well = (_perfusion(head, 2, ranges, healthy) for healthy in (False, True))
    white = (sick.parenchyma > 0.999) & (well.cbf == np.median(well.cbf[well.parenchyma > 0.999]))
    part = sick.cbf[white] / well.cbf[white]
    core, penumbra = sick.labels[white] == CORE, sick.labels[white] == PENUMBRA
    assert core.any()
    assert penumbra.any()
    assert part[core].max() <= 0.3 + 1e-5
    assert 0.3 - 1e-5 <= part[penumbra].min()
    assert part[penumbra].max() <= 0.75 + 1e-5


@pytest.mark.parametrize("seed", range(4))
def test_healthy_heads_have_no_label_whatever_else_they_have(head: Head, seed: int) -> None:
    ranges = replace(CTP_RANGES, carotid_chance=1, white_matter_disease_chance=1, old_infarct_chance=1)
    case = make_ctp_case(np.random.default_rng(seed), head, ranges=ranges, healthy=True, spacing_mm=SPACING_MM)
    assert not case.truth.array.any()
    assert case.parameters["carotid_delay_s"] >= 2


def test_a_slab_has_2_to_22_slices_and_lies_within_the_whole_scan(head: Head) -> None:
    ranges = replace(CTP_RANGES, slab_chance=1)
    counts = {make_ctp_case(np.random.default_rng(n), head, ranges=ranges).truth.array.shape[0] for n in range(12)}
    assert min(counts) >= 2
    assert max(counts) <= 22
    assert len(counts) > 3


def test_stripped_maps_are_zero_outside_of_the_brain(sick: Perfusion) -> None:
    stripped = replace(CTP_RANGES, maps_stripped_chance=1)
    case = render_maps(np.random.default_rng(3), sick, stripped)
    far = ndimage.distance_transform_edt(sick.brain == 0, sampling=SPACING_MM[::-1]) > 10
    for role in ("cbf", "cbv", "mtt", "tmax"):
        assert not case.images[role].array[far].any(), role
        assert case.images[role].array.min() >= 0, role


@pytest.fixture(scope="module")
def arterial() -> ArterialInput:
    return draw_input(np.random.default_rng(4))


def test_the_area_of_the_input_is_what_its_formula_says(arterial: ArterialInput) -> None:
    time_s = np.arange(0, 400, 0.01)
    assert arterial(time_s).sum() * 0.01 == pytest.approx(arterial.area_hu_s, rel=1e-3)
    assert arterial(time_s).max() >= arterial.peak_hu * 0.999


def test_the_areas_of_tissue_and_input_are_to_each_other_as_the_blood_volume(arterial: ArterialInput) -> None:
    time_s = np.arange(0, 400.0)
    curves = TissueCurves(arterial, 400.0)
    cbv, mtt, delay = np.array([4.0, 2.0, 1.1, 9.0]), np.array([4.0, 4.8, 11.3, 0.7]), np.array([0.0, 1.5, 9.7, 3.2])
    areas = np.sum([curves.at(t, cbv, mtt, delay) for t in time_s], axis=0)
    assert areas / arterial.area_hu_s * 100 == pytest.approx(cbv, rel=0.01)


def test_tissue_is_flow_times_the_input_convolved_with_the_residue(arterial: ArterialInput) -> None:
    cbf, mtt, delay, step = 42.0, 5.3, 2.6, 0.01
    fine = np.arange(0, 60, step)
    convolved = np.convolve(arterial(fine), residue(fine, mtt, delay))[: len(fine)] * step * cbf / 6000
    curves = TissueCurves(arterial, 60.0)
    for t in (8.0, 14.0, 21.0, 40.0):
        one = curves.at(t, np.array([cbf * mtt / 60]), np.array([mtt]), np.array([delay]))[0]
        assert one == pytest.approx(convolved[round(t / step)], rel=0.01, abs=0.01)


def test_the_residue_peaks_at_the_delay_and_its_area_is_the_transit_time() -> None:
    fine = np.arange(0, 200, 0.01)
    r = residue(fine, 6.0, 7.0)
    assert fine[r.argmax()] == pytest.approx(7.0, abs=0.011)
    assert r.sum() * 0.01 == pytest.approx(6.0, rel=0.01)


def test_the_series_holds_the_baseline_then_the_bolus(sick: Perfusion) -> None:
    series = make_series(np.random.default_rng(5), sick, noise_hu=0)
    assert series.frames.shape == (len(series.time_s), *sick.grid.shape)
    assert 45 <= len(series.time_s) <= 60
    assert np.diff(series.time_s) == pytest.approx(1.0)
    assert np.abs(series.frames[0] - np.clip(sick.ct_hu, -1024, 3071)).max() <= 0.51  # rounded
    artery = np.unravel_index(sick.artery.argmax(), sick.artery.shape)
    rise = series.frames[(slice(None), *artery)] - series.frames[(0, *artery)]
    assert rise.max() > 0.5 * sick.artery.max() * series.arterial.max()
    core, well = sick.labels == CORE, (sick.labels == 0) & (sick.parenchyma > 0.99) & (sick.artery + sick.vein == 0)
    area = (series.frames - series.frames[0]).astype(float).sum(axis=0)
    # The core holds less blood, and its end may be cut off: never more than its part of the normal volume.
    assert 0 < area[core].mean() / area[well].mean() < 1.15 * sick.parameters["core_cbv"]


def test_the_series_noise_is_what_was_asked_for(sick: Perfusion) -> None:
    series = make_series(np.random.default_rng(6), sick, noise_hu=5.0)
    soft = (sick.ct_hu > -500) & (sick.ct_hu < 500)
    first = series.frames[0][soft] - sick.ct_hu[soft]
    assert first.std() == pytest.approx(5.0, rel=0.1)


def _pinned(head: Head) -> SyntheticCase:
    return make_ctp_case(np.random.default_rng([7, 1]), head, healthy=False, spacing_mm=SPACING_MM)


def test_one_seed_gives_one_case_on_any_machine(head: Head) -> None:
    case = _pinned(head)
    words = json.dumps({name: f"{value:.6g}" for name, value in sorted(case.parameters.items())})
    assert hashlib.sha256(words.encode()).hexdigest()[:16] == PINNED["parameters"]
    assert hashlib.sha256(case.truth.array.tobytes()).hexdigest()[:16] == PINNED["truth"]
    for role, (mean, high) in PINNED["images"].items():
        array = case.images[role].array
        width = float(array.max() - array.min())
        assert abs(array.mean() - mean) < 1e-3 * width, role
        assert abs(np.percentile(array, 95) - high) < 1e-3 * width, role

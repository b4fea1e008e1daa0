"""Generated CT: tissues, infarcts and blood in their HU ranges and places, with truth that matches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.synth import ct_artifacts
from StrokeSegLib.synth.anatomy import PARENCHYMA, Head, Tissue
from StrokeSegLib.synth.ct import KINDS, draw_spacing, make_ct_case
from StrokeSegLib.synth.ct_anatomy import landmarks, sample
from StrokeSegLib.synth.ct_infarct import infarcted
from StrokeSegLib.synth.ct_ranges import CT_RANGES, SUBACUTE, TISSUE_HU, CtRanges
from StrokeSegLib.synth.ct_sampling import final_shape, resampled
from StrokeSegLib.synth.ct_scene import HEMORRHAGIC, ISCHEMIC, Composed, Scene, compose
from StrokeSegLib.synth.ct_tissues import Mixture, draw_tissue_hu, tissue_at
from StrokeSegLib.synth.placement import ScanGrid, place
from StrokeSegLib.synth.procedural import procedural_head

SPACING_MM = (1.8, 1.8, 3.0)
#: No texture, age, artifacts, distractors or soft borders: what is left is what was drawn.
QUIET: CtRanges = replace(
    CT_RANGES,
    tissue_texture_hu=(0, 0),
    sulcus_growth=(0, 0),
    ventricle_growth=(0, 0),
    glow_hu=(0, 0),
    cup_hu=(0, 0),
    hardening_hu_per_mm=(0, 0),
    streak_hu=(0, 0),
    uneven_chance=0,
    infarct_edge_mm=(0.01, 0.01),
    infarct_fade=(0, 0),
    falx_chance=0,
    falcine_chance=0,
    old_infarct_chance=0,
    chronic_subdural_chance=0,
    white_matter_disease_chance=0,
    lacune_chance=0,
    calcification_chance=0,
    dense_vessel_chance=0,
    cyst_chance=0,
    second_infarct_chance=0,
    small_infarct_chance=0,
    small_infarct_ml=40,
)


@pytest.fixture(scope="module")
def head() -> Head:
    return procedural_head(np.random.default_rng(3))


@pytest.fixture(scope="module")
def grid(head: Head) -> ScanGrid:
    return place(np.random.default_rng(0), head, SPACING_MM, tilt_degrees=0, scale=1, warp_mm=0)


def composed(
    head: Head, grid: ScanGrid, kind: str, ranges: CtRanges = QUIET, seed: int = 5
) -> tuple[Composed, dict[str, float]]:
    parameters: dict[str, float] = {}
    scene = Scene(head, None, grid, landmarks(head), kind, 0.0, ranges, parameters)
    return compose(np.random.default_rng(seed), scene), parameters


def only(place_of_blood: str) -> CtRanges:
    """Ranges that draw blood at one place alone."""
    names = ("parenchymal", "ventricular", "subdural", "epidural", "subarachnoid")
    return replace(QUIET, **{f"{name}_chance": float(name == place_of_blood) for name in names})


def pure(tissue: np.ndarray, *kinds: Tissue) -> np.ndarray:
    """Voxels whose neighbors are all of one of the kinds too."""
    return ndimage.binary_erosion(np.isin(tissue, kinds), np.ones((3, 3, 3), bool))


def test_pure_voxels_have_the_hu_of_their_tissue(head: Head, grid: ScanGrid) -> None:
    image = composed(head, grid, "healthy")[0].hu
    tissue = tissue_at(head, grid.head_mm)
    checked = 0
    for kind in (Tissue.AIR, Tissue.WHITE_MATTER, Tissue.CSF, Tissue.BRAINSTEM, Tissue.SCALP):
        values = image[pure(tissue, kind)]
        if len(values):
            low, high = TISSUE_HU[kind]
            # Strands of other tissue, thinner than the voxels, may cross some of them.
            middle = np.median(values)
            assert low - 0.1 <= middle <= high + 0.1, kind.name
            assert (np.abs(values - middle) < 0.1).mean() > 0.5, kind.name
            checked += 1
    assert checked >= 4
    white, deep = image[pure(tissue, Tissue.WHITE_MATTER)], image[pure(tissue, Tissue.DEEP_GRAY)]
    low, high = CT_RANGES.gray_white_gap_hu
    assert low - 1 <= deep.mean() - white.mean() <= high + 1


def test_every_tissue_has_hu_in_its_range() -> None:
    for seed in range(20):
        table = draw_tissue_hu(np.random.default_rng(seed), CT_RANGES)
        for tissue, (low, high) in TISSUE_HU.items():
            assert low <= table[tissue] <= high
        assert 28 <= table[Tissue.CORTEX] <= 40  # gray matter
        assert table[Tissue.PALLIDUM] >= table[Tissue.DEEP_GRAY] > table[Tissue.WHITE_MATTER]


def test_an_infarct_is_darker_than_its_mirror_image_by_the_drawn_amounts() -> None:
    shape = (2, 4, 8)
    one, zero = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    white = np.zeros(shape, np.float32)
    white[:, 2:] = 1
    hu = np.where(white > 0, np.float32(27), np.float32(35))
    mixture = Mixture(hu, one, white, zero, zero, one, zero, zero)
    involved = np.zeros(shape, np.float32)
    involved[:, :, :4] = 1
    dark, loss = infarcted(hu, mixture, involved, gray_drop_hu=6, white_drop_hu=2, swelling=1)
    difference = dark[:, :, ::-1] - dark
    assert np.allclose(difference[:, :2, :4], 6)
    assert np.allclose(difference[:, 2:, :4], 2)
    assert np.allclose(loss[:, :, 4:], 0)


def test_an_infarct_in_a_head_is_darker_than_the_same_tissue_elsewhere(head: Head, grid: ScanGrid) -> None:
    ranges = replace(QUIET, infarct_ages=(SUBACUTE,), infarct_age_shares=(1.0,))
    result, parameters = composed(head, grid, "ischemic", ranges)
    truth = result.truth[ISCHEMIC] > 0.5
    assert truth.any()
    white = pure(tissue_at(head, grid.head_mm), Tissue.WHITE_MATTER)
    assert (white & truth).sum() > 20
    drop = np.median(result.hu[white & ~truth]) - np.median(result.hu[white & truth])
    assert drop == pytest.approx(parameters["infarct_white_drop_hu"], abs=0.1)
    assert 24 <= parameters["infarct_hours"] <= 168


def test_sulci_are_no_part_of_an_infarcts_truth(head: Head, grid: ScanGrid) -> None:
    result = composed(head, grid, "ischemic", replace(QUIET, infarct_ages=(SUBACUTE,), infarct_age_shares=(1.0,)))[0]
    fluid = pure(tissue_at(head, grid.head_mm), Tissue.CSF)
    assert fluid.any()
    assert not (result.truth[ISCHEMIC][fluid] > 0).any()


def test_what_is_fainter_than_the_noise_is_not_labeled(head: Head, grid: ScanGrid) -> None:
    scene = Scene(head, None, grid, landmarks(head), "ischemic", 100.0, QUIET, {})
    assert not compose(np.random.default_rng(5), scene).truth[ISCHEMIC].any()


@pytest.mark.parametrize("place_of_blood", ["parenchymal", "ventricular", "subdural", "epidural", "subarachnoid"])
def test_blood_has_the_hu_of_blood(head: Head, grid: ScanGrid, place_of_blood: str) -> None:
    result = composed(head, grid, "hemorrhagic", only(place_of_blood))[0]
    whole = result.truth[HEMORRHAGIC] > 0.999
    if place_of_blood != "subarachnoid":  # mixed with fluid, it need not fill any voxel
        assert whole.any()
    assert (result.truth[HEMORRHAGIC] > 0.5).any()
    values = result.hu[whole]
    assert ((values >= 35.9) & (values <= 85.1)).all()


@pytest.mark.parametrize(("several", "seed"), [(0, 1), (0, 2), (1, 1), (1, 3)])
def test_hematomas_have_the_drawn_volume(head: Head, grid: ScanGrid, several: float, seed: int) -> None:
    """All of it labeled, where none of it is as pale as gray matter."""
    ranges = replace(
        only("parenchymal"), parenchymal_ml=(20.0, 20.0), several_hematomas_chance=several, pale_blood_chance=0
    )
    result, parameters = composed(head, grid, "hemorrhagic", ranges, seed=seed)
    voxel_ml = 1.8 * 1.8 * 3.0 / 1000
    assert parameters["parenchymal_ml"] == pytest.approx(20, rel=0.01)
    assert (result.truth[HEMORRHAGIC] > 0.5).sum() * voxel_ml == pytest.approx(20, rel=0.01)


def test_the_brain_around_a_hematoma_swells_darker(head: Head, grid: ScanGrid) -> None:
    ranges = replace(only("parenchymal"), parenchymal_ml=(20.0, 20.0), edema_mm=(8, 8), edema_drop_hu=(10, 10))
    result = composed(head, grid, "hemorrhagic", ranges, seed=1)[0]
    blood = result.truth[HEMORRHAGIC] > 0.5
    away = ndimage.distance_transform_edt(~blood, sampling=SPACING_MM[::-1])
    white = np.abs(result.hu - 20) < 14
    near, far = white & (away > 1.5) & (away < 4), white & (away > 30) & (result.hu > 22)
    assert np.median(result.hu[near]) < np.median(result.hu[far]) - 3


def test_ventricular_blood_stays_in_the_ventricles_and_sinks(head: Head, grid: ScanGrid) -> None:
    result = composed(head, grid, "hemorrhagic", only("ventricular"))[0]
    blood = result.truth[HEMORRHAGIC] > 0.5
    marks = landmarks(head)
    assert blood.any()
    assert (sample(marks.ventricle, marks.step_mm, grid.head_mm)[blood] > 0.25).all()
    assert not pure(tissue_at(head, grid.head_mm), *PARENCHYMA)[blood].any()


@pytest.mark.parametrize("place_of_blood", ["subdural", "epidural"])
def test_blood_outside_the_brain_lies_between_brain_and_skull(head: Head, grid: ScanGrid, place_of_blood: str) -> None:
    result, parameters = composed(head, grid, "hemorrhagic", only(place_of_blood), seed=2)
    blood = result.truth[HEMORRHAGIC] > 0.5
    marks = landmarks(head)
    depth = sample(marks.depth_mm, marks.step_mm, grid.head_mm)[blood]
    thickest = (CT_RANGES.subdural_mm if place_of_blood == "subdural" else CT_RANGES.epidural_mm)[1]
    assert depth.min() > -1
    assert depth.max() <= thickest + SPACING_MM[0]
    assert not (result.hu[blood] > 86).any()  # no bone
    assert parameters[f"{place_of_blood}_ml"] > 0


def test_blood_along_the_falx_lies_in_a_thin_sheet_on_one_side_of_it(head: Head, grid: ScanGrid) -> None:
    result = composed(head, grid, "hemorrhagic", replace(only("subdural"), falcine_chance=1), seed=2)[0]
    blood = result.truth[HEMORRHAGIC] > 0.5
    assert blood.any()
    side_mm = grid.head_mm[0][blood] - landmarks(head).midline_mm
    assert np.abs(side_mm).max() <= 4 + SPACING_MM[0]
    assert abs(np.sign(side_mm[np.abs(side_mm) > SPACING_MM[0]]).mean()) == 1


def test_healthy_heads_with_every_distractor_have_no_truth(head: Head) -> None:
    chances = {name: 1.0 for name in vars(CT_RANGES) if name.endswith("_chance")}
    case = make_ct_case(
        np.random.default_rng(8), head, ranges=replace(CT_RANGES, **chances), kind="healthy", spacing_mm=(2, 2, 5)
    )
    assert not case.truth.array.any()
    assert case.images["ct"].same_grid(case.truth)


def test_the_same_seed_makes_the_same_case(head: Head) -> None:
    a, b = (make_ct_case(np.random.default_rng(4), head, spacing_mm=(2, 2, 6)) for _ in range(2))
    assert np.array_equal(a.images["ct"].array, b.images["ct"].array)
    assert np.array_equal(a.truth.array, b.truth.array)
    assert a.parameters == b.parameters
    c = make_ct_case(np.random.default_rng(5), head, spacing_mm=(2, 2, 6))
    assert a.images["ct"].array.shape != c.images["ct"].array.shape or a.parameters != c.parameters


def test_a_scan_has_the_spacing_asked_for_and_finite_hu(head: Head) -> None:
    case = make_ct_case(np.random.default_rng(6), head, kind="both", spacing_mm=(0.7, 0.7, 6.0))
    volume = case.images["ct"]
    assert volume.spacing_mm == (0.7, 0.7, 6.0)
    extent_mm = np.array(volume.array.shape[::-1]) * volume.spacing_mm
    assert (extent_mm[:2] > 130).all()
    assert volume.array.dtype == np.float32
    assert np.isfinite(volume.array).all()
    assert volume.array.min() >= -2000
    assert volume.array.max() <= 3071
    assert case.parameters["kind"] == KINDS.index("both")
    assert set(np.unique(case.truth.array)) <= {0, 1, 2}


def test_an_unknown_kind_is_refused(head: Head) -> None:
    with pytest.raises(InputError, match="healthy, ischemic, hemorrhagic, both"):
        make_ct_case(np.random.default_rng(0), head, kind="tumor")


def test_drawn_spacings_lie_in_their_ranges() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([draw_spacing(rng) for _ in range(500)])
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert drawn[:, 0].min() >= 0.4
    assert drawn[:, 0].max() <= 1.5
    assert drawn[:, 2].min() >= 1.0
    assert drawn[:, 2].max() <= 6.0
    assert 0.15 < (drawn[:, 2] < 2.5).mean() < 0.35


def test_noise_has_the_sd_asked_for_and_is_correlated() -> None:
    image = np.zeros((3, 200, 200), np.float32)
    ct_artifacts.add_noise(np.random.default_rng(1), image, (0.5, 0.5, 5.0), 4.0, 1.5)
    assert image.std() == pytest.approx(4.0, rel=0.1)
    assert np.corrcoef(image[:, :, :-1].ravel(), image[:, :, 1:].ravel())[0, 1] > 0.5
    assert abs(np.corrcoef(image[0].ravel(), image[1].ravel())[0, 1]) < 0.1


def test_thin_slices_are_noisier_as_the_square_root() -> None:
    quiet = replace(CT_RANGES, noise_hu=(3, 3), noise_limit_hu=100)
    rng = np.random.default_rng(0)
    assert ct_artifacts.noise_sd_hu(rng, 5.0, quiet, False) == (3.0, 3.0)
    assert ct_artifacts.noise_sd_hu(rng, 1.25, quiet, False) == pytest.approx((6.0, 3.0))


def test_eight_bits_leave_at_most_256_values_within_the_window() -> None:
    ranges = replace(CT_RANGES, window_width_hu=(80, 80), window_level_hu=(40, 40))
    hu = np.linspace(-1000, 2000, 30000, dtype=np.float32).reshape(1, 100, 300)
    saved = ct_artifacts.eight_bits(np.random.default_rng(0), hu, ranges)
    assert len(np.unique(saved)) <= 256
    assert saved.min() == pytest.approx(0)
    assert saved.max() == pytest.approx(80, abs=0.01)
    inside = (hu > 1) & (hu < 79)
    assert np.abs(saved - hu)[inside].max() <= 80 / 255 / 2 + 1e-3


def test_a_ramp_resampled_is_a_ramp(grid: ScanGrid) -> None:
    small = replace(grid, shape=(3, 4, 5), spacing_mm=(1.0, 1.0, 2.0))
    ramp = np.broadcast_to(np.arange(5, dtype=np.float32), (3, 4, 5)) + np.arange(3, dtype=np.float32)[:, None, None]
    shape = final_shape(small, (0.5, 1.0, 1.0))
    assert shape == (5, 4, 9)  # 4 mm in k, 3 mm in j, 4 mm in i, both ends included
    fine = resampled(ramp, small, (0.5, 1.0, 1.0), shape)
    assert np.allclose(fine[0, 0], np.arange(9) * 0.5)
    assert np.allclose(fine[:, 0, 0], np.arange(5) * 0.5)

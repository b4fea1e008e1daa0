"""Old collections under the bone and fluid that grew into old infarcts: in their HU ranges, inside, never labeled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.ct_anatomy import landmarks, sample
from StrokeSegLib.synth.ct_chronic import Collection, add_collections, draw_collections, pressed_in
from StrokeSegLib.synth.ct_distractors import add_old_disease
from StrokeSegLib.synth.ct_ranges import CT_RANGES, SUBACUTE, CtRanges
from StrokeSegLib.synth.ct_scene import HEMORRHAGIC, ISCHEMIC, Scene, compose
from StrokeSegLib.synth.ct_tissues import draw_tissue_hu, mix, sub_positions
from StrokeSegLib.synth.fields import Float
from StrokeSegLib.synth.placement import ScanGrid, place
from StrokeSegLib.synth.procedural import procedural_head

SPACING_MM = (2.5, 2.5, 4.0)
#: No other old disease, no artifact of the scanner.
PLAIN: CtRanges = replace(
    CT_RANGES,
    tissue_texture_hu=(0, 0),
    glow_hu=(0, 0),
    cup_hu=(0, 0),
    hardening_hu_per_mm=(0, 0),
    streak_hu=(0, 0),
    falx_chance=0,
    old_infarct_chance=0,
    white_matter_disease_chance=0,
    lacune_chance=0,
    calcification_chance=0,
    dense_vessel_chance=0,
    cyst_chance=0,
    chronic_subdural_chance=0,
)
CHRONIC = replace(PLAIN, chronic_subdural_chance=1, chronic_subdural_both_sides_chance=0)
CSF_HU = 7.0


@pytest.fixture(scope="module")
def head() -> Head:
    return procedural_head(np.random.default_rng(3))


@pytest.fixture(scope="module")
def grid(head: Head) -> ScanGrid:
    return place(np.random.default_rng(0), head, SPACING_MM, tilt_degrees=0, scale=1, warp_mm=0)


@pytest.fixture(scope="module")
def depth(head: Head, grid: ScanGrid) -> Float:
    marks = landmarks(head)
    return sample(marks.depth_mm, marks.step_mm, grid.head_mm)


def drawn(head: Head, grid: ScanGrid, depth: Float, seed: int, ranges: CtRanges = CHRONIC) -> list[Collection]:
    """The first that a scene of this seed draws."""
    return draw_collections(np.random.default_rng(seed), grid, depth, landmarks(head), ranges)


def filled(collections: list[Collection], depth: Float, grid: ScanGrid) -> Float:
    return add_collections(np.zeros(grid.shape, np.float32), collections, depth, grid)[1]


@pytest.mark.parametrize("seed", range(4))
def test_a_collection_is_a_layer_under_the_bone_of_one_side(
    head: Head, grid: ScanGrid, depth: Float, seed: int
) -> None:
    collections = drawn(head, grid, depth, seed)
    assert len(collections) == 1
    part = filled(collections, depth, grid)
    low, high = CT_RANGES.chronic_subdural_mm
    assert low * 0.9 < collections[0].layer_mm.max() <= high
    assert (part > 0.5).any()
    assert depth[part > 0].min() >= -SPACING_MM[0] / 2  # the soft edge of one voxel at the inner table
    assert depth[part > 0.5].max() <= high
    sides = grid.head_mm[0][part > 0.5] > landmarks(head).midline_mm
    assert sides.all() or not sides.any()


def test_collections_on_both_sides_are_two(head: Head, grid: ScanGrid, depth: Float) -> None:
    both = replace(CHRONIC, chronic_subdural_both_sides_chance=1)
    part = filled(drawn(head, grid, depth, 0, both), depth, grid) > 0.5
    left = grid.head_mm[0] > landmarks(head).midline_mm
    assert (part & left).any()
    assert (part & ~left).any()
    assert drawn(head, grid, depth, 0, PLAIN) == []


@pytest.mark.parametrize("kind", ["healthy", "ischemic", "hemorrhagic"])
def test_a_collection_is_darker_than_brain_and_never_labeled(
    head: Head, grid: ScanGrid, depth: Float, kind: str
) -> None:
    ranges = replace(CHRONIC, infarct_ages=(SUBACUTE,), infarct_age_shares=(1.0,), parenchymal_chance=1)
    parameters: dict[str, float] = {}
    scene = Scene(head, None, grid, landmarks(head), kind, 0.0, ranges, parameters)
    result = compose(np.random.default_rng(1), scene)
    part = filled(drawn(head, grid, depth, 1, ranges), depth, grid)
    voxel_ml = float(np.prod(SPACING_MM)) / 1000
    assert parameters["chronic_subdural_ml"] == pytest.approx(part.sum() * voxel_ml, rel=1e-5)
    blood = result.truth.get(HEMORRHAGIC, np.zeros(grid.shape)) > 0  # fresh blood may run into an old collection
    values = result.hu[(part > 0.999) & ~blood]
    low, high = CT_RANGES.chronic_subdural_hu
    assert len(values) > 50
    assert low - 0.01 <= values.min()
    assert np.median(values) <= high
    if kind != "hemorrhagic":  # blood too thin to be labeled brightens a voxel
        assert values.max() <= high + 0.01
    for label, truth in result.truth.items():
        if label == ISCHEMIC:
            assert truth.any()
            assert not truth[part > 0.5].any()
        else:
            assert (result.hu[truth > 0.5] > high).all()


def test_the_brain_gives_way_to_a_collection_and_its_surface_with_it(head: Head, grid: ScanGrid, depth: Float) -> None:
    marks = landmarks(head)
    thick = replace(CHRONIC, chronic_subdural_mm=(12, 12))
    collections = drawn(head, grid, depth, 2, thick)
    moved = pressed_in(grid, collections, depth, marks)
    before = sample(marks.depth_mm, marks.step_mm, moved.head_mm)
    layer = collections[0].layer_mm
    under = (layer > 8) & (np.abs(depth - layer) < 1.5)
    assert under.sum() > 20
    # What lies at the layer's inner border is what lay next to the inner table.
    assert np.median(before[under]) < 4
    far = (depth > 55) | (layer == 0)
    assert np.abs(moved.head_mm - grid.head_mm)[:, far].max() < 1e-3


def test_fluid_grows_into_an_old_infarct_and_what_lies_beside_it(head: Head, grid: ScanGrid, depth: Float) -> None:
    rng, marks = np.random.default_rng(0), landmarks(head)
    table = draw_tissue_hu(rng, PLAIN)
    mixture = mix(head, sub_positions(rng, grid), table)
    voxel_ml = float(np.prod(SPACING_MM)) / 1000
    widest_mm = 9.0
    without = replace(PLAIN, old_infarct_chance=1, ex_vacuo_chance=0)
    with_it = replace(without, ex_vacuo_chance=1, ex_vacuo_mm=(widest_mm, widest_mm))

    def old(seed: int, ranges: CtRanges) -> tuple[Float, Float]:
        return add_old_disease(np.random.default_rng(seed), mixture.hu, mixture, grid, depth, marks, ranges, CSF_HU)

    for seed in range(12):
        scar, grown = old(seed, without), old(seed, with_it)
        new = grown[1] > scar[1] + 0.5
        if new.sum() * voxel_ml > 2:
            break
    else:
        pytest.fail("no scar near fluid in twelve draws")
    assert (grown[1] >= scar[1]).all()
    assert np.abs(grown[0][(grown[1] > 0.999) & new] - CSF_HU).max() < 0.01
    assert (mixture.parenchyma[new] > 0).all()  # brain gave way, nothing else
    spacing = SPACING_MM[::-1]
    from_fluid = ndimage.distance_transform_edt(mixture.fluid <= 0.35, sampling=spacing)
    assert from_fluid[new].max() <= 1.6 * widest_mm
    from_scar = ndimage.distance_transform_edt(scar[1] < 0.5, sampling=spacing)
    assert from_scar[new].max() < 15
    unchanged = grown[1] == 0
    assert np.array_equal(grown[0][unchanged], scar[0][unchanged])

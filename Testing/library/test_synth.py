"""Generated heads and scans: truth that is known, ranges that hold, the same seed the same image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from StrokeSegLib.synth.anatomy import PARENCHYMA, Head, Tissue
from StrokeSegLib.synth.diffusion import SyntheticCase, make_case
from StrokeSegLib.synth.fields import smooth_field, stretch
from StrokeSegLib.synth.mri_ranges import DIFFUSION, DiffusionRanges
from StrokeSegLib.synth.placement import lookup
from StrokeSegLib.synth.procedural import procedural_head


@pytest.fixture(scope="module")
def head() -> Head:
    return procedural_head(np.random.default_rng(3))


@pytest.fixture(scope="module")
def case(head: Head) -> SyntheticCase:
    return make_case(np.random.default_rng(11), head, healthy=False, spacing_mm=(2.0, 2.0, 4.0))


def test_a_stretched_ramp_is_a_ramp() -> None:
    coarse = np.linspace(0, 1, 3, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    fine = stretch(coarse, (5, 4, 4))
    assert np.allclose(fine[:, 0, 0], [0, 0.25, 0.5, 0.75, 1])


def test_a_smooth_field_has_mean_zero_and_unit_spread() -> None:
    field = smooth_field(np.random.default_rng(0), (20, 30, 40), (1.0, 1.0, 2.0), 10.0)
    assert field.mean() == pytest.approx(0, abs=1e-3)
    assert field.std() == pytest.approx(1, abs=1e-3)


def test_lookup_takes_the_nearest_voxel_and_nothing_outside() -> None:
    array = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    positions = np.array([[[[2.2]]], [[[1.9]]], [[[0.4]]]], np.float32)  # x 2.2, y 1.9, z 0.4 mm
    assert lookup(array, positions, 2.0).item() == array[0, 1, 1]
    assert lookup(array, positions * -5, 2.0).item() == 0


def test_a_procedural_head_has_the_volumes_of_a_head(head: Head) -> None:
    voxel_ml = head.spacing_mm**3 / 1000
    brain_ml = np.isin(head.tissue, PARENCHYMA).sum() * voxel_ml
    assert 850 < brain_ml < 1700  # adult brains, generously
    cerebellum = np.isin(head.tissue, (Tissue.CEREBELLUM_GRAY, Tissue.CEREBELLUM_WHITE)).sum() * voxel_ml
    assert 60 < cerebellum < 220
    for tissue in (Tissue.BONE, Tissue.SCALP, Tissue.EYE, Tissue.BRAINSTEM, Tissue.DEEP_GRAY, Tissue.CHOROID_PLEXUS):
        assert (head.tissue == tissue).any(), tissue.name


@pytest.mark.parametrize("seed", range(4))
def test_a_procedural_head_is_made_as_label_maps_of_real_heads_are(seed: int) -> None:
    """Shares and thickness within what twenty label maps of adults show, with a margin."""
    made = procedural_head(np.random.default_rng(seed))
    ml = {tissue: float((made.tissue == tissue).sum()) * made.spacing_mm**3 / 1000 for tissue in Tissue}
    assert 0.6 < ml[Tissue.CORTEX] / ml[Tissue.WHITE_MATTER] < 1.6
    assert 22 < ml[Tissue.DEEP_GRAY] < 65
    assert 1.5 < ml[Tissue.PALLIDUM] < 5
    assert 20 < ml[Tissue.BRAINSTEM] < 45
    cortex = made.tissue == Tissue.CORTEX
    depth_mm = ndimage.distance_transform_edt(cortex)[cortex] * made.spacing_mm
    assert np.percentile(depth_mm, 95) < 2.8  # a ribbon, no lumps


def test_the_internal_capsule_lies_medial_of_the_pallidum(head: Head) -> None:
    """On nearly every row; thalamus and caudate come after it."""
    pallidum = head.tissue == Tissue.PALLIDUM
    middle = round(np.argwhere(pallidum)[:, 2].mean())
    after = []
    for k, j in np.argwhere(pallidum.any(axis=2)):
        columns = np.flatnonzero(pallidum[k, j])
        left, right = columns[columns > middle], columns[columns < middle]
        after += [head.tissue[k, j, left.min() - 1]] if len(left) else []
        after += [head.tissue[k, j, right.max() + 1]] if len(right) else []
    capsule = np.isin(after, (Tissue.WHITE_MATTER, Tissue.BRAINSTEM))  # and the peduncle, which continues it
    assert np.mean(capsule) > 0.9


def test_brain_is_enclosed_by_skull(head: Head) -> None:
    middle = head.tissue[head.tissue.shape[0] * 2 // 3]
    row = middle[middle.shape[0] // 2]
    brain = np.flatnonzero(np.isin(row, PARENCHYMA))
    bone = np.flatnonzero(row == Tissue.BONE)
    assert bone.min() < brain.min()
    assert bone.max() > brain.max()


def test_the_same_seed_makes_the_same_case(head: Head) -> None:
    a, b = (make_case(np.random.default_rng(4), head, spacing_mm=(3.0, 3.0, 5.0)) for _ in range(2))
    assert np.array_equal(a.truth.array, b.truth.array)
    assert np.array_equal(a.images["dwi"].array, b.images["dwi"].array)
    c = make_case(np.random.default_rng(5), head, spacing_mm=(3.0, 3.0, 5.0))
    assert a.images["dwi"].array.shape != c.images["dwi"].array.shape or not np.array_equal(
        a.images["dwi"].array, c.images["dwi"].array
    )


def test_images_and_truth_lie_on_one_grid(case: SyntheticCase) -> None:
    assert case.images["adc"].same_grid(case.images["dwi"])
    assert case.truth.same_grid(case.images["dwi"])
    assert set(np.unique(case.truth.array)) <= {0, 1}


def test_a_lesion_has_the_adc_and_the_dwi_ratio_that_were_drawn(head: Head) -> None:
    """Within the spread that noise, partial volume and the uneven inside leave."""
    ranges = replace(
        DIFFUSION,
        lesion_adc=(0.40, 0.40),
        lesion_dwi_ratio=(2.5, 2.5),
        white_matter_involvement=(1.0, 1.0),
        lesion_fade=(0.0, 0.0),
        lesion_edge_mm=(0.5, 0.5),
        shower_chance=0.0,
        readout_s=(0.0, 0.0),
        white_matter_disease_chance=0.0,
        old_infarct_chance=0.0,
        plexus_bright_chance=0.0,
        noise=(0.01, 0.01),
    )

    def made(seed: int, ranges: DiffusionRanges) -> SyntheticCase:
        return make_case(np.random.default_rng(seed), head, ranges=ranges, healthy=False, spacing_mm=(2.0, 2.0, 3.0))

    seed, case = next(
        (seed, c)
        for seed, c in ((seed, made(seed, ranges)) for seed in range(20))
        if c.truth.array.sum() * c.truth.voxel_volume_ml > 5
    )
    lesion = ndimage.binary_erosion(case.truth.array > 0)
    assert np.median(case.images["adc"].array[lesion]) == pytest.approx(0.40, abs=0.12)
    # The same head, the lesion as bright as the tissue it lies in.
    unseen = made(seed, replace(ranges, lesion_dwi_ratio=(1.0, 1.0)))
    ratio = np.median(case.images["dwi"].array[lesion] / unseen.images["dwi"].array[lesion])
    assert ratio == pytest.approx(2.5, rel=0.1)


def test_a_healthy_head_has_no_truth(head: Head) -> None:
    healthy = make_case(np.random.default_rng(1), head, healthy=True, spacing_mm=(3.0, 3.0, 5.0))
    assert not healthy.truth.array.any()


def test_adc_of_normal_brain_is_physiological(case: SyntheticCase) -> None:
    adc = case.images["adc"].array[case.truth.array == 0]
    parenchyma = adc[(adc > 0.3) & (adc < 1.5)]
    assert 0.6 < np.median(parenchyma) < 1.05
    assert np.percentile(adc, 99.5) > 2.3  # ventricles are there

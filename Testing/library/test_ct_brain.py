"""The brain mask of a CT: on balls of known truth, whatever the scan, and on real heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from synthetic_ct import ct_head, dice

from StrokeSegLib.io import read_image
from StrokeSegLib.preprocess.ct_brain import _filled, component_brain_mask, ct_brain_mask, deeper, grown
from StrokeSegLib.preprocess.geometry import to_axial

SCANS = {
    "thick slices": {"spacing_mm": (0.8, 0.8, 5.0)},
    "thin slices": {"spacing_mm": (1.0, 1.0, 1.5)},
    "anisotropic pixels": {"spacing_mm": (0.7, 1.3, 4.0)},
    "noise": {"spacing_mm": (1.0, 1.0, 3.0), "noise_hu": 15.0},
    "no skull": {"skull": False},
    "no skull, noise": {"skull": False, "noise_hu": 4.0},
    "blood": {"blood_hu": 75.0},
    "a slab of 12 mm": {"size_mm": (170.0, 170.0, 12.0)},
    "one slice": {"spacing_mm": (1.0, 1.0, 5.0), "size_mm": (170.0, 170.0, 5.0)},
    "cut at one side": {"size_mm": (110.0, 170.0, 120.0)},
}


@pytest.mark.parametrize("name", SCANS)
def test_the_brain_is_found(name: str) -> None:
    ct, brain, _ = ct_head(**SCANS[name])
    assert dice(ct_brain_mask(ct.array, ct.spacing_mm), brain) > 0.95


@pytest.mark.parametrize("window_hu", [(0, 80), (-10, 100)])
def test_an_image_clipped_to_a_window_still_shows_its_brain(window_hu: tuple[float, float]) -> None:
    ct, brain, _ = ct_head((1.0, 1.0, 4.0), noise_hu=3.0)
    assert dice(ct_brain_mask(np.clip(ct.array, *window_hu), ct.spacing_mm), brain) > 0.95


def test_the_scalp_is_no_brain() -> None:
    ct, brain, _ = ct_head((1.0, 1.0, 3.0))
    mask = ct_brain_mask(ct.array, ct.spacing_mm)
    assert not mask[ct.array == 40].any()
    assert (mask & ~brain).sum() < 0.02 * brain.sum()


def test_a_table_changes_nothing() -> None:
    ct, _, _ = ct_head((1.5, 1.5, 3.0))
    with_table = ct.array.copy()
    with_table[:, -3:, 10:-10] = 150
    assert np.array_equal(ct_brain_mask(with_table, ct.spacing_mm), ct_brain_mask(ct.array, ct.spacing_mm))


def test_a_hole_in_the_skull_loses_no_brain() -> None:
    ct, brain, _ = ct_head((1.5, 1.5, 3.0))
    opened = ct.array.copy()
    middle = opened.shape[2] // 2
    window = opened[:, : opened.shape[1] // 2, middle - 20 : middle + 20]  # 60 mm of the front
    window[window == 900] = 40
    assert (ct_brain_mask(opened, ct.spacing_mm) & brain).sum() > 0.95 * brain.sum()


@pytest.mark.parametrize("hu", [-1000.0, 0.0, 1000.0])
def test_an_image_of_one_value_has_no_brain(hu: float) -> None:
    assert not ct_brain_mask(np.full((4, 32, 32), hu, np.float32), (2.0, 2.0, 5.0)).any()


def test_the_papers_components_keep_the_largest_piece_inside_the_skull() -> None:
    ct, brain, _ = ct_head((1.5, 1.5, 3.0))
    mask = component_brain_mask(np.clip(ct.array, 0, 80))
    # Slice by slice: in the outermost slices, where scalp is larger than brain, the paper's rule takes the scalp.
    middle = slice(brain.shape[0] // 2 - 8, brain.shape[0] // 2 + 8)
    assert np.array_equal(mask[middle], brain[middle])


@pytest.mark.data
def test_a_real_head_gives_the_brain_of_its_stripped_twin(data: Path) -> None:
    """An average of many heads: blurred, with a skull base of soft tissue, which costs some of the lowest slices."""
    head = read_image(data / "cases" / "ct-template" / "head_hu.nii.gz").volume
    brain = read_image(data / "cases" / "ct-template" / "brain_hu.nii.gz").volume
    truth = brain.array > -500
    assert dice(ct_brain_mask(head.array, head.spacing_mm), truth) > 0.88
    assert dice(ct_brain_mask(brain.array, brain.spacing_mm), truth) > 0.9
    upper = slice(30, None)
    assert dice(ct_brain_mask(head.array, head.spacing_mm)[upper], truth[upper]) > 0.95


@pytest.mark.data
def test_a_tilted_head_with_a_head_rest(data: Path) -> None:
    ct = to_axial(read_image(data / "cases" / "ct-dicom-tilted").volume)
    mask = ct_brain_mask(ct.array, ct.spacing_mm)
    assert 1200 < mask.sum() * ct.voxel_volume_ml < 1800
    assert 20 < np.median(ct.array[mask]) < 45
    # Nothing outside the skull: the mask keeps away from the air around the head.
    assert (ct.array[mask] < -100).mean() < 0.001


@pytest.mark.parametrize("step_mm", [(3.0, 2.0, 2.0), (1.5, 1.5, 1.4), (5.0, 2.6, 1.8)])
def test_growing_and_shrinking_are_thresholds_of_the_distance(step_mm: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(0)
    mask = ndimage.gaussian_filter(rng.random((6, 40, 50)), (0, 2, 2)) > 0.53
    mask[0], mask[1, 0, 0] = False, True
    for plane, near, core in zip(mask, grown(mask, 5.0, step_mm), deeper(~mask, 4.0, step_mm), strict=True):
        distance = ndimage.distance_transform_edt(~plane, step_mm[1:]) if plane.any() else np.full(plane.shape, 99.0)
        np.testing.assert_array_equal(near, distance <= 5)
        beyond = np.pad(~plane, 3, mode="edge")
        depth = ndimage.distance_transform_edt(beyond, step_mm[1:])[3:-3, 3:-3]
        np.testing.assert_array_equal(core, depth > 4 if plane.any() else True)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.8])
def test_holes_are_filled_in_the_box_around_the_mask_as_in_the_whole(part: float) -> None:
    rng = np.random.default_rng(4)
    mask = rng.random((4, 30, 40)) < part
    mask[:, :5] = mask[:, :, 35:] = False
    expected = np.stack([ndimage.binary_fill_holes(plane) for plane in mask])
    np.testing.assert_array_equal(_filled(mask), expected)

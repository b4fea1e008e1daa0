"""The tissue of a head CT at one level: offsets and bright rims go, blood stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from StrokeSegLib.preprocess.ct_level import depths_mm, leveled

SPACING_MM = (1.5, 1.5, 4.0)


@pytest.fixture
def head() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ball of tissue at 31 HU with noise of 2 HU, its mask, and each voxel's depth below the surface, mm."""
    rng = np.random.default_rng(5)
    k, j, i = np.mgrid[:34, :90, :90]
    radius = np.hypot(np.hypot((i - 44.5) * 1.5, (j - 44.5) * 1.5), (k - 16.5) * 4.0)
    brain = radius < 62
    hu = np.where(brain, 31 + rng.normal(0, 2, brain.shape), 900).astype(np.float32)
    depth = ndimage.distance_transform_edt(brain, SPACING_MM[::-1])
    return hu, brain, depth


def test_an_offset_of_the_scanner_goes(head):
    hu, brain, _ = head
    assert np.median(leveled(hu + 20, brain, SPACING_MM, 31.0)[brain]) == pytest.approx(31, abs=0.3)


def test_a_bright_rim_comes_down_to_the_tissue(head):
    hu, brain, depth = head
    glowing = hu + np.where(brain, 25 * np.exp(-depth / 5), 0).astype(np.float32)
    level = leveled(glowing, brain, SPACING_MM, 31.0)
    for near, far in ((1.5, 4), (4, 7), (7, 12), (25, 40)):
        layer = brain & (depth >= near) & (depth < far)
        assert np.median(level[layer]) == pytest.approx(31, abs=2.5), (near, far)


def test_a_layer_of_blood_on_one_side_stays(head):
    hu, brain, depth = head
    left = np.arange(90)[None, None, :] > 50
    blood = brain & (depth < 7) & left
    hu = hu + np.where(blood, 30, 0) + np.where(brain, 15 * np.exp(-depth / 6), 0)
    level = leveled(hu.astype(np.float32), brain, SPACING_MM, 31.0)
    assert np.median(level[blood]) - np.median(level[brain & ~blood]) > 25


def test_a_dark_rim_of_wide_sulci_is_left(head):
    hu, brain, depth = head
    hu = np.where(brain & (depth < 4), 15, hu).astype(np.float32)
    level = leveled(hu, brain, SPACING_MM, 31.0)
    assert np.ptp((level - hu)[brain]) < 1.5  # the same offset everywhere


def test_one_slice_and_few_voxels_work(head):
    hu, brain, _ = head
    one = leveled(hu[16:17] + 9, brain[16:17], SPACING_MM, 31.0)
    assert np.median(one[brain[16:17]]) == pytest.approx(31, abs=0.5)
    few = np.zeros_like(brain)
    few[16, 40:44, 40:44] = True
    assert np.isfinite(leveled(hu, few, SPACING_MM, 31.0)).all()


def test_outside_of_the_brain_only_the_offset_changes(head):
    hu, brain, _ = head
    level = leveled(hu, brain, SPACING_MM, 31.0)
    assert np.ptp((level - hu)[~brain]) == 0


def test_depths_are_those_of_the_whole_volume():
    """Only the box around the brain is looked at; a brain that the border cuts goes on beyond it."""
    brain = np.zeros((12, 40, 50), bool)
    brain[:7, 10:25, 20:50] = np.random.default_rng(0).random((7, 15, 30)) < 0.9  # cut below, and at one side
    padded = np.pad(brain, 1, mode="edge")
    whole = ndimage.distance_transform_edt(padded, SPACING_MM[::-1])[1:-1, 1:-1, 1:-1].astype(np.float32)
    np.testing.assert_array_equal(depths_mm(brain, SPACING_MM), whole[brain])
    everywhere = np.ones((3, 4, 5), bool)
    everywhere[1, 2, 2] = False
    assert depths_mm(everywhere, SPACING_MM).max() == np.float32(np.hypot(np.hypot(3.0, 3.0), 4.0))

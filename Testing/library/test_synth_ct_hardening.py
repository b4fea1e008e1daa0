"""A hardened beam's error, as reconstruction makes it of bone: nothing without bone, more where a skull closes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from StrokeSegLib.synth.ct_hardening import _paths, _reconstructed, bone_error_mm

SPACING_MM = (2.0, 2.0, 5.0)


def discs(*radii_mm: float) -> NDArray[np.float32]:
    """A slice a radius, with 128 voxels of 2 mm along each side."""
    axis = (np.arange(128) - 63.5) * 2.0
    radius = np.hypot(axis[:, None], axis)
    return np.stack([np.clip((r - radius) / 2 + 0.5, 0, 1) for r in radii_mm]).astype(np.float32)


def rings(*radii_mm: float, thick_mm: float = 7.0) -> NDArray[np.float32]:
    """Skulls: outer radius as given."""
    return np.asarray(discs(*radii_mm) - discs(*(r - thick_mm for r in radii_mm)), np.float32)


def test_what_is_projected_is_reconstructed() -> None:
    """The paths of a disc give the disc: 1 within, 0 outside, to a tenth (rays are as wide as a voxel)."""
    disc = discs(60.0)[:, ::2, ::2]
    image = _reconstructed(4.0 * _paths(disc), disc.shape, 4.0)
    assert image[0, 32, 32] == pytest.approx(1.0, abs=0.1)
    assert image[0, 32, 32 + 10] == pytest.approx(1.0, abs=0.1)
    assert image[0, 32, 32 + 25] == pytest.approx(0.0, abs=0.1)


def test_a_path_through_the_middle_of_a_ring_is_twice_its_thickness() -> None:
    ring = rings(70.0)[:, ::2, ::2]
    paths = 4.0 * _paths(ring).reshape(48, -1)
    middle = paths.shape[1] // 2
    assert paths[:, middle - 1 : middle + 2].mean() == pytest.approx(14.0, rel=0.1)


def test_without_bone_there_is_no_error() -> None:
    assert not bone_error_mm(np.zeros((2, 50, 40), np.float32), SPACING_MM).any()


def test_a_small_ring_is_brighter_inside_than_a_large_one_and_bone_that_is_thicker_makes_it_more() -> None:
    """As the skull's slices toward the vertex are."""
    large, middle, small = bone_error_mm(rings(75.0, 50.0, 30.0), SPACING_MM)[:, 60:68, 60:68].mean(axis=(1, 2))
    assert small > 1.5 * middle > 1.5 * large
    assert large > 0
    thick = bone_error_mm(rings(50.0, thick_mm=14.0), SPACING_MM)[0, 60:68, 60:68].mean()
    assert thick > 1.5 * middle


def test_between_two_dense_bones_it_is_darker_than_beside_the_line_between_them() -> None:
    """The bar between the petrous bones."""
    axis = (np.arange(128) - 63.5) * 2.0
    y, x = axis[:, None], axis
    bones = ((np.hypot(x - 36, y) < 13) | (np.hypot(x + 36, y) < 13)).astype(np.float32)[None]
    error = bone_error_mm(bones, SPACING_MM)[0]
    assert error[62:66, 60:68].mean() < error[84:88, 60:68].mean() - 1

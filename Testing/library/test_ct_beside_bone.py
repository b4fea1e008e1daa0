"""Next to bone through the slices, blood cannot be told from bone's part of a slice: nothing is marked there."""

from __future__ import annotations

import numpy as np
import pytest

from StrokeSegLib.preprocess.ct_beside_bone import beside_bone
from StrokeSegLib.systems.three_projection import prepare
from StrokeSegLib.volume import Volume


def test_the_voxels_below_and_above_bone_are_beside_it_and_those_in_its_plane_are_not() -> None:
    hu = np.full((5, 3, 3), 35.0, np.float32)
    hu[2, 1, 1] = 300
    expected = np.zeros((5, 3, 3), bool)
    expected[[1, 3], 1, 1] = True
    np.testing.assert_array_equal(beside_bone(hu), expected)


@pytest.mark.parametrize("top_hu", [1500.0, 80.0])
def test_blood_is_no_bone_also_where_a_window_has_made_both_the_same(top_hu: float) -> None:
    hu = np.full((5, 20, 20), 35.0, np.float32)
    hu[:, 5:15, 5:15] = 85.0
    hu[:, :2] = 1500.0
    beside = beside_bone(np.minimum(hu, top_hu))
    assert not beside[:, 4:16, 4:16].any()
    assert beside.any() == (top_hu == 1500.0)


def test_one_slice_has_nothing_above_or_below() -> None:
    assert not beside_bone(np.full((1, 4, 4), 500.0, np.float32)).any()


@pytest.mark.parametrize("spacing_k_mm", [1.5, 5.0])
def test_a_blend_of_brain_and_bone_is_out_of_the_brain_that_is_marked_and_the_network_sees_it(
    spacing_k_mm: float,
) -> None:
    """A head whose roof is flat; three parts of its bone in a hundred make the slice below as bright as blood."""
    slices = round(100 / spacing_k_mm)
    _, j, i = np.indices((slices, 100, 80))
    inside = ((j - 50) / 45.0) ** 2 + ((i - 40) / 35.0) ** 2
    hu = np.where(inside < 0.8, 35.0, np.where(inside < 1, 1000.0, -1000.0))
    roof = slices - 3
    hu[roof:][inside[roof:] < 1] = 1000.0
    hu[:2][inside[:2] < 1] = 1000.0
    hu[roof - 1][inside[roof - 1] < 0.8] = 60.0
    volume = Volume(hu.astype(np.float32), (2.0, 2.0, spacing_k_mm), (0.0, 0.0, 0.0), np.eye(3))
    settings = {"windows_hu": [[0.0, 80.0]], "in_plane_mm": 2.0, "min_slice_mm": 0.0, "plane_spacing_mm": 2.0}
    marked = prepare({"ct": volume}, marks_beside_bone=False, **settings)
    whole = prepare({"ct": volume}, **settings)
    assert whole.brain[roof - 1, 50, 40]
    assert not marked.brain[roof - 1].any()
    assert marked.brain[roof - 2, 50, 40]
    np.testing.assert_array_equal(marked.channels, whole.channels)

"""surface_metrics.py against distances measured by hand on rows and slabs, and against MONAI's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from StrokeSegLib.errors import InputError
from StrokeSegLib.surface_metrics import assd_mm, hd95_mm, normalized_surface_dice, surface_distances

#: Along i, j, k, as everywhere: the slices are 5 mm apart.
SPACING_MM = (0.5, 1.0, 5.0)


def row(text: str) -> np.ndarray:
    """A mask of one row along i: "#" is lesion. Every voxel of it is surface."""
    return np.array([c == "#" for c in text]).reshape(1, 1, -1)


def slab(first: int, last: int) -> np.ndarray:
    """Slices ``first`` to ``last`` of ten, a square of 4 x 4 in 6 x 6."""
    mask = np.zeros((10, 6, 6), bool)
    mask[first : last + 1, 1:5, 1:5] = True
    return mask


def test_distances_of_a_hand_measured_row() -> None:
    # Predicted voxels 0 and 3, true voxel 2: 2 and 1 voxels away; the true voxel is 1 away from voxel 3.
    d = surface_distances(row("#..#."), row("..#.."), (2.0, 1.0, 1.0))
    assert sorted(d.prediction_to_truth_mm) == [2.0, 4.0]
    assert d.truth_to_prediction_mm.tolist() == [2.0]
    assert assd_mm(d) == pytest.approx((2 + 4 + 2) / 3)
    # The 95th percentile of (2, 4) lies at 95% of the way; of (2) it is 2; the larger counts.
    assert hd95_mm(d) == pytest.approx(2 + 0.95 * 2)
    assert normalized_surface_dice(d, 2.0) == pytest.approx(2 / 3)
    assert normalized_surface_dice(d, 1.9) == 0
    assert normalized_surface_dice(d, 4.0) == 1


@pytest.mark.parametrize(("axis", "step_mm"), [(0, 5.0), (1, 1.0), (2, 0.5)])
def test_a_voxel_moved_by_one_is_off_by_the_spacing_of_that_axis(axis: int, step_mm: float) -> None:
    voxel = np.zeros((5, 5, 5), bool)
    voxel[2, 2, 2] = True
    d = surface_distances(np.roll(voxel, 1, axis), voxel, SPACING_MM)
    assert hd95_mm(d) == assd_mm(d) == step_mm


def test_the_inside_of_a_lesion_is_not_its_surface() -> None:
    cube = np.zeros((5, 5, 5), bool)
    cube[1:4, 1:4, 1:4] = True
    d = surface_distances(cube, cube, (1.0, 1.0, 1.0))
    assert len(d.prediction_to_truth_mm) == 27 - 1
    assert (hd95_mm(d), assd_mm(d), normalized_surface_dice(d, 0.0)) == (0.0, 0.0, 1.0)


def test_a_hole_that_was_filled_costs_distance() -> None:
    full = np.zeros((7, 7, 7), bool)
    full[1:6, 1:6, 1:6] = True
    hollow = full.copy()
    hollow[3, 3, 3] = False
    # The hole's surface is its 6 face neighbors, each one voxel below the outer surface of the full cube (98 voxels).
    d = surface_distances(full, hollow, (1.0, 1.0, 1.0))
    assert d.prediction_to_truth_mm.max() == 0
    assert sorted(d.truth_to_prediction_mm)[-6:] == [1.0] * 6
    assert assd_mm(d) == pytest.approx(6 / (98 + 98 + 6))


def test_a_lesion_too_tall_by_one_thick_slice_fails_at_2_mm_and_passes_at_5_mm() -> None:
    d = surface_distances(slab(2, 6), slab(2, 5), SPACING_MM)
    # Of both slabs the inner 2 x 2 voxels are no surface, but for the first and the last slice.
    assert len(d.prediction_to_truth_mm) == 5 * 12 + 2 * 4
    assert len(d.truth_to_prediction_mm) == 4 * 12 + 2 * 4
    # The 16 voxels of the slice too many lie 5 mm off; the 4 inner ones of the true top are half a millimeter away from
    # the predicted side walls.
    assert sorted(d.prediction_to_truth_mm)[-17:] == [0.0] + [5.0] * 16
    assert sorted(d.truth_to_prediction_mm)[-5:] == [0.0] + [0.5] * 4
    assert normalized_surface_dice(d, 2.0) == pytest.approx(1 - 16 / (68 + 56))
    assert normalized_surface_dice(d, 5.0) == 1
    assert hd95_mm(d) == 5


def test_one_far_voxel_moves_the_maximum_not_hd95() -> None:
    truth = np.zeros((1, 40, 40), bool)
    truth[0, 5:15, 5:15] = True
    prediction = truth.copy()
    prediction[0, 39, 39] = True
    d = surface_distances(prediction, truth, (1.0, 1.0, 1.0))
    assert d.prediction_to_truth_mm.max() == pytest.approx(25 * math.sqrt(2))
    assert hd95_mm(d) == 0


def test_both_empty_is_a_perfect_score() -> None:
    d = surface_distances(row("...."), row("...."), SPACING_MM)
    assert (hd95_mm(d), assd_mm(d), normalized_surface_dice(d, 2.0)) == (0.0, 0.0, 1.0)


def test_one_empty_costs_the_diagonal_of_the_volume_and_no_surface_agrees() -> None:
    empty, full = np.zeros((3, 4, 5), bool), np.zeros((3, 4, 5), bool)
    full[1, 1, 1] = True
    diagonal = math.hypot(4 * 0.5, 3 * 1.0, 2 * 5.0)
    for pair in ((empty, full), (full, empty)):
        d = surface_distances(*pair, SPACING_MM)
        assert hd95_mm(d) == assd_mm(d) == pytest.approx(diagonal)
        assert normalized_surface_dice(d, 1000.0) == 0


def test_no_real_distance_exceeds_that_of_a_missed_lesion() -> None:
    corner = np.zeros((3, 4, 5), bool)
    corner[0, 0, 0] = True
    opposite, empty = corner[::-1, ::-1, ::-1], np.zeros_like(corner)
    farthest = surface_distances(corner, opposite, SPACING_MM)
    assert hd95_mm(farthest) == pytest.approx(hd95_mm(surface_distances(corner, empty, SPACING_MM)))


def test_any_number_but_zero_is_lesion() -> None:
    d = surface_distances(row("#..#.") * 0.25, row("..#..") * 3, SPACING_MM)
    assert assd_mm(d) == pytest.approx((1.0 + 0.5 + 0.5) / 3)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI's own call
@pytest.mark.parametrize("seed", range(6))
def test_surface_metrics_equal_monais(seed: int) -> None:
    monai = pytest.importorskip("monai.metrics")
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(seed)
    # Blobs that reach the border, so that the border's convention is compared too.
    prediction, truth = random.random((2, 6, 9, 8)) < random.uniform(0.02, 0.6, (2, 1, 1, 1))
    prediction[0, 0, 0] = truth[-1, -1, -1] = True
    d = surface_distances(prediction, truth, SPACING_MM)
    pair = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth)]
    spacing = list(reversed(SPACING_MM))  # MONAI wants the order of the array
    theirs = {
        "hd95": monai.compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=spacing),
        "assd": monai.compute_average_surface_distance(*pair, include_background=True, symmetric=True, spacing=spacing),
        "nsd": monai.compute_surface_dice(*pair, class_thresholds=[2.0], include_background=True, spacing=spacing),
    }
    ours = {"hd95": hd95_mm(d), "assd": assd_mm(d), "nsd": normalized_surface_dice(d, 2.0)}
    assert ours == pytest.approx({name: value.item() for name, value in theirs.items()}, rel=1e-5)


def test_swapping_prediction_and_truth_changes_nothing() -> None:
    random = np.random.default_rng(7)
    a, b = random.random((2, 5, 6, 7)) < 0.2
    one, other = surface_distances(a, b, SPACING_MM), surface_distances(b, a, SPACING_MM)
    for metric in (hd95_mm, assd_mm, lambda d: normalized_surface_dice(d, 1.0)):
        assert metric(one) == pytest.approx(metric(other))


def test_unequal_shapes_and_bad_spacing_are_refused() -> None:
    with pytest.raises(InputError, match="one shape"):
        surface_distances(row("#."), row("#.."), SPACING_MM)
    with pytest.raises(InputError, match="3 dimensions"):
        surface_distances(row("#.")[0], row("#.")[0], SPACING_MM)
    for bad in ((1.0, 0.0, 1.0), (1.0, 1.0), (1.0, float("nan"), 1.0)):
        with pytest.raises(InputError, match="spacing_mm"):
            surface_distances(row("#."), row("#."), bad)

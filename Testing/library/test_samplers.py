"""Where training looks: the promised frequencies, windows inside the volume, and what happens without a lesion."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.training.samplers import labeled_windows, stroke_slices, uniform_windows

COUNT = 4000
#: Four standard deviations of a fraction near a half among COUNT draws.
FOUR_SD = 4 * (0.25 / COUNT) ** 0.5
#: A window of one voxel lies exactly where its center was drawn.
ONE = (1, 1, 1)


def head() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A lesion of 8 voxels in a brain of 6 x 8 x 10 in a volume of 8 x 10 x 12."""
    brain, lesion = np.zeros((2, 8, 10, 12), bool)
    brain[1:7, 1:9, 1:11] = True
    lesion[2:4, 3:5, 4:6] = True
    return lesion, brain


def part_in(mask: NDArray[np.bool_], starts: NDArray[np.int64]) -> float:
    return float(mask[tuple(starts.T)].mean())


def test_half_of_the_centers_lie_in_the_lesion_half_in_healthy_brain_none_outside() -> None:
    lesion, brain = head()
    starts = labeled_windows(np.random.default_rng(0), lesion, brain, ONE, COUNT)
    assert starts.shape == (COUNT, 3)
    assert part_in(lesion, starts) == pytest.approx(0.5, abs=FOUR_SD)
    assert part_in(brain & ~lesion, starts) == pytest.approx(0.5, abs=FOUR_SD)
    assert part_in(brain | lesion, starts) == 1


def test_within_a_class_every_voxel_is_as_likely() -> None:
    lesion, brain = head()
    starts = labeled_windows(np.random.default_rng(1), lesion, brain, ONE, COUNT)
    _, seen = np.unique(starts[lesion[tuple(starts.T)]], axis=0, return_counts=True)
    assert len(seen) == lesion.sum()
    expected = COUNT / 2 / lesion.sum()
    assert np.abs(seen - expected).max() < 5 * expected**0.5


def test_the_lesion_chance_can_be_set() -> None:
    lesion, brain = head()
    for chance in (0.0, 1.0):
        starts = labeled_windows(np.random.default_rng(2), lesion, brain, ONE, 200, lesion_chance=chance)
        assert part_in(lesion, starts) == chance


def test_a_window_is_centered_on_its_voxel_and_pushed_inside_at_the_border() -> None:
    brain = np.zeros((9, 9, 9), bool)
    middle, corner = brain.copy(), brain.copy()
    middle[4, 4, 4] = corner[0, 8, 8] = True
    window = (3, 3, 5)
    assert labeled_windows(np.random.default_rng(3), middle, brain, window, 1).tolist() == [[3, 3, 2]]
    assert labeled_windows(np.random.default_rng(3), corner, brain, window, 1).tolist() == [[0, 6, 4]]


def test_every_lesion_window_holds_its_lesion_and_stays_inside_the_volume() -> None:
    lesion, brain = head()
    window = (4, 6, 5)
    for k, j, i in labeled_windows(np.random.default_rng(4), lesion, brain, window, 300, lesion_chance=1.0):
        patch = lesion[k : k + 4, j : j + 6, i : i + 5]
        assert patch.shape == window
        assert patch.any()


def test_a_window_larger_than_the_volume_starts_at_zero() -> None:
    lesion, brain = head()
    for starts in (
        labeled_windows(np.random.default_rng(5), lesion, brain, (16, 16, 4), 20),
        uniform_windows(np.random.default_rng(5), lesion.shape, (16, 16, 4), 20),
    ):
        assert (starts[:, :2] == 0).all()
        assert starts[:, 2].max() > 0


def test_without_a_lesion_all_centers_lie_in_brain_and_without_healthy_brain_all_in_the_lesion() -> None:
    lesion, brain = head()
    none = np.zeros_like(lesion)
    assert part_in(brain, labeled_windows(np.random.default_rng(6), none, brain, ONE, 100)) == 1
    assert part_in(lesion, labeled_windows(np.random.default_rng(6), lesion, lesion, ONE, 100)) == 1
    assert part_in(lesion, labeled_windows(np.random.default_rng(6), lesion, none, ONE, 100)) == 1


def test_neither_lesion_nor_brain_and_unequal_shapes_are_refused() -> None:
    none = np.zeros((3, 3, 3), bool)
    with pytest.raises(InputError, match="neither lesion nor brain"):
        labeled_windows(np.random.default_rng(7), none, none, ONE, 1)
    with pytest.raises(InputError, match="one shape"):
        labeled_windows(np.random.default_rng(7), none, none[:2], ONE, 1)


def test_uniform_windows_take_every_place_that_fits_equally_often() -> None:
    starts = uniform_windows(np.random.default_rng(8), (5, 4, 9), (3, 4, 8), COUNT)
    places, seen = np.unique(starts, axis=0, return_counts=True)
    assert places.tolist() == [[k, 0, i] for k in range(3) for i in range(2)]
    assert np.abs(seen - COUNT / 6).max() < 5 * (COUNT / 6) ** 0.5


def test_half_of_the_slices_are_drawn_among_those_with_stroke_and_half_among_all() -> None:
    has_stroke = np.arange(100) < 20
    drawn = stroke_slices(np.random.default_rng(9), has_stroke, COUNT)
    # 0.5 + 0.5 * 20 / 100
    assert has_stroke[drawn].mean() == pytest.approx(0.6, abs=FOUR_SD)
    assert set(drawn.tolist()) == set(range(100))


def test_without_stroke_slices_all_slices_are_as_likely() -> None:
    drawn = stroke_slices(np.random.default_rng(10), np.zeros(5, bool), COUNT)
    assert np.abs(np.bincount(drawn) / COUNT - 0.2).max() < FOUR_SD


def test_no_slices_at_all_are_refused() -> None:
    with pytest.raises(InputError, match="no slice"):
        stroke_slices(np.random.default_rng(11), np.zeros(0, bool), 1)


def test_the_same_seed_draws_the_same() -> None:
    lesion, brain = head()
    for draw in (
        lambda rng: labeled_windows(rng, lesion, brain, (2, 2, 2), 50),
        lambda rng: uniform_windows(rng, lesion.shape, (2, 2, 2), 50),
        lambda rng: stroke_slices(rng, lesion.any(axis=(1, 2)), 50),
    ):
        assert np.array_equal(draw(np.random.default_rng(12)), draw(np.random.default_rng(12)))
        assert not np.array_equal(draw(np.random.default_rng(12)), draw(np.random.default_rng(13)))

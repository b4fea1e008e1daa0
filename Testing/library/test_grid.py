"""The grid of overlapping windows: the counts that the paper's times follow from, and no voxel left out."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.grid import axis_starts, window_count, window_starts

SHAPES = st.tuples(*[st.integers(1, 40)] * 3)
WINDOWS = st.tuples(*[st.integers(1, 16)] * 3)
OVERLAPS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9])


@pytest.mark.parametrize(("overlap", "count"), [(0.25, 36), (0.5, 80), (0.75, 378)])
def test_the_counts_of_a_cropped_head_explain_the_papers_seconds(overlap: float, count: int) -> None:
    assert window_count((300, 370, 270), (128, 128, 128), overlap) == count
    assert len(window_starts((300, 370, 270), (128, 128, 128), overlap)) == count


def test_the_last_window_is_moved_back_inside() -> None:
    # Steps of 6, and the last start at 20 - 8.
    assert axis_starts(20, 8, 0.25) == [0, 6, 12]
    assert axis_starts(21, 8, 0.25) == [0, 6, 12, 13]


def test_what_fits_in_one_window_needs_one() -> None:
    assert axis_starts(8, 8, 0.5) == [0]
    assert axis_starts(3, 8, 0.5) == [0]


def test_windows_come_slice_by_slice_in_the_order_of_the_axes() -> None:
    assert window_starts((2, 1, 4), (1, 1, 2), 0.0) == [(0, 0, 0), (0, 0, 2), (1, 0, 0), (1, 0, 2)]


@given(SHAPES, WINDOWS, OVERLAPS)
@settings(max_examples=60, deadline=None)
def test_every_voxel_is_covered_and_every_window_stays_inside(shape, window, overlap) -> None:
    covered = np.zeros(shape, int)
    for start in window_starts(shape, window, overlap):
        assert all(0 <= s and (s + w <= n or s == 0) for s, w, n in zip(start, window, shape, strict=True))
        covered[tuple(slice(s, s + w) for s, w in zip(start, window, strict=True))] += 1
    assert covered.min() >= 1


@given(SHAPES, WINDOWS, OVERLAPS)
@settings(max_examples=60, deadline=None)
def test_the_predicted_count_is_the_true_one_and_no_window_comes_twice(shape, window, overlap) -> None:
    starts = window_starts(shape, window, overlap)
    assert len(starts) == window_count(shape, window, overlap) == len(set(starts))


@given(st.integers(1, 200), st.integers(1, 40), OVERLAPS)
@settings(max_examples=60, deadline=None)
def test_neighbors_overlap_at_least_as_much_as_asked(size, window, overlap) -> None:
    starts = axis_starts(size, window, overlap)
    step = max(1, window - round(overlap * window))
    assert all(0 < b - a <= step for a, b in itertools.pairwise(starts))


@pytest.mark.parametrize("overlap", [-0.1, 1.0, float("nan")])
def test_an_overlap_outside_zero_to_one_is_refused(overlap: float) -> None:
    with pytest.raises(InputError, match="overlap"):
        window_count((8, 8, 8), (4, 4, 4), overlap)


@pytest.mark.parametrize(("shape", "window"), [((0, 8, 8), (4, 4, 4)), ((8, 8, 8), (4, 0, 4)), ((8, 8, 8), (4, 4))])
def test_sizes_below_one_and_missing_axes_are_refused(shape, window) -> None:
    with pytest.raises(InputError, match="window"):
        window_starts(shape, window, 0.5)


def test_counting_windows_needs_no_torch() -> None:
    code = "import sys, StrokeSegLib.inference.grid; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

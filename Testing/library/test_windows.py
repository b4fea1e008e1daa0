"""Slices with neighbors, boxes around the brain and batches."""

from __future__ import annotations

import numpy as np

from StrokeSegLib.inference.windows import batches, brain_box, slice_stack


def test_a_slice_comes_between_its_neighbors_channel_by_channel() -> None:
    channels = np.arange(2 * 4).reshape(2, 4, 1, 1)  # channel 0: slices 0..3, channel 1: slices 4..7
    assert slice_stack(channels, 2).ravel().tolist() == [1, 2, 3, 5, 6, 7]


def test_edge_slices_repeat() -> None:
    channels = np.arange(4).reshape(1, 4, 1, 1)
    assert slice_stack(channels, 0).ravel().tolist() == [0, 0, 1]
    assert slice_stack(channels, 3).ravel().tolist() == [2, 3, 3]


def test_one_slice_is_its_own_neighbor() -> None:
    assert slice_stack(np.array([5]).reshape(1, 1, 1, 1), 0).ravel().tolist() == [5, 5, 5]


def test_a_brain_box_covers_the_mask_with_its_margin_in_multiples_of_32() -> None:
    mask = np.zeros((10, 100, 100), bool)
    mask[3:6, 40:60, 10:50] = True
    k, j, i = brain_box(mask, margin=4, divisor=32)
    assert (k.start, k.stop) == (3, 6)
    assert j.stop - j.start == 32  # 20 + 2 * 4 = 28 rows
    assert j.start <= 36
    assert j.stop >= 64
    assert i.stop - i.start == 64  # 40 + 8 = 48 columns
    assert i.start <= 6
    assert i.stop >= 54


def test_no_brain_no_box() -> None:
    assert brain_box(np.zeros((2, 4, 4), bool), 4, 32) is None


def test_batches_cover_everything_once() -> None:
    assert [list(b) for b in batches(5, 2)] == [[0, 1], [2, 3], [4]]

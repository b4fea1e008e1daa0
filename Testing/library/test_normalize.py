"""The three normalizations of the non-contrast CT system, and why the second adds nothing inside the brain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from StrokeSegLib.errors import InputError
from StrokeSegLib.preprocess.normalize import minmax_brain, zscore, zscore_minmax_grey

ALL = [minmax_brain, zscore_minmax_grey, zscore]
#: Brain at 20, 30, 40, 70 HU (mean 40, SD sqrt(350)), outside of it air and bone.
IMAGE = np.array([-1000, 20, 30, 40, 70, 80], np.float32).reshape(1, 1, 6)
BRAIN = np.array([0, 1, 1, 1, 1, 0], bool).reshape(1, 1, 6)
SD = 350**0.5


def test_minmax_brings_the_brain_to_0_1_and_the_rest_to_0() -> None:
    assert minmax_brain(IMAGE, BRAIN).ravel() == pytest.approx([0, 0, 0.2, 0.4, 1, 0])


def test_zscore_counts_standard_deviations_from_the_brains_mean() -> None:
    assert zscore(IMAGE, BRAIN).ravel() == pytest.approx([0, -20 / SD, -10 / SD, 0, 30 / SD, 0], abs=1e-6)


def test_zscore_minmax_leaves_a_grey_background_where_the_brains_mean_lies() -> None:
    # Outside is 0 standard deviations, as bright as 40 HU: (40 - 20) / (70 - 20).
    assert zscore_minmax_grey(IMAGE, BRAIN).ravel() == pytest.approx([0.4, 0, 0.2, 0.4, 1, 0.4], abs=1e-6)


@given(arrays(np.float32, (2, 3, 4), elements=st.integers(0, 80).map(float)), arrays(bool, (2, 3, 4)))
def test_standardizing_before_min_max_is_an_identity_inside_the_brain(image, brain) -> None:
    brain[0, 0, 0] = True
    np.testing.assert_allclose(zscore_minmax_grey(image, brain)[brain], minmax_brain(image, brain)[brain], atol=1e-6)


@given(arrays(np.float32, (2, 3, 4), elements=st.integers(0, 80).map(float)), arrays(bool, (2, 3, 4)))
def test_all_give_finite_float32_and_the_two_others_a_black_background(image, brain) -> None:
    brain[0, 0, 0] = True
    for normalize in ALL:
        result = normalize(image, brain)
        assert result.dtype == np.float32
        assert np.isfinite(result).all()
    assert not minmax_brain(image, brain)[~brain].any()
    assert not zscore(image, brain)[~brain].any()


def test_zscore_is_clipped_at_five() -> None:
    image = np.zeros((1, 10, 10), np.float32)
    image[0, 0, 0], image[0, 0, 1] = 1000, -1000
    brain = np.ones(image.shape, bool)
    # 2 of 100 voxels at +-1000: SD 141, so they lie 7.1 away.
    assert (zscore(image, brain).max(), zscore(image, brain).min()) == (5.0, -5.0)


def test_what_lies_outside_the_brain_changes_nothing() -> None:
    other = IMAGE.copy()
    other[~BRAIN] = 12345
    for normalize in ALL:
        assert np.array_equal(normalize(other, BRAIN), normalize(IMAGE, BRAIN))


def test_the_input_is_left_alone() -> None:
    before = IMAGE.copy()
    for normalize in ALL:
        normalize(IMAGE, BRAIN)
    assert np.array_equal(IMAGE, before)


def test_a_flat_brain_gives_zeros() -> None:
    for normalize in ALL:
        assert not normalize(np.full((1, 2, 2), 0.1, np.float32), np.ones((1, 2, 2), bool)).any()


def test_whole_numbers_do_not_overflow() -> None:
    image = np.array([-30000, 0, 30000], np.int16).reshape(1, 1, 3)
    assert minmax_brain(image, np.ones(image.shape, bool)).ravel() == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("normalize", ALL)
def test_no_brain_and_another_grid_are_refused(normalize) -> None:
    with pytest.raises(InputError, match="no brain"):
        normalize(IMAGE, np.zeros_like(BRAIN))
    with pytest.raises(InputError, match="one shape"):
        normalize(IMAGE, BRAIN[..., :5])

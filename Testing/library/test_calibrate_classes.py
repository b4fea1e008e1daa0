"""The classifier's limits on cases whose classes are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from StrokeSegLib.inference.projections import Classification
from StrokeSegLib.training.calibrate_classes import class_limits


def case(ischemic: tuple[float, float], hemorrhagic: tuple[float, float]) -> Classification:
    """m and mL of each class."""
    m, volume_ml = ({1: a, 2: b} for a, b in zip(ischemic, hemorrhagic, strict=True))
    return Classification(m, volume_ml, (), 0)


def test_limits_lie_between_the_cases_that_have_a_class_and_those_that_have_not() -> None:
    said = [
        case((1.6, 9.0), (0.0, 0.0)),
        case((2.0, 9.0), (2.9, 5.0)),
        case((2.4, 9.0), (1.8, 5.0)),
        case((2.2, 9.0), (2.1, 5.0)),
    ]
    present = {1: np.array([False, False, True, True]), 2: np.array([False, True, False, False])}
    limits = class_limits(said, present)
    assert limits.m == pytest.approx({1: 2.1, 2: 2.5})
    assert limits.sensitivity == limits.specificity == {1: 1.0, 2: 1.0}
    assert limits.as_constants() == {
        "vpred_above": 1.5,
        "min_volume_ml": 2.0,
        "remove_denied": 1.0,
        "ischemic_m": 2.1,
        "hemorrhagic_m": 2.5,
    }


def test_specks_that_are_as_bright_as_lesions_are_told_by_their_volume() -> None:
    said = [case((2.5, 0.2), (2.0, 0.05)), case((2.5, 5.0), (2.0, 4.0)), case((2.5, 0.25), (2.0, 0.0))]
    present = {1: np.array([False, True, False]), 2: np.array([False, True, False])}
    limits = class_limits(said, present)
    assert limits.min_volume_ml == 2.0
    assert limits.sensitivity == limits.specificity == {1: 1.0, 2: 1.0}


def test_what_cannot_be_told_is_a_number_and_no_error() -> None:
    said = [case((2.0, 5.0), (0.0, 0.0)), case((2.0, 5.0), (0.0, 0.0))]
    limits = class_limits(said, {1: np.array([True, False]), 2: np.array([False, False])})
    assert limits.sensitivity[1] + limits.specificity[1] == 1.0
    assert math.isnan(limits.sensitivity[2])
    assert limits.specificity[2] == 1.0

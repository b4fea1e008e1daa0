"""dpn92_constants.py: the paper's numbers, written out a second time."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict

import pytest

from StrokeSegLib.systems.dpn92_constants import PAPER, DPN92Constants


def test_the_constants_are_the_papers() -> None:
    assert asdict(DPN92Constants()) == {
        # Fusion of the three planes, closing, classifier.
        "k_axial": 0.47,
        "k_coronal": 0.56,
        "k_sagittal": 0.56,
        "hemorrhagic_k": 0.0,
        "closing_radius_mm": 3.0,
        "vpred_above": 0.9,
        "ischemic_m": 1.16,
        "hemorrhagic_m": 1.52,
        "min_volume_ml": 0.0,
        "remove_denied": 0.0,
        # Ensembles: the best 6 of about 40 axial networks, 2 coronal, 2 sagittal.
        "axial_candidates": 40,
        "axial_members": 6,
        "plane_members": 2,
        # Training.
        "steps": 20000,
        "batch_slices": 12,
        "validate_every_steps": 500,
        "learning_rate": 1e-4,
        "learning_rate_decay": 0.99977,
        "stroke_slice_probability": 0.5,
        "focal_gamma": 2.0,
        "focal_alpha": None,
        # Augmentation: flips, 90-110 %, up to 45 degrees. 270 patients train, 30 validate.
        "flip_probability": 0.5,
        "min_scale": 0.9,
        "max_scale": 1.1,
        "max_rotation_deg": 45.0,
        "validation_fraction": 0.1,
        # Input.
        "input_channels": 3,
        "window_hu": (0.0, 80.0),
        "slice_pixels": 512,
        "plane_spacing_mm": 1.0,
        "max_slice_mm": 2.5,
    }
    assert DPN92Constants() == PAPER


def test_the_learning_rate_ends_at_a_hundredth_of_its_start() -> None:
    # ln 0.99977 = -2.300265e-4; times 20000 = -4.60053; e to that = 1.0047e-2.
    remaining = PAPER.learning_rate_decay**PAPER.steps
    assert remaining == pytest.approx(1.005e-2, abs=0.001e-2)
    assert PAPER.learning_rate * remaining == pytest.approx(1.005e-6, abs=0.001e-6)


def test_a_training_validates_forty_times_and_thirty_of_three_hundred_patients_are_for_that() -> None:
    assert PAPER.steps // PAPER.validate_every_steps == 40
    assert PAPER.validation_fraction * 300 == pytest.approx(30)


def test_k_is_in_the_order_axial_coronal_sagittal() -> None:
    assert DPN92Constants(k_axial=0.1, k_coronal=0.2, k_sagittal=0.3).k == (0.1, 0.2, 0.3)


def test_the_constants_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        PAPER.k_axial = 0.5  # type: ignore[misc]

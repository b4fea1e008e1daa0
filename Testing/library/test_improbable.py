"""Marked lesions that are more likely none than one: which go, by hand arithmetic, and when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_segment_systems import ONE, run, write_model
from test_systems import mr_head

from StrokeSegLib.cli.segment import summary_line
from StrokeSegLib.improbable import without_improbable
from StrokeSegLib.training.calibrate_lesions import dice_of_probable
from StrokeSegLib.uncertainty import LesionModel
from StrokeSegLib.volume import Volume

#: Voxels of 0.02 mL.
GRID = Volume(np.zeros((6, 12, 12), np.float32), (2.0, 2.0, 5.0))
#: Log odds of a lesion: those of its mean probability, less 1. So 0.9 gives 0.77 and 0.6 gives 0.36.
MODEL = LesionModel(intercept=-1.0, per_logit=1.0, per_log10_ml=0.0)
CUBE = (slice(1, 3), slice(2, 4), slice(2, 4))


def phantom() -> tuple[Volume, Volume]:
    """A cube of 8 voxels at 0.9, and one voxel and two that touch by a corner at 0.6."""
    p = GRID.array.copy()
    p[CUBE] = 0.9
    p[4, 9, 9] = p[1, 8, 8] = p[2, 9, 9] = 0.6
    return GRID.with_array((p > 0.5).astype(np.uint8)), GRID.with_array(p)


def test_what_is_less_likely_than_half_goes_with_its_volume() -> None:
    labels, p = phantom()
    kept, gone_ml = without_improbable(labels, {1: p}, {1: MODEL}, 0.5)
    expected = np.zeros_like(labels.array)
    expected[CUBE] = 1
    assert np.array_equal(kept.array, expected)
    assert gone_ml == pytest.approx((0.04, 0.02))
    assert labels.array.sum() == 11  # the given one is left as it is
    assert without_improbable(labels, {1: p}, {1: MODEL}, 0.35)[1] == ()
    assert without_improbable(labels, {1: p}, {1: MODEL}, 0.8)[0].array.sum() == 0


def test_all_stays_where_nothing_is_asked_or_known() -> None:
    labels, p = phantom()
    assert without_improbable(labels, {1: p}, {1: MODEL}, 0.0) == (labels, ())
    assert np.array_equal(without_improbable(labels, {1: p}, {}, 0.5)[0].array, labels.array)
    by_rule = labels.with_array(labels.array * 3)  # a penumbra has no probability
    assert np.array_equal(without_improbable(by_rule, {1: p}, {1: MODEL}, 0.5)[0].array, by_rule.array)
    nothing = labels.with_array(np.zeros_like(labels.array))
    assert without_improbable(nothing, {1: p}, {1: MODEL}, 0.5) == (nothing, ())


def test_the_volume_counts_too() -> None:
    labels, p = phantom()
    by_size = LesionModel(intercept=1.0, per_logit=0.0, per_log10_ml=1.0)  # 0.1 mL is even
    kept, gone_ml = without_improbable(labels, {1: p}, {1: by_size}, 0.5)
    assert kept.array.sum() == 8  # 0.16 mL
    assert len(gone_ml) == 2


def test_the_dice_that_the_choice_is_made_by() -> None:
    _, p = phantom()
    truth = GRID.with_array(np.zeros(GRID.array.shape, np.uint8))
    truth.array[CUBE] = 1
    healthy = GRID.with_array(np.zeros(GRID.array.shape, np.uint8))
    only_spots = p.with_array(np.where(p.array > 0.8, 0, p.array).astype(np.float32))
    maps, truths = [{1: p}, {1: only_spots}], [truth, healthy]
    # 2 x 8 of 8 + 11 voxels, and 0 for marks where there is nothing; without them 1 and 1.
    assert dice_of_probable(maps, truths, {1: 0.5}, 0.0, {1: MODEL}, 0.0) == pytest.approx((16 / 19 + 0) / 2)
    assert dice_of_probable(maps, truths, {1: 0.5}, 0.0, {1: MODEL}, 0.5) == pytest.approx(1.0)


@pytest.mark.parametrize(("intercept", "kept"), [(2.0, True), (-2.0, False)])
def test_a_run_drops_them_and_says_so_unless_a_threshold_is_asked_for(
    tmp_path: Path, intercept: float, kept: bool
) -> None:
    images, _ = mr_head(skull=False)
    pair = {role: images[role] for role in ("dwi", "adc")}
    models = {"1": {"intercept": intercept, "per_logit": 0.0, "per_log10_ml": 0.0}}
    # Zero weights give each voxel of the brain 0.5.
    model = write_model(tmp_path, "mri", 6, 2, ONE, threshold=0.4, lesion_models=models, min_lesion_probability=0.5)
    whole = run(pair, model, threshold=0.4)
    assert whole.labels.array.any()
    assert "improbable" not in whole.measurements
    found = run(pair, model)
    assert bool(found.labels.array.any()) == kept
    gone = found.measurements["improbable"]
    total_ml = whole.measurements["total_volume_ml"]
    assert gone["volume_ml"] == pytest.approx(0 if kept else total_ml, rel=1e-3)
    assert found.measurements["total_volume_ml"] == pytest.approx(total_ml if kept else 0)
    assert ("1 improbable spot (" in summary_line(found.measurements, tmp_path)) != kept
    assert found.probability[1].array.max() == pytest.approx(0.5)

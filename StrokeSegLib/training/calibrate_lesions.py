"""Which marked lesions are real: known on cases with a truth, and what the lesion model is fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from StrokeSegLib.improbable import numbered_lesions, without_improbable
from StrokeSegLib.metrics import dice
from StrokeSegLib.postprocess import label_map
from StrokeSegLib.uncertainty import LesionModel, fit_lesion_model
from StrokeSegLib.volume import Volume


@dataclass(frozen=True)
class MarkedLesion:
    """One marked lesion: its mean probability, its volume in mL, and whether it touches a true one."""

    mean_probability: float
    volume_ml: float
    real: bool


def marked_lesions(
    maps: Sequence[Mapping[int, Volume]],
    truths: Sequence[Volume],
    thresholds: Mapping[int, float],
    smallest_ml: float,
) -> dict[int, list[MarkedLesion]]:
    """Every lesion that the thresholds mark, by label.

    Args:
        maps: Of each case, label value -> probability.
        truths: Label maps on the same grids.
        thresholds: By label.
        smallest_ml: Smaller pieces are not marked.
    """
    found: dict[int, list[MarkedLesion]] = {value: [] for value in thresholds}
    for probability, truth in zip(maps, truths, strict=True):
        labels = label_map(probability, thresholds, smallest_ml)
        for value, volume in probability.items():
            numbered, means, volumes_ml = numbered_lesions(labels.array == value, volume.array, truth.voxel_volume_ml)
            touched = ndimage.maximum(truth.array == value, numbered, range(1, len(means) + 1))
            for mean, ml, real in zip(means, volumes_ml, touched, strict=True):
                found[value].append(MarkedLesion(float(mean), float(ml), bool(real)))
    return found


def dice_of_probable(
    maps: Sequence[Mapping[int, Volume]],
    truths: Sequence[Volume],
    thresholds: Mapping[int, float],
    smallest_ml: float,
    models: Mapping[int, LesionModel],
    least: float,
) -> float:
    """Mean Dice over cases and labels of what is marked, without lesions less likely than ``least`` to be one."""
    scores: list[float] = []
    for probability, truth in zip(maps, truths, strict=True):
        labels, _ = without_improbable(label_map(probability, thresholds, smallest_ml), probability, models, least)
        scores.extend(dice(labels.array == value, truth.array == value) for value in probability)
    return float(np.mean(scores))


def fitted(lesions: Sequence[MarkedLesion]) -> LesionModel:
    """The lesion model of some marked lesions."""
    return fit_lesion_model(
        [one.mean_probability for one in lesions],
        [one.volume_ml for one in lesions],
        [one.real for one in lesions],
    )

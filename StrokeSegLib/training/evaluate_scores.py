"""One case against its truth: every metric for every label, on the grid of the scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib import metrics, surface_metrics
from StrokeSegLib.errors import InputError
from StrokeSegLib.statistics import accuracy, balanced_accuracy
from StrokeSegLib.volume import Volume

#: Tolerances of the normalized surface Dice, mm.
NSD_TOLERANCES_MM = (2.0, 5.0)
#: What a truth mask may hold besides 0 (see ``case_table``).
TRUTH_VALUES = (1, 2, 3)
#: Rounding of Jaccard against Dice.
_SAME_RATIO = 1e-9


@dataclass(frozen=True, eq=False)
class LabelScore:
    """How well one label of one case was found.

    Attributes:
        label: Its value.
        truth_ml, predicted_ml: Volumes, mL.
        max_probability: The highest probability of the label anywhere in the case: the case's score for detection.
        values: Metric -> value; ratios 0-1, ``_mm`` and ``_ml`` in their units.
        reliability: See ``metrics.reliability``; over the voxels where the model stated anything, or a lesion is.
    """

    label: int
    truth_ml: float
    predicted_ml: float
    max_probability: float
    values: Mapping[str, float]
    reliability: NDArray[np.float64] = field(repr=False)

    @property
    def both_empty(self) -> bool:
        """Neither the truth nor the prediction holds the label: Dice is 1 by convention."""
        return self.truth_ml == 0 and self.predicted_ml == 0

    @property
    def one_empty(self) -> bool:
        """The label was missed altogether, or invented: Dice is 0."""
        return (self.truth_ml == 0) != (self.predicted_ml == 0)


def check_truth(truth: Volume, grid: Volume) -> None:
    """Refuses a truth mask that can not be compared voxel by voxel.

    Raises:
        InputError: It lies on another grid than ``grid``, or holds values that are no labels.
    """
    if not truth.same_grid(grid):
        raise InputError(
            f"the truth has the grid {truth.size_ijk} (i, j, k), the first image {grid.size_ijk}; metrics need both on "
            "one grid with the same place in space: resample the truth to one of the images"
        )
    found = np.unique(truth.array).tolist()
    wrong = [value for value in found if value not in (0, *TRUTH_VALUES)]
    if wrong:
        raise InputError(
            f"the truth holds the value {wrong[0]:g}; needed 0 and 1 (ischemic lesion or core), 2 (hemorrhage) or "
            "3 (penumbra): write the mask with these"
        )


def score_label(label: int, predicted: Volume, truth: Volume, probability: Volume) -> LabelScore:
    """All metrics of one label of one case.

    Args:
        label: Its value.
        predicted: Label map.
        truth: Label map on the same grid.
        probability: Of this label, 0-1, on the same grid.
    """
    p, t = predicted.array == label, truth.array == label
    ml = truth.voxel_volume_ml
    # Labeling and distances need no more than the box around both masks: a head is a hundred times as large.
    boxes = ndimage.find_objects((p | t).view(np.uint8))
    box = boxes[0] if boxes else (slice(0, 1),) * 3
    pb, tb = p[box], t[box]
    distances = surface_metrics.surface_distances(pb, tb, truth.spacing_mm)
    if p.any() != t.any():  # then the convention speaks of the whole volume's diagonal
        distances = surface_metrics.surface_distances(p, t, truth.spacing_mm)
    stated = (probability.array > 0) | t
    table = metrics.reliability(np.nan_to_num(probability.array[stated]), t[stated])
    values = {
        "dice": metrics.dice(pb, tb),
        "jaccard": metrics.jaccard(pb, tb),
        "sensitivity": metrics.sensitivity(pb, tb),
        "specificity": metrics.specificity(p, t),
        "precision": metrics.precision(pb, tb),
        "accuracy": accuracy(p, t),
        "accuracy_all_background": accuracy(np.zeros_like(t), t),
        "balanced_accuracy": balanced_accuracy(p, t),
        "hd95_mm": surface_metrics.hd95_mm(distances),
        "assd_mm": surface_metrics.assd_mm(distances),
        **{
            f"nsd_{tolerance:g}mm": surface_metrics.normalized_surface_dice(distances, tolerance)
            for tolerance in NSD_TOLERANCES_MM
        },
        "absolute_volume_difference_ml": metrics.absolute_volume_difference_ml(pb, tb, ml),
        "volume_difference_ml": metrics.volume_difference_ml(pb, tb, ml),
        "lesion_count_difference": float(metrics.lesion_count_difference(pb, tb)),
        "lesion_f1": metrics.lesion_f1(pb, tb),
        "ece": metrics.expected_calibration_error(table),
    }
    _check_overlap(values)
    return LabelScore(label, _ml(tb, ml), _ml(pb, ml), float(np.nanmax(probability.array, initial=0.0)), values, table)


def _ml(mask: NDArray[Any], voxel_ml: float) -> float:
    return float(np.count_nonzero(mask)) * voxel_ml


def _check_overlap(values: Mapping[str, float]) -> None:
    """Jaccard is D / (2 - D) of the same case; a table where it is not (one was published) is wrong.

    Raises:
        ArithmeticError: It is not: a fault of ours.
    """
    d, j = values["dice"], values["jaccard"]
    if abs(j - d / (2 - d)) > _SAME_RATIO:
        raise ArithmeticError(f"Jaccard {j} does not follow from Dice {d}")

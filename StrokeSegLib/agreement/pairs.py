"""Two raters on one case, label by label.

Rules, decided once. Overlap and distances need one grid: where the grids of two label maps differ nothing is resampled,
and the case counts for volume and class only. Where neither rater marked the label, there is no overlap to measure:
the case is counted as ``both_empty`` and enters no mean. Where one of them marked nothing, Dice and F1 are 0 and there
is no surface distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from StrokeSegLib.metrics import dice, lesion_f1
from StrokeSegLib.surface_metrics import assd_mm, hd95_mm, surface_distances
from StrokeSegLib.volume import Volume


@dataclass(frozen=True)
class PairScore:
    """Two raters on one label of one case; None where there is nothing to measure (see above).

    Attributes:
        case_id, first, second, label: What is compared.
        same_grid: Whether overlap could be measured at all.
        first_ml, second_ml: Volumes, each on its own grid, mL.
        dice: 0-1.
        lesion_f1: 0-1, the mean of both directions, since neither rater is the truth.
        assd_mm, hd95_mm: Average and 95th percentile surface distance.
    """

    case_id: str
    first: str
    second: str
    label: int
    same_grid: bool
    first_ml: float
    second_ml: float
    dice: float | None
    lesion_f1: float | None
    assd_mm: float | None
    hd95_mm: float | None

    @property
    def both_empty(self) -> bool:
        """Neither rater marked the label."""
        return self.first_ml == 0 and self.second_ml == 0


def score_pair(case_id: str, raters: tuple[str, str], masks: tuple[Volume, Volume], label: int) -> PairScore:
    """Compares two label maps of one case in one label.

    Args:
        case_id: Of the case.
        raters: Their names.
        masks: Their label maps.
        label: Value that is compared.
    """
    one, other = (mask.array == label for mask in masks)
    counts = int(np.count_nonzero(one)), int(np.count_nonzero(other))
    first_ml, second_ml = counts[0] * masks[0].voxel_volume_ml, counts[1] * masks[1].voxel_volume_ml
    same_grid = masks[0].same_grid(masks[1])
    overlap: tuple[float | None, float | None] = (None, None)
    distance: tuple[float | None, float | None] = (None, None)
    if same_grid and any(counts):
        overlap = dice(one, other), (lesion_f1(one, other) + lesion_f1(other, one)) / 2
        if all(counts):
            distances = surface_distances(one, other, masks[0].spacing_mm)
            distance = assd_mm(distances), hd95_mm(distances)
    return PairScore(case_id, *raters, label, same_grid, first_ml, second_ml, *overlap, *distance)

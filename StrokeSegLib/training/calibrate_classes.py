"""When a case counts as ischemic or hemorrhagic: the limits of S4's classifier, chosen on cases with known truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.inference.projections import Classification

#: The classifier looks at voxels where the planes reach half of their k on average: the sum of p / k over three planes.
VPRED_ABOVE = 1.5
#: Candidates for the volume that a class needs, mL.
VOLUMES_ML = (0.0, 0.1, 0.3, 1.0, 2.0)
#: Constant of ``DPN92Constants`` for the limit of each label's m.
LIMIT_OF = {1: "ischemic_m", 2: "hemorrhagic_m"}


@dataclass(frozen=True)
class ClassLimits:
    """What was chosen, and how it does on the cases that it was chosen on.

    Attributes:
        m: By label, the mean Vpred above which a case has the class.
        min_volume_ml: Of the voxels that count.
        sensitivity, specificity: By label; NaN where no case has, or every case has the class.
    """

    m: Mapping[int, float]
    min_volume_ml: float
    sensitivity: Mapping[int, float]
    specificity: Mapping[int, float]

    def as_constants(self) -> dict[str, float]:
        """For ``inference_settings.projections`` of a card."""
        limits = {LIMIT_OF[label]: round(limit, 3) for label, limit in self.m.items()}
        return {"vpred_above": VPRED_ABOVE, "min_volume_ml": self.min_volume_ml, "remove_denied": 1.0, **limits}


def class_limits(
    said: Sequence[Classification],
    present: Mapping[int, NDArray[np.bool_]],
    volumes_ml: Sequence[float] = VOLUMES_ML,
) -> ClassLimits:
    """Chooses the volume and the limits with the largest sensitivity plus specificity, added over the labels.

    Args:
        said: Of each case, with ``VPRED_ABOVE``.
        present: By label, for each case whether its truth has it.
        volumes_ml: Candidates for the volume.
    """
    best: tuple[float, float, dict[int, float]] | None = None
    for volume_ml in volumes_ml:
        total, limits = 0.0, {}
        for label, truth in present.items():
            score, limits[label] = _best_limit(_m(said, label, volume_ml), truth)
            total += score
        if best is None or total >= best[0]:  # of equals the larger volume
            best = (total, volume_ml, limits)
    assert best is not None
    _, volume_ml, limits = best
    rates = {label: _rates(_m(said, label, volume_ml) > limits[label], truth) for label, truth in present.items()}
    return ClassLimits(
        limits,
        volume_ml,
        {label: sensitivity for label, (sensitivity, _) in rates.items()},
        {label: specificity for label, (_, specificity) in rates.items()},
    )


def _m(said: Sequence[Classification], label: int, volume_ml: float) -> NDArray[np.float64]:
    """Each case's m of a label; 0 where too little speaks for it."""
    return np.array([one.m[label] if one.volume_ml[label] >= volume_ml else 0.0 for one in said])


def _best_limit(m: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Sensitivity plus specificity, and the limit that reaches it: halfway between two cases, of equals the highest."""
    values = np.unique(np.concatenate([[0.0, VPRED_ABOVE], m]))
    candidates = np.concatenate([(values[:-1] + values[1:]) / 2, [values[-1] + 0.1]])
    scores = [float(np.nansum(_rates(m > limit, truth))) for limit in candidates]
    index = len(scores) - 1 - int(np.argmax(scores[::-1]))
    return scores[index], float(candidates[index])


def _rates(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float]:
    sensitivity = float(found[truth].mean()) if truth.any() else float("nan")
    specificity = float((~found[~truth]).mean()) if (~truth).any() else float("nan")
    return sensitivity, specificity

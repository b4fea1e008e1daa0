"""k and the classifier's limits of three planes, chosen together: a class that the classifier denies is not marked.

A low k marks more of a lesion and more of what is none; how much of the latter stays depends on the classifier, whose
m is a mean of sums of probability / k. So each candidate of k is judged with the limits that belong to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.inference.projections import Classification
from StrokeSegLib.training.calibrate_classes import VOLUMES_ML, VPRED_ABOVE, ClassLimits, class_limits
from StrokeSegLib.training.calibrate_dice import dice_by_size
from StrokeSegLib.volume import Volume


@dataclass(frozen=True, eq=False)
class PlanesCase:
    """What the planes say of one case with known truth, by label.

    Attributes:
        highest: The largest of the planes' probabilities, 0-1, on the truth's grid.
        total: The sum of the planes' probabilities, 0-3, on the working grid.
        voxel_ml: Of the working grid, mL.
        truth: Label map.
    """

    highest: Mapping[int, Volume]
    total: Mapping[int, NDArray[np.float32]]
    voxel_ml: float
    truth: Volume


@dataclass(frozen=True)
class PlanesChoice:
    """One k a label, the smallest lesion in mL, the classifier's limits, and the mean Dice over cases and labels."""

    k: dict[int, float]
    min_lesion_ml: float
    classes: ClassLimits
    dice: float


def choose_planes(
    cases: Sequence[PlanesCase], ks: Sequence[float], smallest_ml: Sequence[float], volumes_ml: Sequence[float] = ()
) -> PlanesChoice:
    """Chooses by the mean Dice over cases and labels, with denied classes not marked; of equals, the larger values.

    Args:
        cases: With known truth.
        ks: Candidates for k, of all planes alike, ascending.
        smallest_ml: Candidates for the smallest lesion.
        volumes_ml: Candidates for the volume that a class needs; ``VOLUMES_ML`` when empty.
    """
    labels = list(cases[0].highest)
    best: PlanesChoice | None = None
    marked = {label: [_dice(cases, label, k, smallest_ml) for k in ks] for label in labels}
    said = [_classifications(cases, labels, k) for k in ks]
    present = {label: np.array([bool((case.truth.array == label).any()) for case in cases]) for label in labels}
    for volume_ml in volumes_ml or VOLUMES_ML:
        limits = [class_limits(of_k, present, (volume_ml,)) for of_k in said]
        # (labels, ks, sizes): a class that is denied counts as nothing marked.
        scores = np.array(
            [
                [
                    np.where(_found(of_k, one, label)[:, None], dices, ~present[label][:, None]).mean(axis=0)
                    for of_k, one, dices in zip(said, limits, marked[label], strict=True)
                ]
                for label in labels
            ]
        )
        for size, smallest in enumerate(smallest_ml):
            of_size = scores[:, :, size]
            chosen = of_size.shape[1] - 1 - of_size[:, ::-1].argmax(axis=1)
            dice = float(of_size.max(axis=1).mean())
            if best is not None and dice < best.dice:
                continue
            own = {label: limits[n] for label, n in zip(labels, chosen, strict=True)}
            best = PlanesChoice(
                {label: float(ks[n]) for label, n in zip(labels, chosen, strict=True)},
                float(smallest),
                ClassLimits(
                    {label: own[label].m[label] for label in labels},
                    volume_ml,
                    {label: own[label].sensitivity[label] for label in labels},
                    {label: own[label].specificity[label] for label in labels},
                ),
                dice,
            )
    assert best is not None
    return best


def without_denied(cases: Sequence[PlanesCase], choice: PlanesChoice) -> list[dict[int, Volume]]:
    """``highest`` of each case, 0 throughout where the classifier denies the label: there nothing is marked."""
    result: list[dict[int, Volume]] = []
    for case in cases:
        kept = {}
        for label, volume in case.highest.items():
            (said,) = _classifications([case], [label], choice.k[label])
            denied = not _found([said], choice.classes, label)[0]
            kept[label] = volume.with_array(np.zeros_like(volume.array)) if denied else volume
        result.append(kept)
    return result


def _dice(cases: Sequence[PlanesCase], label: int, k: float, smallest_ml: Sequence[float]) -> NDArray[np.float64]:
    """``(cases, sizes)``."""
    return np.array([dice_by_size(c.highest[label], c.truth.array == label, k, smallest_ml) for c in cases])


def _classifications(cases: Sequence[PlanesCase], labels: Sequence[int], k: float) -> list[Classification]:
    """Each case's m and volume of each label with this k; see ``projections.classify``."""
    result = []
    for case in cases:
        m, volume_ml = {}, {}
        for label in labels:
            vpred = case.total[label] / np.float32(k)
            strong = vpred[vpred > VPRED_ABOVE]
            m[label] = float(strong.mean(dtype=np.float64)) if strong.size else 0.0
            volume_ml[label] = strong.size * case.voxel_ml
        result.append(Classification(m, volume_ml, (), 0))
    return result


def _found(said: Sequence[Classification], limits: ClassLimits, label: int) -> NDArray[np.bool_]:
    return np.array([s.m[label] > limits.m[label] and s.volume_ml[label] >= limits.min_volume_ml for s in said])

"""Three planes of networks, one answer: fusion, labels, the three-way classifier and the ensemble of S4.

One network each looks at the axial, the coronal and the sagittal slices of a scan; their probabilities meet on one
grid. A voxel is a lesion where any plane exceeds its k. Vpred, the sum of probability / k over the planes, says how
strongly the planes speak: it settles which of two classes a voxel has, and whether a case has a class at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.postprocess import HEMORRHAGE, close_ball
from StrokeSegLib.systems.dpn92_constants import PAPER, DPN92Constants

ISCHEMIA = 1


@dataclass(frozen=True, eq=False)
class Fused:
    """One class after the fusion of the planes.

    Attributes:
        lesion: bool ``(K, J, I)``, where any plane exceeds its k.
        vpred: float32 ``(K, J, I)``, from 0 to the sum of 1 / k (5.70 as published).
    """

    lesion: NDArray[np.bool_]
    vpred: NDArray[np.float32]


@dataclass(frozen=True)
class Classification:
    """What the classifier says of a case.

    Attributes:
        m: Label value -> mean Vpred over the voxels that count; 0 where none does.
        volume_ml: Label value -> volume of these voxels, mL.
        found: Labels that are present, hemorrhage first: that is the one to be told first.
        label: The one label of the case: 0 (no pathology), or the found one whose m exceeds its threshold the most.
    """

    m: Mapping[int, float]
    volume_ml: Mapping[int, float]
    found: tuple[int, ...]
    label: int


def planes_to_run(slice_mm: float, constants: DPN92Constants = PAPER) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The planes that a scan of this distance between slices allows, and warnings: thick slices allow only the axial.

    Args:
        slice_mm: Distance between the axial slices, mm.
    """
    if slice_mm <= constants.max_slice_mm:
        return ("axial", "coronal", "sagittal"), ()
    return ("axial",), (
        f"slices are {slice_mm:.1f} mm apart (more than {constants.max_slice_mm:.1f} mm): "
        "read in the axial plane only, which finds less than all three planes do",
    )


def fuse_projections(
    p_axial: NDArray[Any],
    p_coronal: NDArray[Any] | None,
    p_sagittal: NDArray[Any] | None,
    k: tuple[float, float, float],
) -> Fused:
    """Fuses the probabilities of one class.

    A plane that is None was not run. Vpred is then scaled as if it had said what the others say on average (weighted by
    1 / k), so that its range and with it the classifier's thresholds stay. NaN counts as 0.

    Args:
        p_axial, p_coronal, p_sagittal: 0-1, ``(K, J, I)``, on one grid.
        k: Of the axial, coronal and sagittal plane, each above 0 and at most 1.

    Raises:
        InputError: A k out of range, different grids.
    """
    if not all(0 < each <= 1 for each in k):
        raise InputError(f"each plane's k must be above 0 and at most 1, got {k}")
    lesion: NDArray[np.bool_] = np.zeros(p_axial.shape, dtype=np.bool_)
    vpred: NDArray[np.float32] = np.zeros(p_axial.shape, dtype=np.float32)
    weight = 0.0
    for p, each in zip((p_axial, p_coronal, p_sagittal), k, strict=True):
        if p is None:
            continue
        if p.shape != lesion.shape:
            raise InputError(f"the planes must be on one grid, got {lesion.shape} and {p.shape} (k, j, i)")
        lesion |= p > each
        vpred += np.where(np.isnan(p), 0, p) / each
        weight += 1 / each
    vpred *= sum(1 / each for each in k) / weight
    return Fused(lesion, vpred)


def label_projections(
    ischemic: Fused, hemorrhagic: Fused, radius_mm: float, spacing_mm: tuple[float, float, float]
) -> NDArray[np.uint8]:
    """The label map of both classes.

    A voxel of both gets the one with the larger Vpred, hemorrhage on a tie. Each class is then closed for itself with a
    ball, hemorrhage last: closing an infarct overwrites no blood, and a gap inside blood is blood.

    Args:
        radius_mm: Of the ball, mm; 0 closes nothing.
        spacing_mm: Voxel size along ``(i, j, k)``, mm.

    Returns:
        uint8 ``(K, J, I)``: 0 background, 1 ischemia, 2 hemorrhage.

    Raises:
        InputError: A negative radius.
    """
    blood = hemorrhagic.lesion & (~ischemic.lesion | (hemorrhagic.vpred >= ischemic.vpred))
    labels: NDArray[np.uint8] = np.zeros(blood.shape, dtype=np.uint8)
    labels[close_ball(ischemic.lesion & ~blood, radius_mm, spacing_mm)] = ISCHEMIA
    labels[close_ball(blood, radius_mm, spacing_mm)] = HEMORRHAGE
    return labels


def classify(
    vpred: Mapping[int, NDArray[Any]], *, voxel_volume_ml: float, constants: DPN92Constants = PAPER
) -> Classification:
    """Ischemia, hemorrhage, both or no pathology.

    m of a class is the mean of its Vpred over the voxels where that exceeds ``constants.vpred_above``; no voxel, m is
    0. The class is present if m exceeds its threshold. As published that ignores volume: one voxel of 1.2 makes a case
    ischemic. ``constants.min_volume_ml`` guards against it.

    Args:
        vpred: Of ischemia (1) and hemorrhage (2), NaN-free.
        voxel_volume_ml: mL.
    """
    thresholds = {HEMORRHAGE: constants.hemorrhagic_m, ISCHEMIA: constants.ischemic_m}  # the order of ``found``
    m, volume_ml, found = {}, {}, []
    for value, threshold in thresholds.items():
        strong = vpred[value][vpred[value] > constants.vpred_above]
        m[value] = float(strong.mean(dtype=np.float64)) if strong.size else 0.0
        volume_ml[value] = strong.size * voxel_volume_ml
        if m[value] > threshold and volume_ml[value] >= constants.min_volume_ml:
            found.append(value)
    # max() keeps the first of equals, which is hemorrhage.
    label = max(found, key=lambda value: m[value] / thresholds[value], default=0)
    return Classification(m, volume_ml, tuple(found), label)


def choose_members(scores: Sequence[float], count: int) -> tuple[int, ...]:
    """Indices of the ``count`` best scores, best first, the earlier of equals first.

    Choose on patients that the result is not reported on: the paper did not, which flatters its figures.

    Args:
        scores: Of each candidate on the validation patients, such as the mean IoU; higher is better.

    Raises:
        InputError: Fewer candidates than ``count``, no members asked for, a score that is not a number.
    """
    if not 1 <= count <= len(scores):
        raise InputError(f"an ensemble of {count} members cannot be chosen from {len(scores)} candidates")
    if any(math.isnan(score) for score in scores):
        raise InputError(f"members cannot be chosen by scores that are not numbers, got {list(scores)}")
    order = sorted(range(len(scores)), key=lambda index: -scores[index])  # stable
    return tuple(order[:count])


def mean_probability(members: Iterable[Any]) -> Any:
    """The mean of the members' probabilities; they may come one by one, so that only one is in memory.

    Args:
        members: float32 arrays of NumPy or tensors, all of one shape.

    Raises:
        InputError: No member, different shapes.
    """
    total: Any = None
    count = 0
    for p in members:
        if total is not None and p.shape != total.shape:
            raise InputError(f"the members' probabilities must be on one grid, got {total.shape} and {p.shape}")
        total = p if total is None else total + p
        count += 1
    if total is None:
        raise InputError("an ensemble needs at least one member, got none")
    return total if count == 1 else total / count

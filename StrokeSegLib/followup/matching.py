"""Which lesion of the first scan is which of the second one, after registration.

Lesions are 26-connected, as everywhere. Two are the same where a voxel of one, brought over by the registration, lies
on a voxel of the other: within half a voxel's diagonal of the coarser scan, and the millimeter that a good registration
may be off. Only places are brought over, never masks: each volume is the sum of voxels of its own scan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from StrokeSegLib.measure import CONNECTIVITY_26
from StrokeSegLib.preprocess.register import RigidRegistration
from StrokeSegLib.volume import LPS_TO_RAS, Volume

REGISTRATION_SLACK_MM = 1.0
#: Ours: a lesion whose volume changes by less than this part counts as unchanged; the outline of one reading is no
#: better known.
UNCHANGED_PART = 0.10


@dataclass(frozen=True)
class LesionChange:
    """One lesion over time, or several that merged or split.

    Attributes:
        label: Value in the label maps.
        state: ``grown``, ``shrunk``, ``unchanged``, ``new``, ``vanished``, ``merged``, ``split``, ``merged and split``.
        before, after: Numbers of its lesions on each scan: by label, from 1, the largest first.
        before_ml, after_ml: Their volumes, each on its own scan, mL.
        change_ml: After minus before.
        change_percent: Of the volume before; None for a new one.
        centroid_ras_mm: Mean of its voxels, mm, RAS: on the first scan, for a new one on the second.
    """

    label: int
    state: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    before_ml: float
    after_ml: float
    change_ml: float
    change_percent: float | None
    centroid_ras_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class _Numbered:
    """The lesions of one label on one scan: voxel centers (mm, LPS, of the first scan), their numbers, and volumes."""

    places_mm: NDArray[np.float64]
    own_mm: NDArray[np.float64]
    numbers: NDArray[np.intp]
    volumes_ml: dict[int, float]


def match_lesions(before: Volume, after: Volume, found: RigidRegistration) -> tuple[LesionChange, ...]:
    """What became of every lesion.

    Args:
        before, after: Label maps, each on its own grid.
        found: From the first scan (fixed) to the second one (moving).

    Returns:
        By label, the largest (on either scan) first.
    """
    reach_mm = REGISTRATION_SLACK_MM + max(float(np.linalg.norm(one.spacing_mm)) for one in (before, after)) / 2
    values = sorted({int(value) for one in (before, after) for value in np.unique(one.array)} - {0})
    changes: list[LesionChange] = []
    for value in values:
        first, second = _numbered(before, value, None), _numbered(after, value, found)
        changes += [_change(value, olds, news, first, second) for olds, news in _families(first, second, reach_mm)]
    return tuple(sorted(changes, key=lambda one: (one.label, -max(one.before_ml, one.after_ml))))


def _numbered(labels: Volume, value: int, found: RigidRegistration | None) -> _Numbered:
    components, count = ndimage.label(labels.array == value, CONNECTIVITY_26)
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
    rank = np.zeros(count + 1, np.intp)
    rank[1 + np.argsort(-sizes, kind="stable")] = np.arange(1, count + 1)
    voxels = np.argwhere(components)
    own_mm = labels.ijk_to_lps(voxels[:, ::-1])
    volumes = {int(rank[n + 1]): float(size) * labels.voxel_volume_ml for n, size in enumerate(sizes)}
    numbers = rank[components[tuple(voxels.T)]]
    return _Numbered(own_mm if found is None else found.to_fixed(own_mm), own_mm, numbers, volumes)


def _families(first: _Numbered, second: _Numbered, reach_mm: float) -> list[tuple[set[int], set[int]]]:
    """Lesions of both scans that belong together; every lesion is in one family."""
    links: set[tuple[int, int]] = set()
    if len(first.numbers) and len(second.numbers):
        for one, other, forward in ((first, second, True), (second, first, False)):
            distance, nearest = cKDTree(other.places_mm).query(one.places_mm)
            near = distance <= reach_mm
            pairs = np.unique(np.stack([one.numbers[near], other.numbers[nearest[near]]], axis=1), axis=0)
            links |= {(int(a), int(b)) if forward else (int(b), int(a)) for a, b in pairs}
    families: list[tuple[set[int], set[int]]] = [({number}, set()) for number in first.volumes_ml]
    families += [(set(), {number}) for number in second.volumes_ml]
    for old, new in links:
        joined: tuple[set[int], set[int]] = (set(), set())
        rest = []
        for family in families:
            if old in family[0] or new in family[1]:
                joined[0].update(family[0])
                joined[1].update(family[1])
            else:
                rest.append(family)
        families = [*rest, joined]
    return families


def _change(value: int, olds: set[int], news: set[int], first: _Numbered, second: _Numbered) -> LesionChange:
    before_ml = sum(first.volumes_ml[n] for n in olds)
    after_ml = sum(second.volumes_ml[n] for n in news)
    shown, numbers = (first, olds) if olds else (second, news)
    center = shown.own_mm[np.isin(shown.numbers, list(numbers))].mean(axis=0) @ LPS_TO_RAS
    return LesionChange(
        value, _state(len(olds), len(news), before_ml, after_ml), tuple(sorted(olds)), tuple(sorted(news)),
        before_ml, after_ml, after_ml - before_ml, 100 * (after_ml - before_ml) / before_ml if olds else None,
        (float(center[0]), float(center[1]), float(center[2])),
    )  # fmt: skip


def _state(olds: int, news: int, before_ml: float, after_ml: float) -> str:
    if not olds or not news:
        return "vanished" if olds else "new"
    if olds > 1 or news > 1:
        return "split" if olds == 1 else "merged" if news == 1 else "merged and split"
    if abs(after_ml - before_ml) < UNCHANGED_PART * before_ml:
        return "unchanged"
    return "grown" if after_ml > before_ml else "shrunk"

"""The lesions of a case as a reader goes through them: the model's numbers with the reader's decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.measure import CONNECTIVITY_26
from StrokeSegLib.review.events import LesionMark
from StrokeSegLib.review.state import LesionDecision
from StrokeSegLib.volume import Volume

#: Centroids are rounded to 0.1 mm: two of one lesion differ by less than this along each axis.
SAME_PLACE_MM = 0.11
ACCEPTED, REJECTED = "accepted", "rejected"


@dataclass(frozen=True)
class LesionRow:
    """One lesion.

    Attributes:
        label: Its value in the label map.
        volume_ml: Volume, mL.
        centroid_ras_mm: mm, RAS, rounded to 0.1 mm.
        side: "left", "right" or "midline" where the model measured this very lesion, else "".
        mean_probability: 0-1, of the model; None for a lesion that a reader drew or changed.
        decision: "accepted", "rejected" or None.
    """

    label: int
    volume_ml: float
    centroid_ras_mm: tuple[float, float, float]
    side: str
    mean_probability: float | None
    decision: str | None = None

    @property
    def mark(self) -> LesionMark:
        """By which events name it."""
        return LesionMark(self.label, self.centroid_ras_mm)


def lesion_mark(label: int, centroid_ras_mm: Sequence[float]) -> LesionMark:
    """A lesion by its label and its centroid (mm, RAS), which is rounded to 0.1 mm."""
    x, y, z = (round(float(c), 1) + 0.0 for c in centroid_ras_mm)  # adding 0.0 turns -0.0 into 0.0
    return LesionMark(int(label), (x, y, z))


def model_rows(measurements: Mapping[str, Any], decisions: Iterable[LesionDecision]) -> tuple[LesionRow, ...]:
    """The lesions that a model found, in the order of measurements.json."""
    decided = tuple(decisions)
    rows = []
    for lesion in measurements.get("lesions", ()):
        mark = lesion_mark(lesion["label"], lesion["centroid_ras_mm"])
        mean, side = lesion.get("mean_probability"), str(lesion.get("side", ""))
        volume_ml = float(lesion["volume_ml"])
        rows.append(LesionRow(mark.label, volume_ml, mark.centroid_ras_mm, side, mean, _decision(mark, decided)))
    return tuple(rows)


def reader_rows(
    labels: Volume, measurements: Mapping[str, Any], decisions: Iterable[LesionDecision]
) -> tuple[LesionRow, ...]:
    """The lesions of a reader's version, by label and within a label the largest first.

    A lesion with the label, place and volume of one of the model's keeps the model's probability and side.
    """
    of_model, decided = model_rows(measurements, ()), tuple(decisions)
    rows = []
    for mark, where in components(labels):
        volume_ml = round(len(where) * labels.voxel_volume_ml, 3)
        known = next((r for r in of_model if same_lesion(r.mark, mark) and r.volume_ml == volume_ml), None)
        side, mean = (known.side, known.mean_probability) if known else ("", None)
        rows.append(LesionRow(mark.label, volume_ml, mark.centroid_ras_mm, side, mean, _decision(mark, decided)))
    return tuple(sorted(rows, key=lambda row: (row.label, -row.volume_ml)))


def first_doubtful(rows: Sequence[LesionRow]) -> int | None:
    """Where to look first: the undecided lesion that the model was least sure of.

    Returns:
        An index into ``rows``; lesions without a probability come after those with one. None where all are decided.
    """
    open_rows = [n for n, row in enumerate(rows) if row.decision is None]
    return min(open_rows, key=lambda n: _probability(rows[n]), default=None)


def without_rejected(labels: Volume, decisions: Iterable[LesionDecision]) -> Volume:
    """The same label map without the lesions that the decisions reject; decisions on lesions that are not there are
    of an earlier version, and say nothing. Returns ``labels`` itself where nothing is to go.
    """
    rejected = [decision.mark for decision in decisions if not decision.accepted]
    if not rejected:
        return labels
    array = labels.array.copy()
    for mark, where in components(labels):
        if any(same_lesion(mark, each) for each in rejected):
            array[tuple(where.T)] = 0
    return labels if np.array_equal(array, labels.array) else labels.with_array(array)


def same_lesion(one: LesionMark, other: LesionMark) -> bool:
    """Whether two marks name one lesion: the same label at the same place."""
    apart = np.abs(np.subtract(one.centroid_ras_mm, other.centroid_ras_mm))
    return one.label == other.label and bool(apart.max() < SAME_PLACE_MM)


def components(labels: Volume) -> list[tuple[LesionMark, NDArray[np.intp]]]:
    """Each lesion (26-connected component of one label) with its voxels as rows (k, j, i)."""
    found = []
    for label in np.unique(labels.array[labels.array > 0]).tolist():
        parts, count = ndimage.label(labels.array == label, CONNECTIVITY_26)
        for number, box in enumerate(ndimage.find_objects(parts, count), 1):
            where = np.argwhere(parts[box] == number) + [span.start for span in box]
            centroid = labels.ijk_to_ras(where[:, ::-1].mean(axis=0))
            found.append((lesion_mark(label, centroid.tolist()), where))
    return found


def _decision(mark: LesionMark, decisions: Sequence[LesionDecision]) -> str | None:
    for decision in reversed(decisions):
        if same_lesion(decision.mark, mark):
            return ACCEPTED if decision.accepted else REJECTED
    return None


def _probability(row: LesionRow) -> float:
    return 2.0 if row.mean_probability is None else row.mean_probability

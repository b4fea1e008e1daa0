"""How sure a result is: of each voxel's label, and of each lesion.

Both are probabilities, calibrated on generated heads; neither knows of anything that these never showed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize

from StrokeSegLib.errors import InputError
from StrokeSegLib.io.box import Box, box_above, box_of
from StrokeSegLib.volume import Volume

#: Probabilities are kept this far from 0 and 1 before their log odds are taken.
_EDGE = 1e-4
#: Pull of the lesion model's weights to 0, in lesions: a few dozen must not give a step function.
_RIDGE = 0.5
#: Width of the surroundings that a voxel is seen with, and their part in what is said of it: told errors better than
#: p (1 - p) with each bundled model; a half of them did not.
SURROUNDINGS_FWHM_MM, SURROUNDINGS = 12.0, np.float32(0.25)
#: Their log odds are blurred on a grid of about this step.
COARSE_MM = 3.0
#: Probabilities under this are nothing; the blur reaches so many SD.
_NOTHING, _REACH = 1e-3, 3.0
_THREADS = 2


def error_probability(
    probability: Mapping[int, NDArray[np.float32]], labels: NDArray[np.integer]
) -> NDArray[np.float32]:
    """The probability that a voxel's label is wrong.

    A voxel marked as L is wrong with 1 - p(L); one that is not marked, with the largest p. So a voxel that was dropped
    for the size of its piece is as doubtful as its probability says, which p (1 - p) would not show.

    Args:
        probability: By label value, 0-1, shape of ``labels``.
        labels: Label map; values without a probability (found by a rule) count as certain.

    Returns:
        float32, 0-1.
    """
    result = np.zeros(labels.shape, np.float32)
    for one in probability.values():
        np.maximum(result, one, out=result)
    if labels.any():
        result[labels > 0] = 0
        for value, one in probability.items():
            marked = labels == value
            result[marked] = 1 - one[marked]
    return np.clip(result, 0, 1, out=result)


def uncertainty_map(probability: Mapping[int, Volume], labels: Volume) -> Volume:
    """How likely each voxel's label is wrong, by its own log odds and, for a quarter, those of its surroundings.

    Networks err at borders, and beside what they marked: there the surroundings know more than the voxel. Of the maps
    that were compared (``Testing/benchmarks/uncertainty.py``) this one tells best where a result is wrong.

    Args:
        probability: By label value, 0-1.
        labels: Label map on the same grid.

    Returns:
        float32, 0-1, on that grid; 0 far from all that has a probability.
    """
    result = np.zeros(labels.array.shape, np.float32)
    maps = {value: np.asarray(one.array, np.float32) for value, one in probability.items()}
    margins = [int(np.ceil(_REACH * SURROUNDINGS_FWHM_MM / 2.355 / step)) for step in labels.spacing_mm[::-1]]
    boxes = [box_of(labels.array), *(_widened(box_above(p, _NOTHING), margins, p.shape) for p in maps.values())]
    box = _around(boxes)
    if box is None:
        return labels.with_array(result)
    blurred = {value: _Blurred.of(p[box], labels.spacing_mm) for value, p in maps.items()}

    def fill(n: int) -> None:
        part = (box[0].start + n, box[1], box[2])
        seen = {}
        for value, p in maps.items():
            odds, near = _log_odds(p[part]), blurred[value].slice_of(n)
            odds *= 1 - SURROUNDINGS
            near *= SURROUNDINGS
            odds += near
            seen[value] = _from_log_odds(odds)
        result[part] = error_probability(seen, labels.array[part])

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(fill, range(box[0].stop - box[0].start)):
            pass
    return labels.with_array(result)


@dataclass(frozen=True, eq=False)
class _Blurred:
    """A map's log odds, blurred: so smooth that a coarse grid holds them, linear in between.

    Attributes:
        coarse: float32, every n-th voxel along k, j, i, the first one n // 2 from the edge.
        low, part: Along each axis, for each voxel of the map the coarse voxel before it and how far it is beyond, 0-1.
    """

    coarse: NDArray[np.float32]
    low: tuple[NDArray[np.intp], ...]
    part: tuple[NDArray[np.float32], ...]

    @classmethod
    def of(cls, p: NDArray[np.float32], spacing_mm: tuple[float, float, float]) -> _Blurred:
        """Of a map of probabilities."""
        strides = [max(1, round(COARSE_MM / step)) for step in spacing_mm[::-1]]
        sigma = [SURROUNDINGS_FWHM_MM / 2.355 / step / n for step, n in zip(spacing_mm[::-1], strides, strict=True)]
        middle = [min(n // 2, size - 1) for n, size in zip(strides, p.shape, strict=True)]
        k, j, i = (slice(first, None, n) for first, n in zip(middle, strides, strict=True))
        some = _log_odds(p[k, j, i])
        coarse = ndimage.gaussian_filter(some, sigma, mode="nearest", truncate=_REACH)
        at = [
            np.clip((np.arange(size) - first) / n, 0, m - 1)
            for size, first, n, m in zip(p.shape, middle, strides, coarse.shape, strict=True)
        ]
        low = [np.minimum(each.astype(np.intp), max(m - 2, 0)) for each, m in zip(at, coarse.shape, strict=True)]
        part = [(each - before).astype(np.float32) for each, before in zip(at, low, strict=True)]
        return cls(coarse, tuple(low), tuple(part))

    def slice_of(self, k: int) -> NDArray[np.float32]:
        """One slice of the map's grid."""
        plane = self._between(self.coarse, 0, self.low[0][k : k + 1], self.part[0][k : k + 1])[0]
        rows = self._between(plane, 0, self.low[1], self.part[1][:, None])
        return self._between(rows, 1, self.low[2], self.part[2])

    @staticmethod
    def _between(
        array: NDArray[np.float32], axis: int, low: NDArray[np.intp], part: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        before: tuple[Any, ...] = (slice(None),) * axis
        result: NDArray[np.float32] = array[*before, low]
        result *= 1 - part
        higher = array[*before, np.minimum(low + 1, array.shape[axis] - 1)]
        higher *= part
        result += higher
        return result


def _log_odds(p: NDArray[np.float32]) -> NDArray[np.float32]:
    """As scipy's logit to a millionth; single floats all the way, whose logarithm numpy takes many at a time."""
    odds = np.clip(p, np.float32(_EDGE), np.float32(1 - _EDGE))
    odds /= 1 - odds
    return np.asarray(np.log(odds, out=odds))


def _from_log_odds(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities; as scipy's expit to a millionth. The array given is written over."""
    np.exp(np.negative(x, out=x), out=x)
    x += 1
    return np.asarray(np.reciprocal(x, out=x))


def _widened(box: Box | None, margins: Sequence[int], shape: Sequence[int]) -> Box | None:
    if box is None:
        return None
    k, j, i = (
        slice(max(0, each.start - margin), min(size, each.stop + margin))
        for each, margin, size in zip(box, margins, shape, strict=True)
    )
    return k, j, i


def _around(boxes: Sequence[Box | None]) -> Box | None:
    """The smallest box that holds all of these."""
    there = [box for box in boxes if box is not None]
    if not there:
        return None
    k, j, i = (slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*there, strict=True))
    return k, j, i


@dataclass(frozen=True)
class LesionModel:
    """The probability that a marked lesion is one: a logistic function of two of its measures.

    Attributes:
        intercept: Log odds of a lesion of 1 mL with a mean probability of one half.
        per_logit: Change with the log odds of its mean probability.
        per_log10_ml: Change with the decimal logarithm of its volume in mL.
    """

    intercept: float
    per_logit: float
    per_log10_ml: float

    def probability(self, mean_probability: float, volume_ml: float) -> float:
        """Of a lesion of a mean voxel probability (0-1) and a volume (mL)."""
        odds = (
            np.array([self.intercept, self.per_logit, self.per_log10_ml]) * _features(mean_probability, volume_ml)
        ).sum()
        return float(1 / (1 + np.exp(-odds)))

    def as_dict(self) -> dict[str, float]:
        """Plain values, for model.json."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def fit_lesion_model(
    mean_probability: Sequence[float], volume_ml: Sequence[float], real: Sequence[bool]
) -> LesionModel:
    """The lesion model with the smallest log loss on marked lesions of which it is known whether they are real.

    Args:
        mean_probability, volume_ml: Of each marked lesion.
        real: Whether it touches a true one.

    Raises:
        InputError: No lesions at all.
    """
    if not len(real):
        raise InputError("a lesion model needs marked lesions, got none; give more cases")
    x = np.stack([_features(p, v) for p, v in zip(mean_probability, volume_ml, strict=True)])
    sign = np.where(np.asarray(real, bool), 1.0, -1.0)

    def cost(weights: NDArray[np.float64]) -> float:
        return float(np.logaddexp(0, -sign * (x @ weights)).sum() + _RIDGE * (weights**2).sum())

    found = minimize(cost, np.array([0.0, 1.0, 0.5]), method="BFGS").x
    return LesionModel(*(float(w) for w in found))


def _features(mean_probability: float, volume_ml: float) -> NDArray[np.float64]:
    p = min(max(mean_probability, _EDGE), 1 - _EDGE)
    return np.array([1.0, np.log(p / (1 - p)), np.log10(max(volume_ml, 1e-4))])

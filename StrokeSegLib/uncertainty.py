"""How sure a result is: of each voxel's label, and of each lesion.

Both are probabilities, calibrated on generated heads; neither knows of anything that these never showed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize

from StrokeSegLib.errors import InputError
from StrokeSegLib.volume import Volume

#: Probabilities are kept this far from 0 and 1 before their log odds are taken.
_EDGE = 1e-4
#: Pull of the lesion model's weights to 0, in lesions: a few dozen must not give a step function.
_RIDGE = 0.5
#: Width of the surroundings that a voxel is seen with; 2 and 6 mm told errors less well.
SURROUNDINGS_FWHM_MM = 4.0
#: Probabilities under this are nothing; the blur reaches so many SD.
_NOTHING, _REACH = 1e-3, 3.0


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
    """How likely each voxel's label is wrong, by its own probability and that of its surroundings, half and half.

    Networks err at borders, and beside what they marked: there the surroundings know more than the voxel. Of the maps
    that were compared (``Testing/benchmarks/uncertainty.py``) this one tells best where a result is wrong.

    Args:
        probability: By label value, 0-1.
        labels: Label map on the same grid.

    Returns:
        float32, 0-1, on that grid.
    """
    blended = {value: _with_surroundings(one) for value, one in probability.items()}
    result = np.empty(labels.array.shape, np.float32)
    for k, plane in enumerate(labels.array):  # slice by slice: whole volumes would not fit beside each other
        result[k] = error_probability({value: slice_of(k) for value, slice_of in blended.items()}, plane)
    return labels.with_array(result)


def _with_surroundings(probability: Volume) -> Callable[[int], NDArray[np.float32]]:
    """Slice k of the mean of a map and of its blur, FWHM 4 mm; only the box that holds anything is worked on."""
    p: NDArray[np.float32] = np.asarray(probability.array, np.float32)
    hit = p > _NOTHING
    if not hit.any():
        return p.__getitem__
    sigma = [SURROUNDINGS_FWHM_MM / 2.355 / step for step in probability.spacing_mm[::-1]]
    box = []
    for axis, width in enumerate(sigma):
        where = np.flatnonzero(hit.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = int(np.ceil(_REACH * width))
        box.append(slice(max(0, int(where[0]) - margin), int(where[-1]) + 1 + margin))
    blended = p[tuple(box)] + ndimage.gaussian_filter(p[tuple(box)], sigma, mode="nearest", truncate=_REACH)
    blended /= 2
    planes, rows, columns = box

    def slice_of(k: int) -> NDArray[np.float32]:
        result: NDArray[np.float32] = p[k]
        if planes.start <= k < planes.stop:
            result = result.copy()
            result[rows, columns] = blended[k - planes.start]
        return result

    return slice_of


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

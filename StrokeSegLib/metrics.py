"""Agreement of a predicted lesion mask with the truth, case by case.

All functions take two arrays of one shape, where non-zero is lesion, the prediction first. Ratios are 0-1.

Empty masks, decided once: where both masks are empty, every ratio is 1 (the prediction is right); where one of them is
empty, every overlap ratio (all but specificity) is 0. No function returns NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.errors import InputError

Mask = NDArray[Any]
#: Voxels that share a face, an edge or a corner belong to one lesion.
_TOUCHING = np.ones((3, 3, 3), dtype=bool)


def dice(prediction: Mask, truth: Mask) -> float:
    """Twice the common voxels over the sum of both. Both empty: 1; one empty: 0."""
    both, predicted, true = _counts(prediction, truth)
    return _ratio(2 * both, predicted + true)


def jaccard(prediction: Mask, truth: Mask) -> float:
    """Common voxels over the voxels of either; ``D / (2 - D)``, so never above Dice. Both empty: 1; one empty: 0."""
    both, predicted, true = _counts(prediction, truth)
    return _ratio(both, predicted + true - both)


def sensitivity(prediction: Mask, truth: Mask) -> float:
    """Part of the true lesion that was found (recall). Both empty: 1; one empty: 0."""
    both, predicted, true = _counts(prediction, truth)
    return _ratio(both, true) if true else float(predicted == 0)


def precision(prediction: Mask, truth: Mask) -> float:
    """Part of the predicted lesion that is true. Both empty: 1; one empty: 0."""
    return sensitivity(truth, prediction)


def specificity(prediction: Mask, truth: Mask) -> float:
    """Part of the true background that was left alone; 1 where the truth has no background.

    Dominated by the size of the field of view: report it, never headline it.
    """
    both, predicted, true = _counts(prediction, truth)
    return _ratio(truth.size - true - (predicted - both), truth.size - true)


def volume_difference_ml(prediction: Mask, truth: Mask, voxel_volume_ml: float) -> float:
    """Predicted minus true volume, mL: negative where too little was found."""
    _, predicted, true = _counts(prediction, truth)
    return (predicted - true) * voxel_volume_ml


def absolute_volume_difference_ml(prediction: Mask, truth: Mask, voxel_volume_ml: float) -> float:
    """Size of the volume difference, mL, 0 or more."""
    return abs(volume_difference_ml(prediction, truth, voxel_volume_ml))


def lesion_count_difference(prediction: Mask, truth: Mask) -> int:
    """Number of predicted minus number of true 26-connected lesions."""
    _counts(prediction, truth)
    return int(ndimage.label(prediction, _TOUCHING)[1] - ndimage.label(truth, _TOUCHING)[1])


def lesion_f1(prediction: Mask, truth: Mask) -> float:
    """F1 over lesions (26-connected), where one common voxel counts as found: ``2 TP / (2 TP + FN + FP)``.

    TP are the true lesions that the prediction touches, FN those it misses, FP the predicted lesions that touch no true
    one. Both empty: 1; one empty: 0.
    """
    _counts(prediction, truth)
    found, missed = _touched(truth, prediction)
    _, invented = _touched(prediction, truth)
    return _ratio(2 * found, 2 * found + missed + invented)


def reliability(probability: NDArray[Any], truth: Mask, bins: int = 15) -> NDArray[np.float64]:
    """What a model stated and what was true, in bins of stated probability of equal width.

    The tables of several cases can be added up.

    Args:
        probability: 0-1.
        truth: Non-zero is lesion, the same shape.
        bins: Their number.

    Returns:
        ``(3, bins)``: voxels, the sum of their probabilities, and how many of them are lesion.
    """
    if probability.shape != truth.shape:
        raise InputError(f"probability and truth need one shape, got {probability.shape} and {truth.shape}")
    p = np.asarray(probability, np.float64).ravel()
    index = np.minimum((p * bins).astype(np.intp), bins - 1)
    true = (truth != 0).ravel().astype(np.float64)
    rows = [np.bincount(index, weights, bins) for weights in (np.ones_like(p), p, true)]
    return np.stack(rows)


def expected_calibration_error(table: NDArray[np.float64]) -> float:
    """Mean distance of stated and observed frequency, weighted by voxels, 0-1 (Guo et al., ICML 2017).

    Args:
        table: From ``reliability``, or the sum of several; without a voxel nothing was stated wrongly: 0.
    """
    voxels, stated, observed = table
    return float(np.abs(stated - observed).sum() / voxels.sum()) if voxels.sum() else 0.0


def _touched(mask: Mask, other: Mask) -> tuple[int, int]:
    """How many lesions of ``mask`` share a voxel with ``other``, and how many do not."""
    numbered, count = ndimage.label(mask, _TOUCHING)
    met = np.unique(numbered[other != 0])
    touched = int(np.count_nonzero(met))
    return touched, count - touched


def _counts(prediction: Mask, truth: Mask) -> tuple[int, int, int]:
    """Common, predicted and true voxels."""
    if prediction.shape != truth.shape:
        raise InputError(
            f"prediction and truth need one shape, got {prediction.shape} and {truth.shape}; resample one to the other"
        )
    both = np.count_nonzero((prediction != 0) & (truth != 0))
    return int(both), int(np.count_nonzero(prediction)), int(np.count_nonzero(truth))


def _ratio(part: int, whole: int) -> float:
    """A ratio of counts; where there is nothing to count, nothing was done wrong: 1."""
    return part / whole if whole else 1.0

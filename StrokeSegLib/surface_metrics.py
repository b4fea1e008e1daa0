"""How far the outline of a predicted lesion lies from the true one, in mm.

``surface_distances`` does the work once; the metrics read its result. Arrays are ``[k, j, i]`` and ``spacing_mm`` is
``(i, j, k)``, as in ``Volume``. A surface voxel is a lesion voxel with a face toward the background or the edge of the
volume; each counts once, whatever its area.

Empty masks, decided once: both empty is a perfect score (0 mm, 1). Where one is empty, no surface agrees (0), and both
distances are the diagonal of the volume, which no real distance exceeds: finite, so that means stay numbers, but a
matter of the field of view. Report such cases by count as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.errors import InputError

Mask = NDArray[Any]


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distances between two surfaces; no distance at all where a mask is empty.

    Attributes:
        prediction_to_truth_mm: From each surface voxel of the prediction to the nearest of the truth.
        truth_to_prediction_mm: The other way.
        without_surface_mm: What a distance counts as where a mask is empty: 0 where both are, else the diagonal.
        both_empty: Neither mask holds a lesion.
    """

    prediction_to_truth_mm: NDArray[np.float64]
    truth_to_prediction_mm: NDArray[np.float64]
    without_surface_mm: float
    both_empty: bool

    @property
    def all_mm(self) -> NDArray[np.float64]:
        """Both ways together."""
        return np.concatenate([self.prediction_to_truth_mm, self.truth_to_prediction_mm])


def surface_distances(prediction: Mask, truth: Mask, spacing_mm: tuple[float, float, float]) -> SurfaceDistances:
    """Distances between the surfaces of two masks, where non-zero is lesion.

    Args:
        prediction: ``(K, J, I)``.
        truth: The same shape.
        spacing_mm: Voxel size along ``(i, j, k)``, mm.

    Raises:
        InputError: The shapes differ or are not 3D, or the spacing is not three positive numbers.
    """
    _check(prediction, truth, spacing_mm)
    predicted, true = prediction != 0, truth != 0
    sampling = tuple(reversed(spacing_mm))  # in the order of the array
    if not predicted.any() or not true.any():
        both_empty = not predicted.any() and not true.any()
        diagonal = math.hypot(*((n - 1) * s for n, s in zip(truth.shape, sampling, strict=True)))
        return SurfaceDistances(np.zeros(0), np.zeros(0), 0.0 if both_empty else diagonal, both_empty)
    # Nothing outside the box around both matters, and the distance transform of a whole head takes seconds.
    box = ndimage.find_objects((predicted | true).astype(np.uint8))[0]
    surfaces = [_surface(mask[box]) for mask in (predicted, true)]
    to_predicted, to_true = (ndimage.distance_transform_edt(~surface, sampling) for surface in surfaces)
    return SurfaceDistances(to_true[surfaces[0]], to_predicted[surfaces[1]], 0.0, False)


def hd95_mm(distances: SurfaceDistances) -> float:
    """95th percentile Hausdorff distance, mm: the larger of the two ways' percentiles. Empty masks: see above."""
    if not distances.all_mm.size:
        return distances.without_surface_mm
    ways = distances.prediction_to_truth_mm, distances.truth_to_prediction_mm
    return max(float(np.percentile(way, 95)) for way in ways)


def assd_mm(distances: SurfaceDistances) -> float:
    """Average symmetric surface distance, mm: the mean over the voxels of both surfaces. Empty masks: see above."""
    if not distances.all_mm.size:
        return distances.without_surface_mm
    return float(distances.all_mm.mean())


def normalized_surface_dice(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Part of both surfaces, 0-1, that lies within ``tolerance_mm`` (we report 2 and 5) of the other one (NSD).

    Both empty: 1; one empty: 0.
    """
    if not distances.all_mm.size:
        return float(distances.both_empty)
    return float(np.mean(distances.all_mm <= tolerance_mm))


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = ndimage.binary_erosion(mask)
    return mask & ~inside


def _check(prediction: Mask, truth: Mask, spacing_mm: tuple[float, float, float]) -> None:
    if prediction.shape != truth.shape:
        raise InputError(
            f"prediction and truth need one shape, got {prediction.shape} and {truth.shape}; resample one to the other"
        )
    if prediction.ndim != 3:
        raise InputError(
            f"surface distances need 3 dimensions, got shape {prediction.shape}; give a slice as one of one"
        )
    if len(spacing_mm) != 3 or not all(0 < s < math.inf for s in spacing_mm):
        raise InputError(f"spacing_mm must be three positive numbers along i, j, k, got {spacing_mm}")

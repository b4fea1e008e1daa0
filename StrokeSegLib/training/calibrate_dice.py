"""Dice of one label for many smallest sizes at once: what a calibration asks again and again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.measure import CONNECTIVITY_26
from StrokeSegLib.volume import Volume


def dice_by_size(
    probability: Volume, truth: NDArray[np.bool_], threshold: float, smallest_ml: Sequence[float]
) -> list[float]:
    """The Dice of ``label_map`` with each of the smallest sizes, from one look at the pieces.

    Args:
        probability: Of the label, 0-1.
        truth: The label's voxels, shape of ``probability``.
        threshold: A voxel above it is marked.
        smallest_ml: Smaller pieces are dropped, mL; 0 keeps all.

    Returns:
        One Dice a size; 1 where both are empty.
    """
    numbered, count = ndimage.label(probability.array > np.float32(threshold), CONNECTIVITY_26)
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    common = np.bincount(numbered[truth], minlength=count + 1)[1:]
    true = int(np.count_nonzero(truth))
    result = []
    for smallest in smallest_ml:
        keep = sizes >= math.ceil(smallest / probability.voxel_volume_ml - 1e-6)  # as ``postprocess`` counts voxels
        marked, both = int(sizes[keep].sum()), int(common[keep].sum())
        result.append(1.0 if marked + true == 0 else 2 * both / (marked + true))
    return result

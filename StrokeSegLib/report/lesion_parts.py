"""Which voxels belong to which lesion of a lesion table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.measure import CONNECTIVITY_26
from StrokeSegLib.volume import Volume


def number_lesions(labels: Volume) -> tuple[NDArray[np.int32], list[int]]:
    """Numbers the lesions of a label map as ``measure_lesions`` lists them: by label, then the largest first.

    Lesions of one label and one size come in the order of their first voxel, there as here.

    Returns:
        Per voxel the number of its lesion, from 1, 0 elsewhere; and per lesion its label.
    """
    numbers = np.zeros(labels.array.shape, np.int32)
    of_label: list[int] = []
    for value in sorted({int(v) for v in np.unique(labels.array)} - {0}):
        parts, count = ndimage.label(labels.array == value, CONNECTIVITY_26)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        order = np.argsort(-sizes, kind="stable")
        places = np.zeros(count + 1, np.int32)
        places[order + 1] = len(of_label) + 1 + np.arange(count)
        numbers += places[parts]
        of_label += [value] * count
    return numbers, of_label


def means_inside(values: Volume, numbers: NDArray[np.int32], count: int) -> list[float]:
    """Mean of a volume over each lesion."""
    index: Any = np.arange(1, count + 1)
    return [float(mean) for mean in ndimage.mean(values.array, numbers, index)] if count else []

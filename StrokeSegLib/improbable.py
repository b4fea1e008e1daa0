"""Marked lesions that are more likely none than one: found by what a calibration knows of lesions like them.

A network marks spots of which it is fairly sure voxel by voxel, and still most of their kind touch no true lesion:
small ones, hardly above the threshold. The lesion model (``uncertainty.LesionModel``) says so, and a case reads better
without them. The probability map keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.io.box import box_of
from StrokeSegLib.measure import CONNECTIVITY_26
from StrokeSegLib.uncertainty import LesionModel
from StrokeSegLib.volume import Volume


def without_improbable(
    labels: Volume, probability: Mapping[int, Volume], models: Mapping[int, LesionModel], least: float
) -> tuple[Volume, tuple[float, ...]]:
    """The label map without the lesions whose probability of being one is below ``least``.

    Args:
        labels: Label map; labels without a probability or a model stay as they are.
        probability: Per label its voxels' probability, 0-1, on the same grid.
        models: Per label.
        least: 0-1; 0 keeps all.

    Returns:
        A new label map, and the volumes of what went, mL, the largest first.
    """
    box = box_of(labels.array) if least > 0 else None
    if box is None:
        return labels, ()
    kept = labels.array.copy()
    inside = kept[box]
    gone: list[float] = []
    for value in sorted(set(models) & set(probability)):
        numbered, means, volumes_ml = numbered_lesions(
            inside == value, probability[value].array[box], labels.voxel_volume_ml
        )
        chances = [models[value].probability(float(p), float(ml)) for p, ml in zip(means, volumes_ml, strict=True)]
        improbable = np.array(chances, np.float64) < least
        inside[np.append(False, improbable)[numbered]] = 0
        gone.extend(volumes_ml[improbable].tolist())
    return labels.with_array(kept), tuple(sorted(gone, reverse=True))


def numbered_lesions(
    marked: NDArray[np.bool_], probability: NDArray[np.float32], voxel_volume_ml: float
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """The 26-connected lesions of a mask numbered from 1, the mean probability of each, and its volume in mL."""
    numbered: NDArray[np.int32]
    numbered, count = ndimage.label(marked, CONNECTIVITY_26)
    voxels = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    means = np.asarray(ndimage.mean(probability, numbered, range(1, count + 1)), np.float64).reshape(count)
    return numbered, means, np.asarray(voxels * voxel_volume_ml, np.float64)

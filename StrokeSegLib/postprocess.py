"""From probabilities to a label map: thresholds, one label a voxel, small components removed, gaps closed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.io.box import box_of
from StrokeSegLib.measure import CONNECTIVITY_26
from StrokeSegLib.volume import Volume

#: Where hemorrhage is exactly as likely as another label, hemorrhage it is: missing blood is the worse mistake.
HEMORRHAGE = 2
#: Label maps are stored as uint8.
LARGEST_LABEL = 255
#: A voxel center this part of the radius beyond the ball still lies on it, whatever the products of spacings round to.
RADIUS_TOLERANCE = 1e-6


def label_map(probability: Mapping[int, Volume], thresholds: Mapping[int, float], min_volume_ml: float) -> Volume:
    """The label map of one or several probability maps.

    A voxel gets a label where the label's probability exceeds the label's threshold; where several do, the one with the
    largest probability / threshold, hemorrhage winning a tie, then the lower label. NaN counts as background.
    Components that are then smaller than ``min_volume_ml`` are removed, label by label.

    Args:
        probability: Per label (1-255) its probability, 0-1, all on one grid.
        thresholds: Per label its threshold, above 0 and at most 1.
        min_volume_ml: Smallest lesion that is kept, mL; 0 keeps all.

    Returns:
        uint8 labels on the same grid, 0 is background.

    Raises:
        InputError: No probability, a label or threshold out of range or missing, different grids, negative volume.
    """
    grid = _check(probability, thresholds)
    # Tie order; a later label must be strictly more likely to take a voxel from an earlier one.
    order = sorted(probability, key=lambda value: (value != HEMORRHAGE, value))
    labels: NDArray[np.uint8] = np.zeros(grid.array.shape, dtype=np.uint8)
    for k in range(labels.shape[0]):  # slice by slice: the ratios of a whole large volume would not fit beside it
        best: NDArray[np.float32] = np.zeros(labels.shape[1:], dtype=np.float32)
        for value in order:
            plane = probability[value].array[k].astype(np.float32, copy=False)
            above = plane > thresholds[value]
            found = np.flatnonzero(above.any(axis=1))
            if len(found) == 0:
                continue
            rows = slice(int(found[0]), int(found[-1]) + 1)
            ratio = plane[rows] / np.float32(thresholds[value])
            wins = above[rows] & (ratio > best[rows])
            labels[k, rows][wins] = value
            best[rows][wins] = ratio[wins]
    for value in order:
        _remove_small(labels, value, min_volume_ml, grid.voxel_volume_ml)
    return grid.with_array(labels)


def remove_small(mask: Volume, min_volume_ml: float) -> Volume:
    """The mask without its 26-connected components smaller than ``min_volume_ml`` (one of exactly that size stays).

    Args:
        mask: Non-zero is lesion.
        min_volume_ml: mL, at least 0; 0 keeps all.

    Returns:
        A bool mask on the same grid; the given one is left as it is.

    Raises:
        InputError: ``min_volume_ml`` is negative or not a number.
    """
    kept = (mask.array != 0).astype(np.uint8)
    _remove_small(kept, 1, min_volume_ml, mask.voxel_volume_ml)
    return mask.with_array(kept.view(np.bool_))


def remove_small_labels(labels: Volume, min_volume_ml: float) -> Volume:
    """A label map without components smaller than ``min_volume_ml``, label by label, as ``remove_small``.

    Raises:
        InputError: ``min_volume_ml`` is negative or not a number.
    """
    kept = labels.array.astype(np.uint8)
    box = box_of(kept)
    for value, part in enumerate(() if box is None else ndimage.find_objects(kept[box]), start=1):
        if part is not None:
            _remove_small(kept, value, min_volume_ml, labels.voxel_volume_ml)
    return labels.with_array(kept)


def close_ball(mask: NDArray[Any], radius_mm: float, spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """The mask closed with a ball of a radius in mm: gaps into which the ball does not fit are filled.

    The mask loses nothing, and beyond the grid lies background: a lesion at the border does not grow along it. Where
    the radius is less than a spacing, nothing is closed along that axis.

    Args:
        mask: Shape ``(K, J, I)``, non-zero is lesion.
        radius_mm: mm, at least 0; 0 closes nothing.
        spacing_mm: Voxel size along ``(i, j, k)``, mm.

    Returns:
        A new bool mask.

    Raises:
        InputError: ``radius_mm`` is negative or not a number.
    """
    if not (math.isfinite(radius_mm) and radius_mm >= 0):
        raise InputError(f"the closing radius must be 0 mm or more, got {radius_mm}")
    closed: NDArray[np.bool_] = np.asarray(mask) != 0
    box = box_of(closed)
    if box is None:
        return closed
    # A closed mask never leaves the box around the mask.
    reach_mm = radius_mm * (1 + RADIUS_TOLERANCE)
    sampling = spacing_mm[::-1]
    pad = [int(reach_mm // step) + 1 for step in sampling]
    part = np.pad(closed[box], [(n, n) for n in pad])
    shrunk = ~_grown_by_ball(~_grown_by_ball(part, reach_mm, sampling), reach_mm, sampling)
    closed[box] = shrunk[tuple(slice(n, -n) for n in pad)]
    return closed


def _grown_by_ball(mask: NDArray[np.bool_], reach_mm: float, sampling: tuple[float, float, float]) -> NDArray[np.bool_]:
    """What lies within a distance from the mask: a ball is rows of voxels, and the mask is moved to each row's place.

    The same as a threshold on a map of distances, without the map.
    """
    k_mm, j_mm, i_mm = sampling
    most_k, most_j, most_i = (int(reach_mm // step) for step in sampling)
    reaches: dict[int, list[tuple[int, int]]] = {}  # how far a row reaches along i: the rows that reach so far
    for k, j in itertools.product(range(-most_k, most_k + 1), range(-most_j, most_j + 1)):
        inside = [
            i for i in range(most_i + 1) if np.sqrt((k * k_mm) ** 2 + (j * j_mm) ** 2 + (i * i_mm) ** 2) <= reach_mm
        ]
        if inside:
            reaches.setdefault(inside[-1], []).append((k, j))
    result: NDArray[np.bool_] = np.zeros_like(mask)
    along_i = mask.copy()
    for reach in range(most_i + 1):
        if reach:
            _add_moved(along_i, mask, (0, 0, reach))
            _add_moved(along_i, mask, (0, 0, -reach))
        for k, j in reaches.get(reach, ()):
            _add_moved(result, along_i, (k, j, 0))
    return result


def _add_moved(result: NDArray[np.bool_], mask: NDArray[np.bool_], by: tuple[int, int, int]) -> None:
    """Adds the mask moved by so many voxels, in place; what leaves the array is lost."""
    to = tuple(slice(max(0, step), n + min(0, step)) for step, n in zip(by, mask.shape, strict=True))
    of = tuple(slice(max(0, -step), n + min(0, -step)) for step, n in zip(by, mask.shape, strict=True))
    result[to] |= mask[of]


def _remove_small(labels: NDArray[np.uint8], value: int, min_volume_ml: float, voxel_volume_ml: float) -> None:
    """Sets the small components of one label to 0, in place."""
    if not (math.isfinite(min_volume_ml) and min_volume_ml >= 0):
        raise InputError(f"the smallest lesion volume must be 0 mL or more, got {min_volume_ml}")
    # The small subtrahend keeps 10 voxels of 0.001 mL a match for 0.01 mL, whatever the division rounds to.
    min_voxels = math.ceil(min_volume_ml / voxel_volume_ml - 1e-6)
    around = box_of(labels)
    box = None if around is None or min_voxels <= 1 else box_of(labels[around] == value)
    if around is None or box is None:
        return
    part = labels[around][box]
    numbered, count = ndimage.label(part == value, CONNECTIVITY_26)
    small = np.bincount(numbered.ravel(), minlength=count + 1) < min_voxels
    small[0] = False
    part[small[numbered]] = 0


def _check(probability: Mapping[int, Volume], thresholds: Mapping[int, float]) -> Volume:
    if not probability:
        raise InputError("a label map needs the probability of at least one label, got none")
    grid = next(iter(probability.values()))
    for value, volume in probability.items():
        threshold: Any = thresholds.get(value)
        if not 1 <= value <= LARGEST_LABEL:
            raise InputError(f"a label must be 1 to {LARGEST_LABEL}, got {value}")
        if threshold is None or not 0 < threshold <= 1:
            raise InputError(f"label {value} needs a threshold above 0 and at most 1, got {threshold}")
        if not grid.same_grid(volume):
            raise InputError(f"the probabilities of the labels {sorted(probability)} are not all on one grid")
    return grid

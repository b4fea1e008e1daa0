"""What several raters' masks of one case say together: STAPLE's consensus, and where they disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.volume import Volume

#: STAPLE looks at the box around all marks and this many voxels more: its answer must not depend on how much air the
#: scan shows, and on the whole scan every rater's specificity is nearly 1, which makes one rater's mark enough.
BOX_BORDER_VOXELS = 2
AT_PROBABILITY = 0.5
MAX_ITERATIONS = 200


@dataclass(frozen=True, eq=False)
class Consensus:
    """The consensus of one case.

    Attributes:
        labels: Label map (uint8): in each voxel the label that is most probable, where that is 0.5 or more.
        sensitivity, specificity: STAPLE's estimate for each rater by label, in the order of the masks, 0-1.
    """

    labels: Volume
    sensitivity: Mapping[int, tuple[float, ...]]
    specificity: Mapping[int, tuple[float, ...]]


def staple_consensus(masks: Sequence[Volume]) -> Consensus:
    """STAPLE (Warfield et al., IEEE TMI 2004;23:903-921), label by label, by SimpleITK.

    A label that no rater marked is in no consensus. Two raters give little to weigh: STAPLE then tends to what both or
    the larger of them marked.

    Args:
        masks: Label maps of two or more raters on one grid.

    Raises:
        InputError: Fewer than two masks, or their grids differ.
    """
    grid = _one_grid(masks)
    labels = np.zeros(grid.array.shape, np.uint8)
    best = np.zeros(grid.array.shape, np.float32)
    sensitivity: dict[int, tuple[float, ...]] = {}
    specificity: dict[int, tuple[float, ...]] = {}
    for value in _values(masks):
        marked = [mask.array == value for mask in masks]
        box = _box(np.any(marked, axis=0))
        probability, sensitivity[value], specificity[value] = _staple([one[box] for one in marked])
        chosen = (probability >= AT_PROBABILITY) & (probability > best[box])
        labels[box][chosen] = value
        best[box][chosen] = probability[chosen]
    return Consensus(grid.with_array(labels), sensitivity, specificity)


def disagreement(masks: Sequence[Volume]) -> Volume:
    """Part of all pairs of raters that gave a voxel different labels, 0-1 (float32): 0 where all agree.

    Of two raters it is 0 or 1; of three, two against one are 2/3. One minus the mean of it is what Fleiss calls the
    observed agreement.

    Raises:
        InputError: Fewer than two masks, or their grids differ.
    """
    grid = _one_grid(masks)
    n = len(masks)
    agreeing = np.zeros(grid.array.shape, np.float32)
    for value in (0, *_values(masks)):
        votes = np.sum([mask.array == value for mask in masks], axis=0, dtype=np.float32)
        agreeing += votes * (votes - 1)
    return grid.with_array(np.clip(1 - agreeing / (n * (n - 1)), 0, 1).astype(np.float32))


def _staple(
    marked: Sequence[NDArray[np.bool_]],
) -> tuple[NDArray[np.float32], tuple[float, ...], tuple[float, ...]]:
    if all(np.array_equal(marked[0], one) for one in marked[1:]):
        # Nothing to estimate, and the filter would divide by zero where the box is full.
        return marked[0].astype(np.float32), (1.0,) * len(marked), (1.0,) * len(marked)
    staple = sitk.STAPLEImageFilter()
    staple.SetForegroundValue(1.0)
    staple.SetMaximumIterations(MAX_ITERATIONS)
    probability = staple.Execute([sitk.GetImageFromArray(one.astype(np.uint8)) for one in marked])
    found = sitk.GetArrayFromImage(probability).astype(np.float32)
    return found, tuple(staple.GetSensitivity()), tuple(staple.GetSpecificity())


def _box(inside: NDArray[np.bool_]) -> tuple[slice, ...]:
    found = ndimage.find_objects(inside.astype(np.uint8))[0]
    return tuple(
        slice(max(one.start - BOX_BORDER_VOXELS, 0), min(one.stop + BOX_BORDER_VOXELS, n))
        for one, n in zip(found, inside.shape, strict=True)
    )


def _values(masks: Sequence[Volume]) -> list[int]:
    return sorted({int(value) for mask in masks for value in np.unique(mask.array)} - {0})


def _one_grid(masks: Sequence[Volume]) -> Volume:
    if len(masks) < 2:
        raise InputError(f"a consensus needs the masks of two or more raters, got {len(masks)}")
    first = masks[0]
    for mask in masks[1:]:
        if not mask.same_grid(first):
            raise InputError(
                f"a consensus needs masks on one grid, got {first.size_ijk} and {mask.size_ijk} (i, j, k); "
                "mark on the same image"
            )
    return first

"""Chronic subdural collections and hygromas: crescents of old fluid under the bone, which are never marked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from StrokeSegLib.synth.ct_anatomy import Landmarks, sample
from StrokeSegLib.synth.ct_ranges import CtRanges
from StrokeSegLib.synth.fields import Float, smooth_field
from StrokeSegLib.synth.hemorrhage import layer_mm
from StrokeSegLib.synth.placement import ScanGrid

#: From this depth on the brain is not pressed in, mm.
PRESSED_TO_MM = 55.0


@dataclass(frozen=True, eq=False)
class Collection:
    """One crescent.

    Attributes:
        layer_mm: How thick it is at the place of the skull that a voxel lies under, mm.
        hu: Its fluid, at every voxel.
    """

    layer_mm: Float
    hu: Float


def draw_collections(
    rng: np.random.Generator, grid: ScanGrid, depth_mm: Float, marks: Landmarks, ranges: CtRanges
) -> list[Collection]:
    """None mostly; else one over the convexity of one side, or one over each."""
    if rng.random() >= ranges.chronic_subdural_chance:
        return []
    x, y, z = grid.head_mm
    # They gather over the forehead and the top.
    convexity = (z > marks.center_mm[2] + 5) & (y < marks.center_mm[1] + 35)
    left = x > marks.midline_mm
    first = bool(rng.random() < 0.5)
    sides = (first, not first) if rng.random() < ranges.chronic_subdural_both_sides_chance else (first,)
    result = []
    for side in sides:
        layer = layer_mm(
            rng,
            grid,
            depth_mm,
            marks,
            thickness_mm=float(rng.uniform(*ranges.chronic_subdural_mm)),
            radius_mm=(60, 100),
            lens=False,
            among=convexity & (left == side),
        )
        uneven = rng.uniform(0, 1.5) * smooth_field(rng, grid.shape, grid.spacing_mm, 20.0)
        hu = np.clip(rng.uniform(*ranges.chronic_subdural_hu) + uneven, *ranges.chronic_subdural_hu)
        result.append(Collection(layer, np.asarray(hu, np.float32)))
    return result


def pressed_in(grid: ScanGrid, collections: list[Collection], depth_mm: Float, marks: Landmarks) -> ScanGrid:
    """The grid over a brain that collections press away from the skull, its surface with it.

    What lay next to the inner table is found under the layer, what lay at ``PRESSED_TO_MM`` stays; linear between.
    """
    if not collections:
        return grid
    layer = np.max([each.layer_mm for each in collections], axis=0)
    share = np.clip((PRESSED_TO_MM - depth_mm) / np.maximum(PRESSED_TO_MM - layer, 1), 0, 1)
    # Within the layer itself lies what is near the skull, never bone: not even in a part of a thick slice's voxel.
    clear_mm = 1 + grid.spacing_mm[2] / 2
    inward = np.minimum(layer * share, np.maximum(depth_mm - clear_mm, 0))
    deep = marks.depth_mm.astype(np.float32)
    slopes = [np.gradient(deep, marks.step_mm, axis=axis).astype(np.float16) for axis in range(3)]
    z, y, x = (sample(slope, marks.step_mm, grid.head_mm) for slope in slopes)
    length = np.sqrt(x * x + y * y + z * z) + np.float32(0.1)
    position = grid.head_mm - np.stack([x, y, z]) / length * inward
    return replace(grid, head_mm=np.asarray(position, np.float32))


def add_collections(hu: Float, collections: list[Collection], depth_mm: Float, grid: ScanGrid) -> tuple[Float, Float]:
    """HU with the collections, and the part of each voxel that they fill."""
    total = np.zeros(grid.shape, np.float32)
    step = np.float32(grid.spacing_mm[0])
    under_bone = np.clip(depth_mm / step + 0.5, 0, 1)
    for each in collections:
        part = np.clip((each.layer_mm - depth_mm) / step + 0.5, 0, 1) * under_bone * (each.layer_mm > 0)
        hu = hu + part * (each.hu - hu)
        total = np.maximum(total, part)
    return np.asarray(hu, np.float32), np.asarray(total, np.float32)

"""A head without lesions in Hounsfield units: partial volumes, the person's own HU, age, falx, orbit fat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.anatomy import BRAIN, PARENCHYMA, Head, Tissue
from StrokeSegLib.synth.compute import compute
from StrokeSegLib.synth.ct_anatomy import Landmarks, sample
from StrokeSegLib.synth.ct_ranges import CtRanges
from StrokeSegLib.synth.fields import Float, smooth_field
from StrokeSegLib.synth.placement import ScanGrid, lookup

WHITE = (Tissue.WHITE_MATTER, Tissue.CEREBELLUM_WHITE, Tissue.BRAINSTEM)
DEEP = (Tissue.DEEP_GRAY, Tissue.PALLIDUM)


@dataclass(frozen=True, eq=False)
class Mixture:
    """What each voxel holds: HU before any lesion, and fractions 0..1."""

    hu: Float
    parenchyma: Float
    white: Float
    deep_gray: Float
    fluid: Float
    brain: Float
    bone: Float
    muscle: Float

    @property
    def gray(self) -> Float:
        """Parenchyma that is no white matter."""
        return self.parenchyma - self.white


def draw_tissue_hu(rng: np.random.Generator, ranges: CtRanges) -> Float:
    """HU by tissue number of one person."""
    table = np.zeros(len(Tissue), np.float32)
    for tissue, bounds in ranges.tissue_hu.items():
        table[tissue] = rng.uniform(*bounds)
    gap = rng.uniform(*ranges.gray_white_gap_hu)
    table[Tissue.CORTEX] = table[Tissue.WHITE_MATTER] + gap
    table[Tissue.CEREBELLUM_GRAY] = table[Tissue.WHITE_MATTER] + gap
    table[Tissue.DEEP_GRAY] = table[Tissue.WHITE_MATTER] + gap + rng.uniform(-1, 1)
    table[Tissue.PALLIDUM] = table[Tissue.DEEP_GRAY] + rng.uniform(*ranges.pallidum_above_gray_hu)
    return table


def sub_positions(rng: np.random.Generator, grid: ScanGrid) -> list[Float]:
    """Positions (mm in the head) of a few points spread over each voxel, most of them along the slice's thickness."""
    count = int(np.clip(round(grid.spacing_mm[2] / 1.2), 2, 5))
    steps = [np.diff(grid.head_mm, axis=axis).mean(axis=(1, 2, 3), keepdims=True) for axis in (3, 2, 1)]
    result = []
    for n in range(count):
        offset = [rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), (n + 0.5) / count - 0.5]
        result.append((grid.head_mm + sum(o * s for o, s in zip(offset, steps, strict=True))).astype(np.float32))
    return result


def tissue_at(head: Head, position_mm: Float) -> NDArray[np.uint8]:
    """Tissue numbers at positions; below the head's map its lowest slice goes on, as a neck does."""
    return lookup(head.tissue, _not_below(position_mm), head.spacing_mm)


def _not_below(position_mm: Float) -> NDArray[np.float32]:
    inside = position_mm.astype(np.float32)
    np.maximum(inside[2], 0, out=inside[2])
    return inside


def mix(head: Head, positions: list[Float], table: Float) -> Mixture:
    """Averages of HU and fractions over the sub-samples of each voxel."""
    numbers = np.arange(len(Tissue))
    groups = (PARENCHYMA, WHITE, DEEP, (Tissue.CSF,), BRAIN, (Tissue.BONE, Tissue.MARROW), (Tissue.MUSCLE,))
    columns = [table, *[np.isin(numbers, group).astype(np.float32) for group in groups]]
    tables = np.stack(columns) * np.float32(1 / len(positions))
    return Mixture(*compute().table_sums(head.tissue, map(_not_below, positions), head.spacing_mm, tables))


def grow_ventricles(grid_mm: Float, marks: Landmarks, growth: float) -> Float:
    """Positions drawn together around the ventricles' center, so that what lies there looks larger by ``growth``."""
    offset = grid_mm - np.array(marks.center_mm, np.float32)[:, None, None, None]
    near = np.exp(-(offset**2).sum(axis=0) / np.float32(2 * 28.0**2))
    result: Float = grid_mm - offset * (near * np.float32(growth / (1 + growth)))
    return result


def person(
    rng: np.random.Generator,
    mixture: Mixture,
    table: Float,
    grid: ScanGrid,
    depth_mm: Float,
    marks: Landmarks,
    ranges: CtRanges,
) -> Float:
    """HU with the person's age, texture, falx and orbit fat; ``depth_mm`` is the depth inside the skull."""
    hu = mixture.hu
    inside = mixture.brain > 0.5
    # Wider or narrower sulci: more or less fluid where there is some beside tissue.
    growth = np.float32(rng.uniform(*ranges.sulcus_growth))
    extra = np.clip(mixture.fluid * growth, -mixture.fluid, mixture.parenchyma)
    hu = hu + np.where(inside, extra * (table[Tissue.CSF] - table[Tissue.CORTEX]), 0)
    texture = np.clip(smooth_field(rng, grid.shape, grid.spacing_mm, rng.uniform(6, 30)), -2, 2)
    hu = hu + np.float32(rng.uniform(*ranges.tissue_texture_hu)) * texture * mixture.parenchyma
    # The maps' muscle holds fat between the bundles, and the orbits are fat around eye and muscles.
    streaks = np.clip(smooth_field(rng, grid.shape, grid.spacing_mm, 6.0) * np.float32(0.7) - np.float32(0.5), 0, 0.7)
    fat = np.maximum(streaks, sample(marks.orbit, marks.step_mm, grid.head_mm)) * mixture.muscle
    hu = hu + fat * (-85 - table[Tissue.MUSCLE])
    if rng.random() < ranges.falx_chance:
        side = np.abs(grid.head_mm[0] - marks.midline_mm)
        sheet = np.clip(rng.uniform(0.8, 1.4) - side, 0, 1) * np.clip(mixture.brain * 1.5 - mixture.parenchyma, 0, 1)
        above = grid.head_mm[2] > marks.center_mm[2] + 5
        falx = sheet * (above & (depth_mm > 0) & (depth_mm < 38))
        hu = hu + falx * np.maximum(np.float32(rng.uniform(*ranges.falx_hu)) - hu, 0)
    return np.asarray(hu, np.float32)

"""What must not be marked on CT: old infarcts, white-matter disease, lacunes, calcium, dense vessels, cysts.

Chronic subdural collections have a file of their own, ``ct_chronic.py``.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from StrokeSegLib.synth.ct_anatomy import Landmarks, sample
from StrokeSegLib.synth.ct_ranges import CtRanges
from StrokeSegLib.synth.ct_tissues import Mixture
from StrokeSegLib.synth.fields import Float, blur_mm, smooth_field
from StrokeSegLib.synth.lesion_shapes import grown
from StrokeSegLib.synth.placement import ScanGrid


def add_old_disease(
    rng: np.random.Generator,
    hu: Float,
    mixture: Mixture,
    grid: ScanGrid,
    depth_mm: Float,
    marks: Landmarks,
    ranges: CtRanges,
    csf_hu: float,
) -> tuple[Float, Float]:
    """Dark things that are old; returns the HU and the part of each voxel that an old infarct, CSF or cyst took."""
    gone = np.zeros(grid.shape, np.float32)
    if rng.random() < ranges.white_matter_disease_chance:
        hu = hu - _white_matter_disease(rng, mixture, grid, marks, ranges)
    if rng.random() < ranges.old_infarct_chance:
        old = blur_mm(grown(rng, grid, mixture.parenchyma), grid.spacing_mm, 2.0) * mixture.parenchyma
        hu = hu + old * (np.float32(rng.uniform(*ranges.old_infarct_hu)) - hu)
        gone = np.maximum(gone, old)
        if rng.random() < ranges.ex_vacuo_chance:
            fluid = _ex_vacuo(rng, old, mixture, grid, marks, ranges)
            hu = hu + fluid * (np.float32(csf_hu) - hu)
            gone = np.maximum(gone, fluid)
    if rng.random() < ranges.lacune_chance:
        for _ in range(int(rng.integers(1, 5))):
            spot = _ball_in(rng, grid, mixture.deep_gray + 0.3 * (mixture.white > 0.9), rng.uniform(1.5, 6))
            spot = spot * mixture.parenchyma
            hu = hu + spot * (np.float32(rng.uniform(*ranges.old_infarct_hu)) - hu)
            gone = np.maximum(gone, spot)
    if rng.random() < ranges.cyst_chance:
        cyst = _ball_in(rng, grid, ((depth_mm > 2) & (depth_mm < 10)).astype(np.float32), rng.uniform(8, 25))
        cyst = cyst * (depth_mm > 0.5)
        hu = hu + cyst * (np.float32(rng.uniform(2, 12)) - hu)
        gone = np.maximum(gone, cyst)
    return np.asarray(hu, np.float32), gone


def add_dense_normals(
    rng: np.random.Generator, hu: Float, mixture: Mixture, grid: ScanGrid, marks: Landmarks, ranges: CtRanges
) -> Float:
    """Bright things that are no fresh blood: calcium in plexus, pineal, basal ganglia and falx, dense arteries."""
    center = np.array(marks.center_mm, np.float32)

    def level() -> np.float32:
        return np.float32(rng.uniform(*ranges.calcification_hu))

    def put(spot: Float, value: np.float32) -> None:
        np.add(hu, spot * np.maximum(value - hu, 0), out=hu)

    hu = hu.copy()
    if rng.random() < ranges.calcification_chance:  # plexus, both sides
        for side in (-1, 1):
            put(_ball(grid, center + _mm(rng, side * 22, 26, 0, 2.5), rng.uniform(1.0, 4.5)) * mixture.brain, level())
    if rng.random() < ranges.calcification_chance:  # pineal
        put(_ball(grid, center + _mm(rng, 0, 16, -12, 1.5), rng.uniform(0.8, 3.0)) * mixture.brain, level())
    if rng.random() < 0.2 * ranges.calcification_chance:  # basal ganglia, both sides
        field = smooth_field(rng, grid.shape, grid.spacing_mm, 6.0)
        speckle = np.clip((field + field[:, :, ::-1]) * np.float32(0.7) - np.float32(0.7), 0, 1)
        put(mixture.deep_gray * speckle, np.float32(rng.uniform(50, 120)))
    if rng.random() < 0.4 * ranges.calcification_chance:  # plaques in the falx
        for _ in range(int(rng.integers(1, 4))):
            at = center + _mm(rng, 0, rng.uniform(-50, 40), rng.uniform(25, 45), 0.7)
            put(_ball(grid, at, rng.uniform(1.0, 3.5)) * mixture.brain, level() * np.float32(2))
    if rng.random() < ranges.dense_vessel_chance:  # a middle cerebral artery, with or without an infarct
        put(_artery(rng, grid, center) * mixture.brain, np.float32(rng.uniform(*ranges.dense_vessel_hu)))
    return np.asarray(hu, np.float32)


def _artery(rng: np.random.Generator, grid: ScanGrid, center_mm: Float) -> Float:
    """A stretch of one middle cerebral artery's stem."""
    side, radius_mm = rng.choice((-1, 1)), rng.uniform(1.0, 1.9)
    total = np.zeros(grid.shape, np.float32)
    for t in np.linspace(0, rng.uniform(0.4, 1), 10):
        at = center_mm + _mm(rng, side * (6 + 24 * t), -18 - 6 * np.sin(3 * t), -26 + 3 * t, 0.4)
        total = np.maximum(total, _ball(grid, at, radius_mm))
    return total


def _ex_vacuo(
    rng: np.random.Generator, scar: Float, mixture: Mixture, grid: ScanGrid, marks: Landmarks, ranges: CtRanges
) -> Float:
    """Part of each voxel whose brain has given way to CSF: ventricle and sulci grow towards a scar and into it."""
    reach_mm, sulci = rng.uniform(*ranges.ex_vacuo_mm), rng.uniform(*ranges.ex_vacuo_sulci)
    rough = np.clip(1 + 0.25 * smooth_field(rng, grid.shape, grid.spacing_mm, 14.0), 0.4, 1.6)
    pull = np.clip(blur_mm(scar, grid.spacing_mm, 12.0) * 3, 0, 1)
    total = np.zeros(grid.shape, np.float32)
    where = np.nonzero(pull > 0.05)
    if len(where[0]) == 0:
        return total
    margin = [int(np.ceil(1.6 * reach_mm / mm)) + 1 for mm in grid.spacing_mm[::-1]]
    box = tuple(slice(max(0, int(at.min()) - m), int(at.max()) + m + 1) for at, m in zip(where, margin, strict=True))
    fluid = mixture.fluid[box] > 0.35
    ventricle = sample(marks.ventricle, marks.step_mm, grid.head_mm)[box] > 0.25
    for space, mm in ((fluid & ventricle, reach_mm), (fluid & ~ventricle, reach_mm * sulci)):
        if space.any():
            away = ndimage.distance_transform_edt(~space, sampling=grid.spacing_mm[::-1]).astype(np.float32)
            reached = mm * rough[box] * pull[box] - away
            part = np.clip(reached / np.float32(grid.spacing_mm[0]) + 0.5, 0, 1) * (pull[box] > 0.05)
            total[box] = np.maximum(total[box], part)
    return np.asarray(total * (mixture.parenchyma > 0), np.float32)


def _white_matter_disease(
    rng: np.random.Generator, mixture: Mixture, grid: ScanGrid, marks: Landmarks, ranges: CtRanges
) -> Float:
    """HU lost around the ventricles on both sides, and in patches of the deep white matter."""
    ventricle = sample(marks.ventricle, marks.step_mm, grid.head_mm)
    around = np.clip(blur_mm(ventricle, grid.spacing_mm, rng.uniform(8, 22)) * 4, 0, 1)
    field = smooth_field(rng, grid.shape, grid.spacing_mm, rng.uniform(10, 22))
    patches = np.clip((field + field[:, :, ::-1]) * np.float32(0.7) - np.float32(rng.uniform(0.5, 2)), 0, 1)
    caps = around * np.clip(0.8 + 0.4 * field, 0.2, 1)
    drop = np.float32(rng.uniform(*ranges.white_matter_disease_drop_hu))
    return np.asarray(drop * np.maximum(caps, patches) * np.clip(mixture.white * 1.5 - 0.5, 0, 1), np.float32)


def _mm(rng: np.random.Generator, x: float, y: float, z: float, spread: float) -> Float:
    return np.asarray(np.array((x, y, z)) + rng.normal(0, spread, 3), np.float32)


def _ball(grid: ScanGrid, center_mm: Float, radius_mm: float) -> Float:
    """A soft ball; thin for its slice, it fades rather than vanishing."""
    total = np.zeros(grid.shape, np.float32)
    near = np.abs(grid.head_mm[2].mean(axis=(1, 2)) - center_mm[2]) < radius_mm + grid.spacing_mm[2] + 15
    part = np.flatnonzero(near)
    if len(part) == 0:
        return total
    slab = slice(int(part[0]), int(part[-1]) + 1)
    offset = grid.head_mm[:, slab] - center_mm[:, None, None, None]
    thick = np.float32(max(1.0, grid.spacing_mm[2] / 2 / max(radius_mm, 0.5)))
    offset[2] /= thick
    total[slab] = np.clip(radius_mm - np.sqrt((offset**2).sum(axis=0)) + 0.5, 0, 1) / thick
    return total


def _ball_in(rng: np.random.Generator, grid: ScanGrid, where: Float, radius_mm: float) -> Float:
    seeds = np.argwhere(where > 0.25)
    if len(seeds) == 0:
        return np.zeros(grid.shape, np.float32)
    at = seeds[rng.integers(len(seeds))]
    return _ball(grid, grid.head_mm[:, at[0], at[1], at[2]], radius_mm)

"""Infarcts on CT: which voxels, of what age, and what they do to the HU."""

from __future__ import annotations

import numpy as np

from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.ct_ranges import CtRanges, InfarctAge
from StrokeSegLib.synth.ct_tissues import Mixture
from StrokeSegLib.synth.fields import Float, gaussian, smooth_field
from StrokeSegLib.synth.lesion_shapes import grown, mask_from_library
from StrokeSegLib.synth.lesions import LesionLibrary
from StrokeSegLib.synth.placement import ScanGrid


def draw_age(rng: np.random.Generator, ranges: CtRanges) -> InfarctAge:
    """Hyperacute, acute or subacute."""
    shares = np.array(ranges.infarct_age_shares, float)
    return ranges.infarct_ages[int(rng.choice(len(shares), p=shares / shares.sum()))]


def occupancy(
    rng: np.random.Generator,
    head: Head,
    library: LesionLibrary | None,
    grid: ScanGrid,
    positions: list[Float],
    parenchyma: Float,
    ranges: CtRanges,
) -> Float:
    """Where one infarct, sometimes two, lie: 0..1."""
    total = np.zeros(grid.shape, np.float32)
    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
    for _ in range(1 + int(rng.random() < ranges.second_infarct_chance)):
        small_too = rng.random() < ranges.small_infarct_chance
        for _attempt in range(4):
            if library is not None and head.to_template is not None and rng.random() < 0.8:
                one = mask_from_library(rng, head, library, positions)
            else:
                one = grown(rng, grid, parenchyma)
            if small_too or float((one * parenchyma).sum()) * voxel_ml >= ranges.small_infarct_ml:
                break
        total = np.maximum(total, one)
    return total


def involvement(rng: np.random.Generator, occupied: Float, grid: ScanGrid, ranges: CtRanges) -> Float:
    """How far each voxel is infarcted, 0..1: occupancy with a soft border and an uneven inside."""
    edge = float(rng.uniform(*ranges.infarct_edge_mm)) / 2.355
    # Blur in mm would smear thick slices into nothing: the border softens within the plane.
    soft = gaussian(occupied, (0, edge / grid.spacing_mm[1], edge / grid.spacing_mm[0]), mode="nearest", truncate=2.5)
    uneven = np.clip(smooth_field(rng, grid.shape, grid.spacing_mm, 12.0), 0, 1.6) / np.float32(1.6)
    result: Float = (soft * (1 - np.float32(rng.uniform(*ranges.infarct_fade)) * uneven)).astype(np.float32)
    return result


def infarcted(
    hu: Float, mixture: Mixture, involved: Float, *, gray_drop_hu: float, white_drop_hu: float, swelling: float
) -> tuple[Float, Float]:
    """HU with the infarct, and what its parenchyma lost (HU, positive).

    Gray and white matter each lose their own amount. Swelling fills up to all of the fluid within the infarct with
    tissue: sulci vanish.
    """
    loss = involved * (np.float32(gray_drop_hu) * mixture.gray + np.float32(white_drop_hu) * mixture.white)
    tissue_hu = float(np.median(hu[mixture.parenchyma > 0.95])) if (mixture.parenchyma > 0.95).any() else 32.0
    filled = mixture.fluid * np.float32(swelling) * involved * (mixture.parenchyma > 0.02)
    new = hu - loss + filled * np.maximum(tissue_hu - gray_drop_hu - hu, 0)
    return new.astype(np.float32), loss.astype(np.float32)

"""What looks like a lesion and is none: texture, coil shading, bright plexus, old disease; ``epi.py`` has bands."""

from __future__ import annotations

import numpy as np

from StrokeSegLib.synth.fields import Float, blur_mm, smooth_field
from StrokeSegLib.synth.lesion_shapes import grown
from StrokeSegLib.synth.mri_ranges import DiffusionRanges
from StrokeSegLib.synth.placement import ScanGrid


def normal_variation(
    rng: np.random.Generator, b0: Float, dwi: Float, white: Float, gray: Float, grid: ScanGrid, ranges: DiffusionRanges
) -> tuple[Float, Float]:
    """White matter's direction-dependent DWI (the same on both sides, ADC changes) and the cortex's uneven T2."""
    fibers = smooth_field(rng, grid.shape, grid.spacing_mm, rng.uniform(8, 25))
    # Clipped: beyond that normal white matter would be as dark on ADC as an infarct, and no one could tell.
    fibers = np.clip((fibers + fibers[:, :, ::-1]) * np.float32(0.7), -1.5, 1.5)
    dwi = dwi * np.exp(rng.uniform(*ranges.white_matter_texture) * white * fibers)
    cortex = np.clip(smooth_field(rng, grid.shape, grid.spacing_mm, rng.uniform(12, 40)), -1.5, 1.5)
    t2 = np.exp(rng.uniform(*ranges.cortex_texture) * gray * cortex)
    fine = smooth_field(rng, grid.shape, grid.spacing_mm, 5.0)
    t2 = t2 * np.exp(rng.uniform(0.0, 0.06) * fine)
    return b0 * t2, dwi * t2


def other_disease(
    rng: np.random.Generator,
    b0: Float,
    dwi: Float,
    parenchyma: Float,
    white: Float,
    grid: ScanGrid,
    b_ms_per_um2: float,
    ranges: DiffusionRanges,
) -> tuple[Float, Float]:
    """White-matter disease (T2 up, ADC up), old infarcts (near CSF) and plexus-like bright spots (ADC not low)."""
    if rng.random() < ranges.white_matter_disease_chance:
        level = rng.uniform(0.6, 1.8)
        field = smooth_field(rng, grid.shape, grid.spacing_mm, rng.uniform(8, 20))
        patches = np.clip((field - level) * 3, 0, 1) * (white > 0.8)
        # Water that lengthens T2 diffuses freely too: such disease shines through on DWI a little, never as an infarct.
        severity = rng.uniform(0, 1)
        t2_gain, adc_rise = (1.2 + 0.6 * severity) * rng.uniform(0.95, 1.15), 0.15 + 0.45 * severity
        b0, dwi = _mix(b0, dwi, patches, t2_gain=t2_gain, adc_rise=adc_rise, b=b_ms_per_um2)
    if rng.random() < ranges.old_infarct_chance:
        old = grown(rng, grid, parenchyma)
        b0, dwi = _mix(b0, dwi, old, t2_gain=rng.uniform(1.2, 2.5), adc_rise=rng.uniform(0.5, 1.8), b=b_ms_per_um2)
    if rng.random() < ranges.plexus_bright_chance:
        spots = _plexus_spots(rng, parenchyma, grid)
        adc = rng.uniform(0.95, 2.0)
        bright = np.float32(np.median(dwi[white > 0.8]) if (white > 0.8).any() else dwi.max()) * np.float32(
            rng.uniform(1.1, 2.6)
        )
        dwi = dwi * (1 - spots) + bright * spots
        b0 = b0 * (1 - spots) + bright * np.float32(np.exp(b_ms_per_um2 * adc)) * spots
    return b0, dwi


def _mix(b0: Float, dwi: Float, part: Float, *, t2_gain: float, adc_rise: float, b: float) -> tuple[Float, Float]:
    sick_b0 = b0 * np.float32(t2_gain)
    sick_dwi = dwi * np.float32(t2_gain * np.exp(-b * adc_rise))
    return b0 + part * (sick_b0 - b0), dwi + part * (sick_dwi - dwi)


def _plexus_spots(rng: np.random.Generator, parenchyma: Float, grid: ScanGrid) -> Float:
    """One spot on each side in the ventricles' trigones, about 25 mm off the midline: found as deep CSF."""
    spots = np.zeros(grid.shape, np.float32)
    # CSF wrapped in parenchyma: ventricle rather than sulcus.
    deep = (parenchyma < 0.3) & (blur_mm(parenchyma, grid.spacing_mm, 25.0) > 0.55)
    where = np.argwhere(deep)
    if len(where) == 0:
        return spots
    for _ in range(int(rng.integers(1, 4))):
        at = where[rng.integers(len(where))]
        radius_mm = rng.uniform(2.0, 5.0)
        for mirrored in (False, True):
            center = at.copy()
            if mirrored:
                center[2] = grid.shape[2] - 1 - center[2]
                if not deep[tuple(center)]:
                    continue
            offset = grid.head_mm - grid.head_mm[:, center[0], center[1], center[2]][:, None, None, None]
            spots = np.maximum(spots, np.clip(radius_mm - np.sqrt((offset**2).sum(axis=0)) + 0.5, 0, 1))
    return np.asarray(spots * deep, np.float32)


def coil_shading(rng: np.random.Generator, grid: ScanGrid, ranges: DiffusionRanges) -> Float:
    """Factor on b0 and DWI alike: the coil's smooth shading."""
    field = smooth_field(rng, grid.shape, grid.spacing_mm, rng.uniform(60, 150))
    return np.asarray(np.exp(rng.uniform(*ranges.bias) * field), np.float32)

"""What the scanner adds: blur, beam hardening, streaks, motion, metal, noise, table, cut view, eight bits."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from StrokeSegLib.synth.ct_hardening import bone_error_mm
from StrokeSegLib.synth.ct_ranges import CtRanges
from StrokeSegLib.synth.ct_tissues import Mixture
from StrokeSegLib.synth.fields import Float, blur_mm, gaussian, stretch
from StrokeSegLib.synth.placement import ScanGrid

AIR_HU = -1000.0


def beam_hardening(rng: np.random.Generator, hu: Float, mixture: Mixture, grid: ScanGrid, ranges: CtRanges) -> Float:
    """HU added: a bright rim under bone, a bright vertex, and dark bands along rays that cross much bone."""
    error_mm = bone_error_mm(mixture.bone, grid.spacing_mm)
    brain = mixture.brain > 0.3
    if brain.any():  # which a scanner's zero is set for
        error_mm = error_mm - np.float32(np.median(error_mm[brain]))
    added = np.clip(np.float32(rng.uniform(*ranges.hardening_hu_per_mm)) * error_mm, -20, 45) * brain
    for at_bone_hu, fwhm_mm in ((ranges.glow_hu, ranges.glow_fwhm_mm), (ranges.cup_hu, ranges.cup_fwhm_mm)):
        width, height = rng.uniform(*fwhm_mm), rng.uniform(*at_bone_hu)
        near = _wide_blur(mixture.bone, grid.spacing_mm, width)
        # Scaled to what brain beside bone has, whatever the bone's thickness.
        beside = near[(mixture.brain > 0.5) & (mixture.bone > 0)]
        if beside.size:
            share = near / np.float32(max(float(np.median(beside)), 1e-3))
            added += np.clip(share, 0, 1.5) * np.float32(height) * brain
    strength = rng.uniform(*ranges.streak_hu)
    # Rays on a coarse in-plane grid, in a few directions; only bone that exceeds the neighboring rays' leaves a band.
    stride = max(1, round(2.0 / grid.spacing_mm[0]))
    bone = mixture.bone[:, ::stride, ::stride]
    bands = np.zeros(bone.shape, np.float32)
    for angle in (0.0, float(rng.uniform(-25, 25))):
        turned = ndimage.rotate(bone, angle, (2, 1), reshape=False, order=1, prefilter=False) if angle else bone
        path_mm = turned.sum(axis=2) * np.float32(stride * grid.spacing_mm[0])
        excess = np.clip(path_mm - ndimage.gaussian_filter1d(path_mm, 9.0, axis=1), 0, None) / 30
        # Between bones only: bone on either side of the point, each within a few centimeters.
        left = np.minimum(np.cumsum(turned, axis=2), 6) / 6
        right = np.minimum(np.cumsum(turned[:, :, ::-1], axis=2), 6)[:, :, ::-1] / 6
        band = np.clip(excess, 0, 1.2)[:, :, None] * left * right
        if angle:
            band = ndimage.rotate(band, -angle, (2, 1), reshape=False, order=1, prefilter=False)
        bands += band
    dark = np.clip(stretch(bands, grid.shape), 0, 1.3) * np.float32(strength)
    return np.asarray(added - dark * (mixture.bone < 0.5) * (hu > -300), np.float32)


def _wide_blur(image: Float, spacing_mm: tuple[float, float, float], fwhm_mm: float) -> Float:
    """``blur_mm`` with steps of a sixth of the width, which the result is smooth enough for."""
    strides = [max(1, round(fwhm_mm / 6 / mm)) for mm in spacing_mm[::-1]]
    fine = blur_mm(image, spacing_mm, fwhm_mm / 3) if max(strides) > 1 else image
    i, j, k = (mm * n for mm, n in zip(spacing_mm, strides[::-1], strict=True))
    # Whole steps from corner to corner, as `stretch` takes them.
    padded = np.pad(fine, [(0, -(n - 1) % step) for n, step in zip(fine.shape, strides, strict=True)], mode="edge")
    coarse = blur_mm(padded[:: strides[0], :: strides[1], :: strides[2]], (i, j, k), fwhm_mm)
    depth, height, width = image.shape
    return stretch(coarse, padded.shape)[:depth, :height, :width]


def blur_plane(
    rng: np.random.Generator, hu: Float, spacing_mm: tuple[float, float, float], ranges: CtRanges, sharp: bool
) -> Float:
    """The point spread within the plane; a sharp kernel overshoots at edges."""
    fwhm = rng.uniform(*ranges.psf_fwhm_mm) * (0.6 if sharp else 1.0)
    soft = _gauss(hu, fwhm, spacing_mm)
    if sharp:
        soft = soft + np.float32(rng.uniform(0.3, 0.9)) * (soft - _gauss(soft, 2.5, spacing_mm))
    return soft


def before_noise(rng: np.random.Generator, hu: Float, grid: ScanGrid, ranges: CtRanges) -> Float:
    """Motion, metal and the headrest, each by its chance."""
    if rng.random() < ranges.motion_chance:
        hu = add_motion(rng, hu, grid)
    if rng.random() < ranges.metal_chance:
        hu = add_metal(rng, hu, grid)
    if rng.random() < ranges.table_chance:
        hu = add_table(rng, hu, grid)
    return hu


def add_metal(rng: np.random.Generator, hu: Float, grid: ScanGrid) -> Float:
    """A clip, a coil or dental metal: a very dense spot with bright and dark rays in its slices."""
    hu = hu.copy()
    depth, height, width = grid.shape
    dental = rng.random() < 0.6
    k = (
        int(rng.integers(0, max(1, depth // 6)))
        if dental
        else int(rng.integers(depth // 4, max(depth // 4 + 1, depth)))
    )
    row, column = (
        height * rng.uniform(0.1, 0.3) if dental else height * rng.uniform(0.3, 0.7),
        width * rng.uniform(0.3, 0.7),
    )
    y = (np.arange(height, dtype=np.float32)[:, None] - np.float32(row)) * np.float32(grid.spacing_mm[1])
    x = (np.arange(width, dtype=np.float32)[None, :] - np.float32(column)) * np.float32(grid.spacing_mm[0])
    radius, angle = np.hypot(x, y) + 1, np.arctan2(y, x)
    count = max(1, round(rng.uniform(3, 8) / grid.spacing_mm[2]))
    for n in range(k, min(depth, k + count)):
        rays = sum(np.cos(m * angle + rng.uniform(0, 6.28)) for m in rng.integers(3, 17, 4))
        hu[n] += np.float32(rng.uniform(300, 1500)) * np.asarray(rays, np.float32) / (4 + radius) * (hu[n] > -400)
        hu[n] = np.where(radius < rng.uniform(2, 5), np.float32(2800), hu[n])
    return hu


def add_motion(rng: np.random.Generator, hu: Float, grid: ScanGrid) -> Float:
    """Some slices seen double: the head moved during their turn."""
    hu = hu.copy()
    start = int(rng.integers(grid.shape[0]))
    for k in range(start, min(grid.shape[0], start + int(rng.integers(1, 6)))):
        shift = rng.uniform(-4, 4, 2) / np.array(grid.spacing_mm[:2])
        moved = ndimage.rotate(hu[k], rng.uniform(-2, 2), reshape=False, order=1, cval=AIR_HU, prefilter=False)
        moved = ndimage.shift(moved, shift[::-1], order=1, cval=AIR_HU, prefilter=False)
        share = np.float32(rng.uniform(0.25, 0.5))
        hu[k] = (1 - share) * hu[k] + share * moved
    return hu


def add_table(rng: np.random.Generator, hu: Float, grid: ScanGrid) -> Float:
    """A headrest: a thin shell around the back of the head, only where there is air."""
    _, height, width = grid.shape
    half = np.array([width * grid.spacing_mm[0], height * grid.spacing_mm[1]]) / 2
    y = np.arange(height, dtype=np.float32)[:, None] * np.float32(grid.spacing_mm[1]) - np.float32(half[1])
    x = np.arange(width, dtype=np.float32)[None, :] * np.float32(grid.spacing_mm[0]) - np.float32(half[0])
    a, b = half[0] * rng.uniform(0.92, 1.2), half[1] * rng.uniform(0.88, 1.1)
    ring = np.abs(np.sqrt((x / a) ** 2 + (y / b) ** 2) - 1) * np.float32(min(a, b))
    shell = np.clip(rng.uniform(0.6, 1.8) - ring + 0.5, 0, 1) * (y > half[1] * rng.uniform(-0.2, 0.5))
    foam = (np.sqrt((x / a) ** 2 + (y / b) ** 2) < 1) & (y > half[1] * 0.2)
    back = np.where(foam, np.float32(rng.uniform(-990, -900)), np.float32(AIR_HU))
    back = back + shell * np.float32(rng.uniform(600, 1100))
    return np.where(hu < -900, np.maximum(hu, back[None].astype(np.float32)), hu)


def noise_sd_hu(rng: np.random.Generator, slice_mm: float, ranges: CtRanges, sharp: bool) -> tuple[float, float]:
    """SD of the noise in this scan's slices, and in 5 mm slices of the same dose."""
    thick = rng.uniform(*ranges.noise_hu)
    here = thick * (5.0 / slice_mm) ** 0.5 * (2.0 if sharp else 1.0)
    return float(min(here, ranges.noise_limit_hu)), float(thick)


def add_noise(
    rng: np.random.Generator, hu: Float, spacing_mm: tuple[float, float, float], sd_hu: float, fwhm_mm: float
) -> None:
    """Adds grain correlated within the slice to ``hu`` in place, a few slices at a time; more in the middle."""
    if sd_hu <= 0:
        return
    _, height, width = hu.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    middle = np.clip(1.15 - 0.3 * (x**2 + y**2), 0.6, None)
    slab = max(1, 4_000_000 // (height * width))
    for start in range(0, hu.shape[0], slab):
        part = hu[start : start + slab]
        grain = _gauss(rng.standard_normal(part.shape, dtype=np.float32), fwhm_mm, spacing_mm)
        grain *= middle * np.float32(sd_hu / max(float(grain.std()), 1e-6))
        part += grain


def cut_view(rng: np.random.Generator, hu: Float, spacing_mm: tuple[float, float, float]) -> None:
    """In place: outside the reconstruction circle there is no image."""
    _, height, width = hu.shape
    y = (np.arange(height, dtype=np.float32)[:, None] - (height - 1) / 2) * np.float32(spacing_mm[1])
    x = (np.arange(width, dtype=np.float32)[None, :] - (width - 1) / 2) * np.float32(spacing_mm[0])
    radius = max(height * spacing_mm[1], width * spacing_mm[0]) / 2 * rng.uniform(0.86, 1.0)
    hu[:, np.hypot(x, y) > radius] = rng.choice((-1024.0, -2000.0, -1000.0))


def eight_bits(rng: np.random.Generator, hu: Float, ranges: CtRanges) -> Float:
    """As saved through a display window with 256 gray levels; values stay HU."""
    width = rng.uniform(*ranges.window_width_hu)
    low = rng.uniform(*ranges.window_level_hu) - width / 2
    step = np.float32(width / 255)
    return np.asarray(np.rint(np.clip((hu - np.float32(low)) / step, 0, 255)) * step + np.float32(low), np.float32)


def _gauss(image: Float, fwhm_mm: float, spacing_mm: tuple[float, float, float]) -> Float:
    sigma = (0.0, fwhm_mm / 2.355 / spacing_mm[1], fwhm_mm / 2.355 / spacing_mm[0])
    return gaussian(image, sigma, mode="nearest", truncate=2.5)

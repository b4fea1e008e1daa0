"""FLAIR, T1 and T2: undistorted, each with slices, shading, flow, motion and noise of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.fields import Float, gaussian, smooth_field, stretch
from StrokeSegLib.synth.mri_sequences import MriRanges
from StrokeSegLib.synth.mri_tissues import Tables, averaged, mixed, reference_signal
from StrokeSegLib.synth.placement import ScanGrid

STRUCTURAL = ("flair", "t1", "t2")
#: Sub-samples through a slice lie no further apart, mm, which is a label map's own voxel: with fewer, a border that
#: runs aslant through a thick slice turns into steps, and sulci into speckle.
SUB_SAMPLE_MM = 1.0
#: What a pixel averages over, as a Gaussian's sigma in pixels.
PIXEL_SIGMA = 0.35


@dataclass(frozen=True, eq=False)
class Scene:
    """What every sequence looks at: the head on the diffusion images' grid, and its states."""

    head: Head
    grid: ScanGrid
    tables: Tables
    weights: dict[str, Float]


def structural_image(
    rng: np.random.Generator, role: str, scene: Scene, noise: float, own_grids: bool, ranges: MriRanges
) -> tuple[ScanGrid, Float]:
    """FLAIR, T1 or T2: its own slices and in-plane grid, undistorted, with shading, flow, motion and noise."""
    grid = scene.grid
    extent = [(n - 1) * s for n, s in zip(grid.shape, grid.spacing_mm[::-1], strict=True)]
    volume_scan = role != "flair" and rng.random() < ranges.volume_scan_chance
    slice_mm = 1.0 if volume_scan else rng.uniform(*ranges.slice_mm)
    in_plane = 1.0 if volume_scan else rng.uniform(*ranges.in_plane_mm)
    # Resampled images are linear between the scan's slices; in the plane they are sampled where they will be needed.
    wanted = [slice_mm, in_plane, in_plane] if own_grids else [slice_mm, *grid.spacing_mm[1::-1]]
    if volume_scan and not own_grids:
        wanted[0] = grid.spacing_mm[2]
    size = [max(2, round(e / w) + 1) for e, w in zip(extent, wanted, strict=True)]
    shape = (size[0], size[1], size[2])
    head_mm = np.stack([stretch(axis, shape) for axis in grid.head_mm]) + rng.normal(0, 0.4, (3, 1, 1, 1))
    spacing = [e / (n - 1) for e, n in zip(extent, shape, strict=True)]
    own = replace(
        grid, shape=shape, spacing_mm=(spacing[2], spacing[1], spacing[0]), head_mm=head_mm.astype(np.float32)
    )
    thickness = slice_mm / own.spacing_mm[2]
    mean = averaged(scene.head, _slab(rng, own, thickness, in_plane), scene.tables, (role,))
    states = {name: stretch(w, shape) for name, w in scene.weights.items()}
    image = mixed(mean, role, states)
    if role == "flair" and rng.random() < ranges.flow_chance:
        low = np.linspace(1, 0, shape[0], dtype=np.float32)[:, None, None]
        flow = low * np.clip(smooth_field(rng, shape, own.spacing_mm, 12.0) - rng.uniform(0.8, 1.6), 0, 1)
        image = image + flow * mean["csf"] * np.float32(0.8 * reference_signal(mean["normal flair"], mean["white"]))
    image = image * np.exp(rng.uniform(*ranges.bias) * smooth_field(rng, shape, own.spacing_mm, rng.uniform(60, 150)))
    image = gaussian(image, (0, *_blur(rng.uniform(*ranges.psf_fwhm_pixel) * in_plane, own)))
    if rng.random() < ranges.motion_chance:
        image = image + rng.uniform(0.01, 0.06) * np.roll(image, int(rng.integers(3, 12)), axis=1)
    grain = rng.standard_normal((2, *shape), dtype=np.float32) * np.float32(noise)
    image = np.hypot(image + grain[0], grain[1])
    if own_grids:
        return own, image
    return grid, stretch(image, grid.shape)


def _blur(fwhm_mm: float, grid: ScanGrid) -> list[float]:
    """Sigma in pixels along ``j`` and ``i`` of a scan's sharpness together with a pixel's own width."""
    return [math.hypot(PIXEL_SIGMA, fwhm_mm / 2.355 / spacing) for spacing in grid.spacing_mm[1::-1]]


def _slab(rng: np.random.Generator, grid: ScanGrid, thickness: float, in_plane_mm: float) -> list[NDArray[np.float32]]:
    """Sub-samples over ``thickness`` (in slice distances) and a scan's own in-plane voxel."""
    count = max(2, math.ceil(thickness * grid.spacing_mm[2] / SUB_SAMPLE_MM))
    steps = [np.diff(grid.head_mm, axis=axis).mean(axis=(1, 2, 3), keepdims=True) for axis in (3, 2, 1)]
    factors = [in_plane_mm / grid.spacing_mm[0], in_plane_mm / grid.spacing_mm[1], thickness]
    result = []
    for n in range(count):
        offset = [rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), (n + 0.5) / count - 0.5]
        move = sum(o * f * s for o, f, s in zip(offset, factors, steps, strict=True))
        result.append((grid.head_mm + move).astype(np.float32))
    return result

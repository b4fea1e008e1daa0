"""Lesion occupancy on a scan's grid: real masks through the template, or procedural growth, showers and lacunes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.fields import Float, fractal_field, smooth_field
from StrokeSegLib.synth.lesions import LesionLibrary, LesionShape
from StrokeSegLib.synth.mri_ranges import DiffusionRanges
from StrokeSegLib.synth.placement import ScanGrid, lookup

#: Volumes drawn without a library: log-normal with this median (mL) and spread, clipped.
VOLUME_MEDIAN_ML, VOLUME_SIGMA, VOLUME_RANGE_ML = 8.0, 1.5, (0.05, 300.0)


def mask_from_library(
    rng: np.random.Generator, head: Head, library: LesionLibrary, positions_mm: list[NDArray[np.float32]]
) -> Float:
    """Occupancy 0..1 of one real lesion shape, moved, scaled and mirrored a little.

    Args:
        positions_mm: Where in the head the sub-samples of each voxel lie, a list of ``(3, K, J, I)``.
    """
    if head.to_template is None:
        raise ValueError("the head is not registered to the lesion template; call register_to_template first")
    shape = _choose_shape(rng, library)
    matrix, offset = head.to_template[:, :3], head.to_template[:, 3]
    # mm in the template, then back by this copy's own shift, scale and mirror image.
    scale = rng.uniform(0.85, 1.2, 3)
    middle = np.array(library.brain.shape[::-1]) / 2
    mirror = np.array([-1.0 if rng.random() < 0.5 else 1.0, 1.0, 1.0])
    own = np.diag(mirror / scale) @ matrix
    own_offset = mirror / scale * (offset - middle - rng.normal(0, 4, 3)) + middle
    corner = np.array(shape.corner[::-1], float)
    total = np.zeros(positions_mm[0].shape[1:], np.float32)
    for position in positions_mm:
        template = np.tensordot(own.astype(np.float32), position, 1)
        template += (own_offset - corner).astype(np.float32)[:, None, None, None]
        total += lookup(shape.mask, template, 1.0)
    return total / len(positions_mm)


def _choose_shape(rng: np.random.Generator, library: LesionLibrary) -> LesionShape:
    """A shape, small ones (under 5 mL) as often as all the others together."""
    small = rng.random() < 0.5
    for _ in range(50):
        shape = library.shapes[int(rng.integers(len(library.shapes)))]
        if (shape.volume_ml < 5.0) == small:
            break
    return shape


def grown(rng: np.random.Generator, grid: ScanGrid, parenchyma: Float, volume_ml: float | None = None) -> Float:
    """One lesion grown from a seed in the parenchyma, border roughened, to a volume (log-normal when not given)."""
    if volume_ml is None:
        volume_ml = float(
            np.clip(VOLUME_MEDIAN_ML * np.exp(rng.normal(0, VOLUME_SIGMA)), VOLUME_RANGE_ML[0], VOLUME_RANGE_ML[1])
        )
    inside = parenchyma > 0.5
    seeds = np.argwhere(inside)
    if len(seeds) == 0:
        return np.zeros(grid.shape, np.float32)
    seed = seeds[rng.integers(len(seeds))]
    center = grid.head_mm[:, seed[0], seed[1], seed[2]]
    offset = grid.head_mm - center[:, None, None, None]
    elongation = rng.uniform(0.7, 1.5, 3).astype(np.float32)
    cost = np.sqrt(np.tensordot(elongation**2, offset**2, 1))
    size_mm = (volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    cost *= np.exp(rng.uniform(0.1, 0.4) * fractal_field(rng, grid.shape, grid.spacing_mm, max(6.0, size_mm)))
    voxels = int(np.clip(volume_ml * 1000 / np.prod(grid.spacing_mm), 1, len(seeds) - 1))
    limit = np.partition(cost[inside], voxels)[voxels]
    return np.asarray((cost < limit) & inside, np.float32)


def shower(rng: np.random.Generator, grid: ScanGrid, parenchyma: Float, ranges: DiffusionRanges) -> Float:
    """Many small emboli: rough blobs, in one region or all over the brain. Occupancy 0..1."""
    total = np.zeros(grid.shape, np.float32)
    seeds = np.argwhere(parenchyma > 0.5)
    if len(seeds) == 0:
        return total
    if rng.random() < 0.5:  # one territory
        anchor = seeds[rng.integers(len(seeds))]
        step = np.array(grid.spacing_mm[::-1])
        near = np.linalg.norm((seeds - anchor) * step, axis=1) < rng.uniform(15, 50)
        seeds = seeds[near]
    rough = 1 + 0.35 * smooth_field(rng, grid.shape, grid.spacing_mm, 4.0)
    low, high = ranges.shower_count
    count = int(np.exp(rng.uniform(np.log(low), np.log(high))))
    for _ in range(count):
        seed = seeds[rng.integers(len(seeds))]
        radius_mm = rng.uniform(*ranges.shower_diameter_mm) / 2
        reach = np.ceil(1.6 * radius_mm / np.array(grid.spacing_mm[::-1])).astype(int)
        box = tuple(slice(max(0, c - r), min(n, c + r + 1)) for c, r, n in zip(seed, reach, grid.shape, strict=True))
        center = grid.head_mm[:, seed[0], seed[1], seed[2]]
        offset = grid.head_mm[(slice(None), *box)] - center[:, None, None, None]
        elongation = rng.uniform(0.6, 1.6, 3).astype(np.float32)
        distance = np.sqrt(np.tensordot(elongation**2, offset**2, 1))
        # A soft edge of one voxel keeps blobs that are smaller than a voxel from vanishing.
        softness = float(np.mean(grid.spacing_mm)) / 2
        blob = np.clip((radius_mm * rough[box] - distance) / softness + 0.5, 0, 1)
        total[box] = np.maximum(total[box], blob * np.float32(rng.uniform(0.5, 1.0)))
    return total

"""Heads and slabs with known truth for the tests of the CT systems: balls in balls, on any grid."""

from __future__ import annotations

import numpy as np

from StrokeSegLib.volume import Volume

SKULL_MM, SCALP_MM = 6.0, 6.0
#: HU of the parts.
BRAIN_HU, BONE, SCALP_HU, AIR = 34.0, 900.0, 40.0, -1000.0


def positions(
    spacing_mm: tuple[float, float, float], direction: np.ndarray, size_mm: tuple[float, float, float]
) -> tuple[Volume, np.ndarray]:
    """An empty volume centered on the origin, and the LPS position of each voxel, ``(K, J, I, 3)``."""
    size = [max(1, int(np.ceil(mm / s))) for mm, s in zip(size_mm, spacing_mm, strict=True)]
    center = (np.array(size) - 1) / 2 * np.array(spacing_mm)
    blank = Volume(np.zeros(size[::-1], np.float32), spacing_mm, tuple(-direction @ center), direction)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in size], indexing="ij"), axis=-1)
    return blank, blank.ijk_to_lps(index).transpose(2, 1, 0, 3)


def ball(position: np.ndarray, center: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    """Voxels whose center lies in a ball."""
    return np.linalg.norm(position - np.array(center), axis=-1) < radius_mm


def ct_head(
    spacing_mm: tuple[float, float, float] = (1.5, 1.5, 3.0),
    direction: np.ndarray | None = None,
    *,
    radius_mm: float = 60.0,
    skull: bool = True,
    dark_hu: float = 20.0,
    blood_hu: float | None = None,
    noise_hu: float = 0.0,
    size_mm: tuple[float, float, float] | None = None,
) -> tuple[Volume, np.ndarray, np.ndarray]:
    """A ball of brain with a dark ball (radius 15 mm) 30 mm to the left, a bright one to the right where asked for.

    Returns:
        The CT, a mask of the brain, and the labels (1 dark, 2 bright).
    """
    outer = radius_mm + SKULL_MM + SCALP_MM
    around = (2.3 * outer,) * 3 if size_mm is None else size_mm
    blank, position = positions(spacing_mm, np.eye(3) if direction is None else direction, around)
    brain = ball(position, (0, 0, 0), radius_mm)
    hu = np.full(brain.shape, AIR if skull else 0.0, np.float32)
    if skull:
        hu[ball(position, (0, 0, 0), outer)] = SCALP_HU
        hu[ball(position, (0, 0, 0), radius_mm + SKULL_MM)] = BONE
    hu[brain] = BRAIN_HU
    labels = np.zeros(brain.shape, np.uint8)
    labels[ball(position, (30, 0, 0), 15)] = 1
    hu[labels == 1] = dark_hu
    if blood_hu is not None:
        labels[ball(position, (-30, 0, 0), 12)] = 2
        hu[labels == 2] = blood_hu
    if noise_hu:
        noise = np.random.default_rng(0).normal(0, noise_hu, hu.shape).astype(np.float32)
        hu = hu + (noise if skull else noise * brain)
    return blank.with_array(hu), brain, labels


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks."""
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))

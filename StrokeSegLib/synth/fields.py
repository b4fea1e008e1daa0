"""Smooth random fields: the raw material of deformation, bias, texture and lesion shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from StrokeSegLib.synth.compute import Axis, compute
from StrokeSegLib.synth.compute import Float as Float  # noqa: PLC0414 (others take it from here)


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], scale_mm: float
) -> Float:
    """A random field of zero mean and unit standard deviation that varies over about ``scale_mm``.

    Args:
        shape: ``(K, J, I)`` of the result.
        spacing_mm: Voxel size along ``(i, j, k)``.
        scale_mm: Distance between the random control points, mm.
    """
    step = np.array(spacing_mm[::-1])
    coarse_shape = [max(2, int(np.ceil(n * s / scale_mm)) + 2) for n, s in zip(shape, step, strict=True)]
    coarse = rng.standard_normal(coarse_shape).astype(np.float32)
    field = stretch(coarse, shape)
    return np.asarray((field - field.mean()) / (field.std() + np.float32(1e-6)))


def stretch(coarse: Float, shape: tuple[int, int, int]) -> Float:
    """A coarse grid of control points stretched linearly over ``shape``, corner to corner, axis by axis."""
    axes: list[Axis] = []
    for size, n in zip(coarse.shape, shape, strict=True):
        position = np.linspace(0, size - 1, n, dtype=np.float32)
        low = np.minimum(position.astype(np.intp), size - 2)
        axes.append((low, position - low))
    return compute().linear(coarse, axes, np.float32)


def fractal_field(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], scale_mm: float
) -> Float:
    """Three octaves of smooth fields (``scale_mm``, half, quarter), zero mean and unit standard deviation."""
    total = np.zeros(shape, np.float32)
    for octave in range(3):
        total += smooth_field(rng, shape, spacing_mm, scale_mm / 2**octave) / 2**octave
    return np.asarray(total / (total.std() + np.float32(1e-6)))


def blur_mm(image: Float, spacing_mm: tuple[float, float, float], fwhm_mm: float) -> Float:
    """Gaussian blur with the same width in mm along every axis."""
    sigma = [fwhm_mm / 2.355 / s for s in spacing_mm[::-1]]
    return gaussian(image, sigma, mode="nearest", truncate=2.5)


def gaussian(image: Float, sigma: Sequence[float], mode: str = "reflect", truncate: float = 4.0) -> Float:
    """Gaussian blur; ``sigma`` in voxels, one an axis, 0 for none."""
    return compute().gaussian(image, sigma, mode, truncate)

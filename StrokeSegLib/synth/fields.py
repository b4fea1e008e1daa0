"""Smooth random fields: the raw material of deformation, bias, texture and lesion shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Float = NDArray[np.floating[Any]]


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
    field = coarse
    for axis, n in enumerate(shape):
        position = np.linspace(0, field.shape[axis] - 1, n, dtype=np.float32)
        low = np.minimum(position.astype(np.intp), field.shape[axis] - 2)
        weight = (position - low).reshape([-1 if a == axis else 1 for a in range(3)])
        field = np.take(field, low, axis) * (1 - weight) + np.take(field, low + 1, axis) * weight
    return field.astype(np.float32, copy=False)


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
    result: Float = ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=2.5)
    return result

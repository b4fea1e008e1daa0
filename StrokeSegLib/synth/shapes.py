"""Distances to simple bodies, and the folded pattern of a cortex: what a procedural head is built of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy import ndimage

from StrokeSegLib.synth.fields import Float


def sigmoid(value: Float) -> Float:
    """1 far above 0, 0 far below."""
    result: Float = 0.5 + 0.5 * np.tanh(0.5 * value)
    return result


def ellipsoid_depth(x: Float, y: Float, z: Float, radii: tuple[float, float, float]) -> Float:
    """Approximate depth (mm) under the surface of an ellipsoid at the origin, positive inside."""
    r = np.sqrt((x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2)
    return np.asarray((1 - r) * min(radii), np.float32)


def turned(x: Float, y: Float, degrees: float) -> tuple[Float, Float]:
    """Coordinates in a frame turned in the axial plane: a body's own axes."""
    c, s = np.float32(np.cos(np.radians(degrees))), np.float32(np.sin(np.radians(degrees)))
    return c * x + s * y, c * y - s * x


def tube_depth(x: Float, y: Float, z: Float, points: Sequence[tuple[float, float, float, float]]) -> Float:
    """Depth (mm) in a tube along ``points`` (x, y, z, radius), positive inside; far away a large negative number."""
    depth = np.full(x.shape, -99.0, np.float32)
    reach = 6 + max(p[3] for p in points)
    for a, b in pairwise(points):
        low, high = np.minimum(a[:3], b[:3]) - reach, np.maximum(a[:3], b[:3]) + reach
        near = (x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1]) & (z > low[2]) & (z < high[2])
        at = np.flatnonzero(near)
        along = [np.float32(b[n] - a[n]) for n in range(3)]
        offset = [x[at] - np.float32(a[0]), y[at] - np.float32(a[1]), z[at] - np.float32(a[2])]
        dot = sum(o * d for o, d in zip(offset, along, strict=True))
        t = np.clip(dot / np.float32(sum(d * d for d in along)), 0, 1)
        square = sum((o - t * d) ** 2 for o, d in zip(offset, along, strict=True))
        depth[at] = np.maximum(depth[at], a[3] + t * np.float32(b[3] - a[3]) - np.sqrt(square))
    return depth


def fold_distance(
    rng: np.random.Generator, surface: tuple[Float, Float, Float], normal: tuple[Float, Float, Float], wave_mm: float
) -> Float:
    """Distance (mm, at most ``wave_mm / 4``) along a surface to the nearest line of a labyrinth of lines.

    The lines are the zeros of random waves of one length; neighbors lie about ``wave_mm / 2`` apart, as sulci do.

    Args:
        surface: Points on the surface (x, y, z), mm.
        normal: The unit normals there.
        wave_mm: Length of the waves.
    """
    step = wave_mm / 9
    low = [float(p.min()) - 2 * step for p in surface]
    shape = [int((float(p.max()) - a) / step) + 3 for p, a in zip(surface, low, strict=True)]
    square = sum(np.meshgrid(*[np.fft.fftfreq(n, step) ** 2 for n in shape], indexing="ij", sparse=True))
    ring = np.exp(-0.5 * ((np.sqrt(square) * wave_mm - 1) / 0.12) ** 2)
    waves = np.fft.ifftn(np.fft.fftn(rng.standard_normal(shape)) * ring).real.astype(np.float32)
    index = [(p - np.float32(a)) / np.float32(step) for p, a in zip(surface, low, strict=True)]
    value, *slopes = (
        ndimage.map_coordinates(field, index, order=1, mode="nearest") for field in (waves, *np.gradient(waves, step))
    )
    radial = sum(g * n for g, n in zip(slopes, normal, strict=True))
    slope = np.sqrt(sum((g - radial * n) ** 2 for g, n in zip(slopes, normal, strict=True)))
    # The phase of a wave; value / slope alone would grow without bound at the crests.
    length = np.float32(wave_mm / (2 * np.pi))
    return np.asarray(length * np.arctan2(np.abs(value), slope * length + 1e-9), np.float32)

"""The sampling grid of one scan: which point of the head each voxel looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from StrokeSegLib.synth.anatomy import BRAIN, Head
from StrokeSegLib.synth.compute import compute
from StrokeSegLib.synth.fields import stretch


@dataclass(frozen=True, eq=False)
class ScanGrid:
    """A scan's voxel grid over a head.

    Attributes:
        shape: ``(K, J, I)``.
        spacing_mm: ``(i, j, k)``.
        direction: 3x3, LPS, of the scan (its tilt).
        origin: mm, LPS, of voxel 0; the head's brain center lies at 0.
        head_mm: float32 ``(3, K, J, I)``: where in the head (x, y, z in mm from the head's voxel 0) each voxel's center
            lies, deformation included.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    direction: NDArray[np.float64]
    origin: tuple[float, float, float]
    head_mm: NDArray[np.float32]


def place(
    rng: np.random.Generator,
    head: Head,
    spacing_mm: tuple[float, float, float],
    *,
    tilt_degrees: float,
    scale: float,
    warp_mm: float,
    margin_mm: float = 12.0,
) -> ScanGrid:
    """A scan grid that covers the brain, tilted about the left-right axis, over a scaled and warped head."""
    inside = np.isin(head.tissue, BRAIN)
    spans = [np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis))) for axis in (2, 1, 0)]
    low = np.array([s[0] for s in spans], float) * head.spacing_mm
    high = np.array([s[-1] for s in spans], float) * head.spacing_mm
    center = (low + high) / 2
    stretch_xyz = scale * rng.uniform(0.95, 1.05, 3)
    tilt = Rotation.from_euler("xyz", [tilt_degrees, rng.normal(0, 4), rng.normal(0, 4)], degrees=True).as_matrix()
    # The tilted box has to be a little larger than the brain's own.
    extent = (high - low) * stretch_xyz
    extent[1:] += np.abs(np.sin(np.radians(tilt_degrees))) * extent[[2, 1]] * 0.5
    extent += 2 * margin_mm
    step = np.array(spacing_mm)
    size = np.maximum(np.ceil(extent / step).astype(int), 8)
    if rng.random() < 0.15:  # partial coverage: slices missing below or above
        size[2] = max(6, int(size[2] * rng.uniform(0.5, 0.95)))
    shift = rng.uniform(-6, 6, 3)
    shape = (int(size[2]), int(size[1]), int(size[0]))
    origin = tilt @ (-(size - 1) / 2 * step) + shift

    # Control points about every 20 mm: corner-to-corner stretching keeps the affine part exact.
    nodes = [max(3, int(np.ceil(n * s / 20))) for n, s in zip(shape, step[::-1], strict=True)]
    index = np.stack(np.meshgrid(*[np.linspace(0, n - 1, m) for n, m in zip(shape, nodes, strict=True)], indexing="ij"))
    ijk = index[::-1].reshape(3, -1) * step[:, None]
    lps = tilt @ ijk + origin[:, None]
    source = lps / stretch_xyz[:, None] + center[:, None]
    source = source.reshape(3, *nodes) + rng.normal(0, warp_mm, (3, *nodes))
    head_mm = np.stack([stretch(axis.astype(np.float32), shape) for axis in source])
    return ScanGrid(shape, spacing_mm, tilt, (float(origin[0]), float(origin[1]), float(origin[2])), head_mm)


def lookup(array: NDArray[np.uint8], position_mm: NDArray[np.float32], spacing_mm: float) -> NDArray[np.uint8]:
    """Nearest values of ``array`` at positions ``(3, ...)`` in mm (x, y, z); 0 outside."""
    return compute().lookup(array, position_mm, spacing_mm)

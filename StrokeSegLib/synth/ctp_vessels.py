"""Large arteries and veins painted into a head's tissue map: bright in CBF and CBV, and where inputs are measured."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.anatomy import Head, Tissue
from StrokeSegLib.synth.ctp_ranges import ARTERY, VEIN

#: Courses as points in the box around the cortex: off the midline (0 to 0.5), front to back, bottom to top.
#: Each with its value, its radius in mm, and whether it has a mirror image.
COURSES: tuple[tuple[int, float, bool, tuple[tuple[float, float, float], ...]], ...] = (
    (ARTERY, 1.8, True, ((0.07, 0.41, 0.16), (0.08, 0.40, 0.24), (0.20, 0.38, 0.24), (0.32, 0.42, 0.28))),  # ICA, M1
    (ARTERY, 1.2, True, ((0.32, 0.42, 0.28), (0.36, 0.40, 0.42), (0.41, 0.44, 0.56), (0.45, 0.50, 0.62))),  # M2
    (ARTERY, 1.2, True, ((0.32, 0.42, 0.28), (0.36, 0.52, 0.38), (0.42, 0.62, 0.48), (0.44, 0.74, 0.52))),
    (ARTERY, 1.3, True, ((0.08, 0.40, 0.24), (0.02, 0.33, 0.26), (0.01, 0.16, 0.36), (0.01, 0.14, 0.52))),  # ACA
    (ARTERY, 1.0, True, ((0.01, 0.14, 0.52), (0.01, 0.22, 0.66), (0.01, 0.42, 0.74), (0.01, 0.60, 0.74))),
    (ARTERY, 1.3, True, ((0.01, 0.50, 0.20), (0.11, 0.55, 0.22), (0.12, 0.66, 0.26), (0.07, 0.86, 0.36))),  # PCA
    (ARTERY, 1.7, False, ((0.0, 0.47, -0.05), (0.0, 0.48, 0.10), (0.0, 0.50, 0.20))),  # basilar
    (VEIN, 2.4, False, ((0.0, 0.03, 0.45), (0.0, 0.10, 0.75), (0.0, 0.30, 0.95), (0.0, 0.50, 1.01), (0.0, 0.72, 0.96),
                        (0.0, 0.93, 0.70), (0.0, 1.00, 0.42))),  # superior sagittal sinus
    (VEIN, 2.4, True, ((0.0, 1.00, 0.40), (0.18, 0.97, 0.28), (0.36, 0.82, 0.20), (0.40, 0.68, 0.14))),  # transverse
    (VEIN, 1.6, False, ((0.0, 0.62, 0.42), (0.0, 0.75, 0.42), (0.0, 0.98, 0.41))),  # vein of Galen, straight sinus
)  # fmt: skip
#: How far the points are moved at random, part of the box.
JITTER = 0.012


def with_vessels(rng: np.random.Generator, head: Head) -> NDArray[np.uint8]:
    """The head's tissue map with ``ARTERY`` and ``VEIN`` voxels painted in, different for each state of ``rng``."""
    painted = head.tissue.copy()
    where = np.isin(head.tissue, (Tissue.CORTEX, Tissue.WHITE_MATTER))
    spans = [np.flatnonzero(where.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if any(len(span) == 0 for span in spans):
        return painted
    low = np.array([span[0] for span in spans], float)
    size = np.array([span[-1] for span in spans], float) - low
    for value, radius_mm, mirrored, course in COURSES:
        for side in (-1, 1) if mirrored else (1,):
            points = np.array([(z, y, 0.5 + side * x) for x, y, z in course])
            points = low + (points + rng.normal(0, JITTER, points.shape)) * size
            _paint_tube(painted, points, radius_mm * rng.uniform(0.8, 1.2) / head.spacing_mm, value)
    return painted


def _paint_tube(tissue: NDArray[np.uint8], points: NDArray[np.float64], radius: float, value: int) -> None:
    """Balls along a polyline, all in voxels ``(k, j, i)``; bone stays bone."""
    ball = _ball(round(max(radius, 0.7), 2))
    for start, end in pairwise(points):
        steps = max(2, int(np.linalg.norm(end - start)))
        line = start + np.linspace(0, 1, steps)[:, None] * (end - start)
        at = (np.rint(line).astype(int)[:, None] + ball[None]).reshape(-1, 3)
        at = at[((at >= 0) & (at < tissue.shape)).all(axis=1)]
        index = tuple(at.T)
        soft = (tissue[index] != Tissue.BONE) & (tissue[index] != Tissue.AIR)
        tissue[tuple(at[soft].T)] = value


@cache
def _ball(radius: float) -> NDArray[np.int64]:
    reach = int(np.ceil(radius))
    axis = np.arange(-reach, reach + 1)
    offsets = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    near: NDArray[np.int64] = offsets[(offsets**2).sum(axis=1) <= radius**2]
    return near

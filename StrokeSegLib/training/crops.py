"""Cutting samples out of prepared cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.inference.windows import slice_stack
from StrokeSegLib.training.dataset import TrainingCase
from StrokeSegLib.training.source import Cases

Sample = tuple[NDArray[np.float32], NDArray[np.float32]]
#: Axis of the working grid that a plane's slices lie across.
AXES = {"axial": 0, "coronal": 1, "sagittal": 2}


def any_case(cases: Cases, rng: np.random.Generator) -> int:
    """The number of a case, all alike."""
    return int(rng.integers(len(cases)))


def center_voxel(cases: Cases, n: int, rng: np.random.Generator, lesion_chance: float) -> NDArray[np.int64]:
    """A voxel ``(k, j, i)`` of a case: of its lesion with ``lesion_chance``, else of its brain, or the middle."""
    index = cases.index[n]
    points = index.lesion if len(index.lesion) and rng.random() < lesion_chance else index.brain
    if not len(points):
        return np.array(cases[n].brain.shape) // 2
    voxel: NDArray[np.int64] = points[int(rng.integers(len(points)))].astype(np.int64)
    return voxel


def slice_sample(case: TrainingCase, plane: str, number: int, neighbors: int) -> Sample:
    """A slice with its neighbors, ``(C * (2 n + 1), H, W)``, and its truth ``(L, H, W)``, whole.

    Coronal slices are (k, i), sagittal ones (k, j).
    """
    axis = AXES[plane]
    channels = np.moveaxis(case.channels, axis + 1, 1)
    x = slice_stack(channels, number, neighbors)
    y = np.moveaxis(case.target, axis + 1, 1)[:, number]
    return np.asarray(x, np.float32), y.astype(np.float32) / np.float32(255)


def window_sample(case: TrainingCase, starts: Sequence[int], size: Sequence[int]) -> Sample:
    """A window ``(C, *size)`` and its truth ``(L, *size)``; beyond the case both are 0."""
    x, y = cut(case.channels, starts, size), cut(case.target, starts, size)
    return np.asarray(x, np.float32), y.astype(np.float32) / np.float32(255)


def near_window(
    rng: np.random.Generator, shape: Sequence[int], center: Sequence[int] | NDArray[Any], size: Sequence[int]
) -> list[int]:
    """First voxels of a window with ``center`` anywhere in its middle two thirds, pushed inside the case if it fits."""
    starts = []
    for n, c, w in zip(shape, center, size, strict=True):
        away = int(rng.integers(-(w // 3), w // 3 + 1))
        starts.append(min(max(int(c) - w // 2 + away, 0), max(n - w, 0)))
    return starts


def centered(sample: Sample, center: Sequence[int] | NDArray[Any], size: Sequence[int]) -> Sample:
    """A 2D or 3D window of a whole sample around a voxel; beyond it lies background, each channel's minimum."""
    x, y = sample
    starts = [int(c) - s // 2 for c, s in zip(center, size, strict=True)]
    fill = channel_minimum(x) if _reaches_out(x.shape[1:], starts, size) else None
    return cut(x, starts, size, fill), cut(y, starts, size)


def cut(
    array: NDArray[Any], starts: Sequence[int], size: Sequence[int], fill: NDArray[Any] | None = None
) -> NDArray[Any]:
    """A window of ``(C, *spatial)``; where it reaches out, ``fill`` (one a channel, 0 when None)."""
    spatial = array.shape[1:]
    inside = [slice(min(n, max(0, s)), max(0, min(n, s + w))) for s, w, n in zip(starts, size, spatial, strict=True)]
    if not _reaches_out(spatial, starts, size):
        window: NDArray[Any] = array[:, *inside]
        return window
    out = np.zeros((array.shape[0], *size), array.dtype)
    if fill is not None:
        out[:] = fill.reshape(-1, *[1] * len(spatial))
    if all(s.stop > s.start for s in inside):
        out[:, *[slice(s.start - a, s.stop - a) for s, a in zip(inside, starts, strict=True)]] = array[:, *inside]
    return out


def channel_minimum(array: NDArray[Any]) -> NDArray[Any]:
    """Smallest value of each channel ``(C,)``."""
    smallest: NDArray[Any] = array.reshape(array.shape[0], -1).min(axis=1)
    return smallest


def _reaches_out(shape: Sequence[int], starts: Sequence[int], size: Sequence[int]) -> bool:
    return any(s < 0 or s + w > n for s, w, n in zip(starts, size, shape, strict=True))

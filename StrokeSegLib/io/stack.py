"""Puts a stack of parallel slices on a regular grid: as it is where it can be, resampled where the gantry was tilted
(each slice shifted in its plane against the last) or the gaps are uneven.

The slices keep their in-plane axes and pixel size; k becomes their normal. Nothing is rotated, so a value is blended
along the stack from two slices and along the plane from four pixels, one output slice at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.volume import Volume

#: Slices this close to their place on a regular grid are on it: half of the 0.1 mm that positions are held to.
ON_GRID_MM = 0.05
#: Shifts beyond this part of the image are not a tilted stack but a broken header.
_MAX_SHIFT = 1.0
#: At most this many output slices for one that was read, however small the finest gaps are.
_MAX_SLICES_RATIO = 4

Floats = NDArray[np.float64]


def stack_to_volume(
    slices: NDArray[Any], positions: Floats, axes: Floats, spacing_ij_mm: tuple[float, float], thickness_mm: float
) -> tuple[Volume, str | None]:
    """The volume of a stack, and a sentence about resampling if it was needed.

    Args:
        slices: Shape ``(K, J, I)``, sorted along the normal.
        positions: Shape ``(K, 3)``, center of each slice's first pixel, mm, LPS; strictly increasing along the normal.
        axes: Shape ``(3, 3)``, columns are the unit directions of i and j and their normal k, LPS.
        spacing_ij_mm: Pixel size along i and j.
        thickness_mm: k spacing of a single slice, which has no gap to tell it.

    Raises:
        InputError: The slices are shifted against each other by more than the image is wide.
    """
    in_stack = (positions - positions[0]) @ axes  # (K, 3): shift along i, shift along j, height along k; mm
    heights, count = in_stack[:, 2], len(positions)
    step = heights[-1] / (count - 1) if count > 1 else thickness_mm
    drift_mm = float(np.abs(in_stack[:, :2]).max())
    uneven_mm = float(np.abs(heights - step * np.arange(count)).max())
    if max(drift_mm, uneven_mm) <= ON_GRID_MM:
        return Volume(slices, (*spacing_ij_mm, step), tuple(positions[0]), axes), None
    volume = _resampled(slices, in_stack, positions[0], axes, spacing_ij_mm)
    return volume, _warning(in_stack, drift_mm, uneven_mm, count, volume)


def output_step_mm(heights: Floats) -> float:
    """Slice spacing for an uneven stack: the lower quartile of its gaps, stretched so that both ends are hit.

    The quartile keeps the detail of the finely cut part (the median may belong to the coarse one) and, unlike the
    smallest gap, is not ruled by one odd pair of slices.
    """
    gaps = np.diff(heights)
    wanted = max(float(np.quantile(gaps, 0.25, method="lower")), heights[-1] / (_MAX_SLICES_RATIO * len(heights)))
    return float(heights[-1] / max(1, round(heights[-1] / wanted)))


def _resampled(
    slices: NDArray[Any], in_stack: Floats, first: Floats, axes: Floats, spacing_ij_mm: tuple[float, float]
) -> Volume:
    heights = in_stack[:, 2]
    step = output_step_mm(heights)
    wanted = step * np.arange(round(heights[-1] / step) + 1)
    # Height and shift of every output slice, in units of input slices (fractional k) and pixels (i, j).
    k = np.interp(wanted, heights, np.arange(len(heights)))
    shift = np.stack([np.interp(wanted, heights, in_stack[:, a]) / spacing_ij_mm[a] for a in (0, 1)], axis=1)
    low = np.floor(shift.min(axis=0) + 1e-6).astype(int)
    grow = np.ceil(shift.max(axis=0) - 1e-6).astype(int) - low
    if np.any(grow > _MAX_SHIFT * np.array(slices.shape[:0:-1])):
        raise InputError(
            f"its slices are shifted against each other by {grow.tolist()} pixels, more than the image is wide: "
            f"one stack of parallel slices is needed"
        )
    rows, columns = slices.shape[1] + grow[1], slices.shape[2] + grow[0]
    out = np.full((len(wanted), rows, columns), slices.min(), slices.dtype)  # outside is air
    for index, (at, (di, dj)) in enumerate(zip(k, shift - low, strict=True)):
        below = min(int(at), len(slices) - 1)
        part = at - below
        blended = slices[below].astype(np.float32)
        if part > 0:
            blended *= 1 - part
            blended += np.float32(part) * slices[below + 1]
        _place(out[index], blended, float(di), float(dj))
    origin = first + axes[:, 0] * low[0] * spacing_ij_mm[0] + axes[:, 1] * low[1] * spacing_ij_mm[1]
    return Volume(out, (*spacing_ij_mm, step), tuple(origin), axes)


def _place(out: NDArray[Any], image: NDArray[np.float32], di: float, dj: float) -> None:
    """Writes ``image`` into ``out`` shifted by (di, dj) >= 0 pixels, linearly; pixels it does not reach are kept."""
    for axis, shift in ((0, dj), (1, di)):
        part = np.float32(shift - int(shift))
        if part > 1e-6:  # output pixel n lies at n - part of the image: between n - 1 and n
            image = (1 - part) * np.delete(image, 0, axis) + part * np.delete(image, -1, axis)
    rows, columns = image.shape
    top, left = int(np.ceil(dj - 1e-6)), int(np.ceil(di - 1e-6))
    if out.dtype.kind != "f":
        image = np.rint(image)
    out[top : top + rows, left : left + columns] = image


def _warning(in_stack: Floats, drift_mm: float, uneven_mm: float, count: int, volume: Volume) -> str:
    causes = []
    if drift_mm > ON_GRID_MM:
        lean = np.degrees(np.arctan2(np.linalg.norm(in_stack[-1, :2]), in_stack[-1, 2]))
        causes.append(f"a tilted stack ({lean:.1f} degrees, as from a tilted gantry)")
    if uneven_mm > ON_GRID_MM:
        gaps = np.diff(in_stack[:, 2])
        causes.append(f"uneven gaps between slices ({gaps.min():.2f} to {gaps.max():.2f} mm)")
    return (
        f"has {' and '.join(causes)}: its {count} slices were resampled to a regular grid of "
        f"{len(volume.array)} slices every {volume.spacing_mm[2]:.2f} mm"
    )

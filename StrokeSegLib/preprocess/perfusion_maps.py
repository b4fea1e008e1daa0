"""CT perfusion maps: their units, the brain that they show, and their range for a network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.preprocess.ct_brain import BONE_HU, STRIPPED_BONE_FRACTION, ct_brain_mask

#: A delay cannot exceed the length of the scan (45-90 s); a 99th percentile above this is in other units, s.
LONGEST_SCAN_S = 100.0
#: Units of the maps in time: the divisor to seconds, and the name.
TIME_UNITS = ((1.0, "s"), (10.0, "0.1 s"), (1000.0, "ms"))
#: Medians over a brain that are plausible. CBF in mL/100 g/min, CBV in mL/100 g, MTT and Tmax in s.
PLAUSIBLE_MEDIANS = {"cbf": (5.0, 150.0), "cbv": (0.5, 20.0), "mtt": (1.0, 25.0), "tmax": (0.0, 20.0)}
UNITS = {"cbf": "mL/100 g/min", "cbv": "mL/100 g", "mtt": "s", "tmax": "s"}

Maps = Mapping[str, NDArray[np.float32]]


def perfusion_brain(
    part: NDArray[np.float32], ct_hu: NDArray[np.float32] | None, spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """The brain: where the maps have values, filled; inside the skull where the CT shows one.

    Args:
        part: How much of each voxel has values, 0 to 1, ``(K, J, I)``.
        ct_hu: The CT on the same grid, or None.
        spacing_mm: Along ``(i, j, k)``, mm.

    Raises:
        InputError: The maps are empty.
    """
    shown = part > 0.5
    shown = ndimage.binary_closing(np.pad(shown, ((0, 0), (3, 3), (3, 3))), np.ones((1, 3, 3), bool))[:, 3:-3, 3:-3]
    mask = np.stack([ndimage.binary_fill_holes(plane) for plane in shown])
    if ct_hu is not None and (ct_hu > BONE_HU).sum() > STRIPPED_BONE_FRACTION * max(int(mask.sum()), 1):
        inside = ct_brain_mask(ct_hu, spacing_mm)
        # A CT that shows bone but no brain (a slab below the skull base) says nothing.
        if (inside & mask).sum() > 0.3 * mask.sum():
            mask = mask & inside
    if not mask.any():
        raise InputError("the maps show no brain: cbf and cbv have no value above 0; check the inputs and their roles")
    return mask


def time_divisor(values: NDArray[np.float32]) -> tuple[float, str]:
    """What a map of times is to be divided by to be in seconds, and the name of its unit."""
    high = float(np.percentile(values, 99)) if values.size else 0.0
    for divisor, name in TIME_UNITS:
        if high <= LONGEST_SCAN_S * divisor:
            return divisor, name
    return TIME_UNITS[-1]


def to_seconds(
    maps: Maps, brain: NDArray[np.bool_]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, str], list[str]]:
    """The maps with MTT and Tmax in seconds, notes on their units, and warnings about what is implausible."""
    result, notes, warnings = dict(maps), {}, []
    for role in ("mtt", "tmax"):
        divisor, unit = time_divisor(maps[role][brain])
        notes[f"{role}_unit"] = unit
        if divisor != 1:
            result[role] = maps[role] / np.float32(divisor)
            warnings.append(
                f"{role} was taken to be in {unit}, since its values exceed the length of any scan in seconds"
            )
    for role, (low, high) in PLAUSIBLE_MEDIANS.items():
        median = float(np.median(result[role][brain]))
        if not low <= median <= high:
            warnings.append(
                f"{role} has a median of {median:.3g} in the brain, expected {low:g} to {high:g} {UNITS[role]}: "
                "check its unit and its role"
            )
    late, transit = (float(np.median(result[role][brain])) for role in ("tmax", "mtt"))
    if late > transit:
        warnings.append(
            f"tmax has a larger median in the brain than mtt ({late:.3g} and {transit:.3g} s), as hardly any has: "
            "check that mtt and tmax are not swapped"
        )
    return result, notes, warnings

"""Hematoma expansion by its usual definition."""

from __future__ import annotations

from dataclasses import dataclass

from StrokeSegLib.errors import InputError

#: Growth of the hemorrhage from which it counts as expanded, either of the two: Dowlatshahi et al., Neurology
#: 2011;76:1238-1244; Brouwers et al., Lancet Neurol 2014;13:364-371 (who ask for more than these).
EXPANSION_ML, EXPANSION_PART = 6.0, 0.33
#: Volumes are sums of many voxels: this much below a limit counts as on it.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Expansion:
    """Whether a hemorrhage has expanded.

    Attributes:
        before_ml, after_ml: Its volume on the two scans, mL.
        change_ml: After minus before.
        change_percent: Of the volume before; None where there was no hemorrhage before.
        by_volume: It grew by 6 mL or more.
        by_part: It grew by 33% or more.
        expanded: Either of the two; None where there was no hemorrhage before: then it is new, not expanded.
    """

    before_ml: float
    after_ml: float
    change_ml: float
    change_percent: float | None
    by_volume: bool
    by_part: bool
    expanded: bool | None


def hematoma_expansion(before_ml: float, after_ml: float) -> Expansion:
    """Applies the definition to two volumes of parenchymal hemorrhage.

    Raises:
        InputError: A volume is negative.
    """
    if before_ml < 0 or after_ml < 0:
        raise InputError(f"a volume must be 0 mL or more, got {before_ml} and {after_ml}")
    change = after_ml - before_ml
    if before_ml == 0:
        return Expansion(before_ml, after_ml, change, None, False, False, None)
    by_volume = change >= EXPANSION_ML - _ROUNDING
    by_part = change >= EXPANSION_PART * before_ml - _ROUNDING
    return Expansion(before_ml, after_ml, change, 100 * change / before_ml, by_volume, by_part, by_volume or by_part)

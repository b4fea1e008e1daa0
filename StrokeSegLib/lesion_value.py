"""The image whose mean over a lesion says something to a reader: HU of a CT, the ADC of an MRI."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from StrokeSegLib.preprocess.intensity import ADC_UNITS

#: The unit in which ADCs are read, whatever the map is in.
ADC_READ_AS = "10⁻⁶ mm²/s"
#: From um2/ms to it.
ADC_READ_FACTOR = 1000.0


@dataclass(frozen=True)
class LesionValue:
    """``lesion_value`` of measurements.json.

    Attributes:
        role: The input whose mean is taken.
        unit: Of the mean.
        scale: The input's own values times this are in ``unit``.
    """

    role: str
    unit: str
    scale: float


def lesion_value(roles: Collection[str], notes: Mapping[str, Any]) -> LesionValue | None:
    """Which image to take the mean of; None where no input holds a quantity.

    Args:
        roles: Of the inputs.
        notes: Of the preparation: ``adc_unit``, the unit that was recognized.
    """
    powers = {name: power for power, name in ADC_UNITS.items()}
    if "adc" in roles and notes.get("adc_unit") in powers:  # in another unit than these, it may be no ADC at all
        return LesionValue("adc", ADC_READ_AS, ADC_READ_FACTOR * 10.0 ** powers[notes["adc_unit"]])
    return LesionValue("ct", "HU", 1.0) if "ct" in roles else None

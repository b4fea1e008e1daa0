"""In which arithmetic a network may run: half precision only where the model's card says that agreement was measured.

``inference_settings`` of a card: ``"precision": ["fp32", "bf16"]``. Measured means: over real and generated cases the
Dice differs from that of fp32 by at most 0.002, the volume by at most 0.5% or 0.05 mL
(Testing/benchmarks/agreement.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from StrokeSegLib.errors import InputError

#: fp32 is the reference and always permitted.
PRECISIONS = ("fp32", "bf16", "fp16")


def permitted_precisions(inference_settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The precisions that a card permits, fp32 among them.

    Raises:
        InputError: The card names one that is unknown.
    """
    named = inference_settings.get("precision", ["fp32"])
    unknown = [str(each) for each in named if each not in PRECISIONS]
    if unknown or isinstance(named, str):
        raise InputError(
            f"inference_settings: precision is {named!r}; needed a list of {', '.join(PRECISIONS)}; repair model.json"
        )
    return tuple(each for each in PRECISIONS if each == "fp32" or each in named)

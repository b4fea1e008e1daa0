"""Several b-values in one DICOM series, as in ordinary clinical DWI: each is a volume, named ``SERIES_UID:b1000``."""

from __future__ import annotations

from collections.abc import Sequence

from StrokeSegLib.io.dicom_header import Slice


def volumes_of(uid: str, slices: Sequence[Slice]) -> dict[str, list[Slice]]:
    """The slices of a series by name: its UID, or one name a b-value where several share its places, highest first."""
    whole = {uid: list(slices)}
    places = {tuple(round(mm, 2) for mm in item.position) for item in slices}
    if len(places) == len({item.instance or str(item.path) for item in slices}):
        return whole
    values = sorted({item.b_value for item in slices}, key=lambda value: float(value or -1), reverse=True)
    if len(values) == 1:
        return whole
    return {f"{uid}:b{value}": [item for item in slices if item.b_value == value] for value in values}


def description_of(name: str, description: str) -> str:
    """What people call a volume: the description of its series, and its b-value where the series has several."""
    _uid, several, b_value = name.partition(":")
    return f"{description} {b_value}".strip() if several else description

"""What scanners and tools write where nothing was measured: told by the image's border, and 0 to all that follows.

Such a value (-1, -4096, the largest that a file can hold) is no measurement: a network that is shown an ADC of 4 around
the head has never seen such a patient, and where the image is resampled it would run into the brain.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.volume import Volume

#: Part of the image that has the value.
PADDING_FRACTION = 0.1
#: Images with more below 0 than this part, padding aside, are centered on 0 and have no air at 0.
CENTERED_FRACTION = 0.3
#: A positive value up to this part of the bright ones (percentile 95) may be the noise floor of whole numbers.
NOISE_PART = 0.2


def border_value(array: NDArray[Any]) -> float | None:
    """The most frequent value on the border of the slices, None where it is not frequent in the whole image.

    Args:
        array: ``(K, J, I)``.
    """
    border = np.concatenate([side.ravel() for side in (array[:, 0], array[:, -1], array[:, :, 0], array[:, :, -1])])
    values, counts = np.unique(evenly(border, 100_000), return_counts=True)
    value = values[counts.argmax()]
    return float(value) if (evenly(array) == value).mean() > PADDING_FRACTION else None


def without_padding(volume: Volume, role: str) -> tuple[Volume, str]:
    """The image with 0 where it has its padding, and a sentence about it; itself and nothing where it has none but 0.

    Args:
        role: A CT is left as it is: its air is no padding, and what may lie around a brain is looked for there.
    """
    value = None if role == "ct" else border_value(volume.array)
    if value is None or value == 0:
        return volume, ""
    rest = evenly(volume.array)
    rest = rest[rest != value]
    bright = rest[rest > 0]
    if bright.size == 0 or (rest < 0).mean() > CENTERED_FRACTION:
        return volume, ""
    if 0 < value <= NOISE_PART * float(np.percentile(bright, 95)):
        return volume, ""
    padding = volume.array == value
    said = f"{100 * padding.mean():.0f}% of its voxels have the value {value:g}, also at the image's border"
    return volume.with_array(np.where(padding, volume.array.dtype.type(0), volume.array)), (
        f"{said}: taken for not measured and set to 0"
    )


def evenly(array: NDArray[Any], count: int = 1_000_000) -> NDArray[Any]:
    """About this many evenly spread values at most."""
    return np.asarray(array).ravel()[:: max(1, array.size // count)]

"""The three ways of bringing a head CT to a network's range, over the brain alone.

The image may hold any units (the system clips HU first); the result is float32 of the same shape. A brain of one value
throughout gives zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError

Image = NDArray[Any]
Brain = NDArray[np.bool_]


def minmax_brain(image: Image, brain: Brain) -> NDArray[np.float32]:
    """The brain's minimum to 0, its maximum to 1, background 0.

    Args:
        image: ``(K, J, I)``.
        brain: The same shape.

    Raises:
        InputError: The brain is empty, or the shapes differ.
    """
    _check(image, brain)
    scaled = _minmax(image.astype(np.float32), brain)
    scaled[~brain] = 0
    return scaled


def zscore_minmax_grey(image: Image, brain: Brain) -> NDArray[np.float32]:
    """Standardized, then scaled to 0-1, as the paper of the non-contrast CT system says.

    Inside the brain this equals ``minmax_brain``, since standardizing is undone by the scaling. What differs is the
    background: it is 0 in between, the brain's mean, and so ends up grey.

    Args:
        image: ``(K, J, I)``.
        brain: The same shape.

    Raises:
        InputError: The brain is empty, or the shapes differ.
    """
    standard = _standardized(image, brain)
    return _minmax(standard, brain)


def zscore(image: Image, brain: Brain, clip: float = 5.0) -> NDArray[np.float32]:
    """Standard deviations from the brain's mean, clipped to ``-clip .. clip``, background 0.

    Args:
        image: ``(K, J, I)``.
        brain: The same shape.

    Raises:
        InputError: The brain is empty, or the shapes differ.
    """
    standard = _standardized(image, brain)
    return np.clip(standard, -clip, clip, out=standard)


def _standardized(image: Image, brain: Brain) -> NDArray[np.float32]:
    _check(image, brain)
    values = image[brain].astype(np.float32)
    standard = np.zeros(image.shape, np.float32)
    sd = values.std(dtype=np.float64)  # in float32 the sums of a whole head would lose digits
    if sd > 0:
        standard[brain] = (values - values.mean(dtype=np.float64)) / sd
    return standard


def _minmax(image: NDArray[np.float32], brain: Brain) -> NDArray[np.float32]:
    """All of the image on the scale that brings the brain to 0-1."""
    low, high = image[brain].min(), image[brain].max()
    if high <= low:
        return np.zeros_like(image)
    scaled: NDArray[np.float32] = (image - low) / (high - low)
    return scaled


def _check(image: Image, brain: Brain) -> None:
    if image.shape != brain.shape:
        raise InputError(f"image and brain need one shape, got {image.shape} and {brain.shape}; resample one of them")
    if not brain.any():
        raise InputError("there is no brain to take intensities from; needed a head; check the input and its units")

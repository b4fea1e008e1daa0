"""Bringing one MR sequence to a network's range by the brain in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.preprocess.intensity import ADC_MAX, DWI_MAX

#: Scaled values are clipped here (the brain's median is 0 and its spread 1).
SCALED_MAX = 6.0
#: Mean and SD of the photographs that ResNets are usually trained on, for red, green and blue in 0-1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)
#: Percentiles of the brain that become 0 and 1.
PERCENTILES = (0.5, 99.5)


def scaled(image: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The image with the brain's median at 0 and its spread (percentiles 5 to 95, in SD) at 1, clipped to -6..6.

    A brain that is empty or of one value gives zeros.
    """
    low, middle, high = _percentiles(image, brain, (5, 50, 95))
    spread = (high - low) / 3.29
    if spread <= 0:
        return np.zeros(image.shape, np.float32)
    return np.asarray(np.clip((image - np.float32(middle)) / np.float32(spread), -SCALED_MAX, SCALED_MAX), np.float32)


def scaled_adc(adc_um2_per_ms: NDArray[np.float32]) -> NDArray[np.float32]:
    """ADC is a quantity and keeps its scale: clipped to 0-4 um2/ms, less 1."""
    return np.asarray(np.clip(adc_um2_per_ms, 0, ADC_MAX) - 1, np.float32)


def scaled_dwi(dwi: NDArray[np.float32], tissue: NDArray[np.bool_]) -> NDArray[np.float32]:
    """DWI over its median in healthy tissue, clipped as for the pair of DWI and ADC, to about -0.7..2.

    A spread would shrink with a large infarct in it; the median hardly moves. Zeros where there is no tissue.
    """
    (middle,) = _percentiles(dwi, tissue, (50,))
    if middle <= 0:
        return np.zeros(dwi.shape, np.float32)
    return np.asarray((np.clip(dwi / np.float32(middle), 0, DWI_MAX) - 1) / np.float32(1.5), np.float32)


def imagenet_channels(image: NDArray[np.float32], brain: NDArray[np.bool_], *, grey: bool) -> NDArray[np.float32]:
    """The brain's percentiles 0.5-99.5 to 0-1 (clipped), less ImageNet's mean, over its SD.

    Returns:
        ``(3, K, J, I)``, the image in red, green and blue; ``(1, K, J, I)`` with their mean where ``grey``.
    """
    low, high = _percentiles(image, brain, PERCENTILES)
    unit: NDArray[np.float32] = np.clip((image - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    if grey:
        colors = [(float(np.mean(IMAGENET_MEAN)), float(np.mean(IMAGENET_SD)))]
    else:
        colors = list(zip(IMAGENET_MEAN, IMAGENET_SD, strict=True))
    return np.stack([(unit - np.float32(mean)) / np.float32(sd) for mean, sd in colors])


def _percentiles(image: NDArray[np.float32], brain: NDArray[np.bool_], which: tuple[float, ...]) -> list[float]:
    """Percentiles over at most a million evenly spread voxels of the brain; zeros when it is empty."""
    values = image[brain]
    if values.size == 0:
        return [0.0] * len(which)
    step = max(1, values.size // 1_000_000)
    return [float(value) for value in np.percentile(values[::step], which)]

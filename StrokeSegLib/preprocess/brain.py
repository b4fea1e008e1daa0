"""Finding the brain in a pair of DWI and ADC, without a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: ADC of parenchyma (acute lesions included), um2/ms; CSF and noise lie outside.
PARENCHYMA_ADC_UM2_PER_MS = (0.2, 1.6)


def foreground(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Voxels that are not background: above a fifth of the 95th percentile of the positive ones.

    A percentile, not the maximum, so that a few bright voxels (EPI rims) do not decide; a low one, so that a large
    lesion in a single slice does not either.
    """
    positive = image[image > 0]
    if positive.size == 0:
        return np.zeros(image.shape, bool)
    return np.asarray(image > 0.2 * _percentile(positive, 95), bool)


def brain_mask(dwi: NDArray[np.float32], adc_um2_per_ms: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The brain, ventricles and sulci filled slice by slice: largest piece of bright DWI with parenchyma's ADC.

    Args:
        dwi: Any scale, axial, ``(K, J, I)``.
        adc_um2_per_ms: The same grid.

    Returns:
        A mask good enough for the midline, the crop and the intensity scale, not for volumetry. Empty when nothing
        looks like brain.
    """
    low, high = PARENCHYMA_ADC_UM2_PER_MS
    parenchyma = foreground(dwi) & (adc_um2_per_ms > low) & (adc_um2_per_ms < high)
    parenchyma = ndimage.binary_opening(parenchyma, np.ones((1, 3, 3), bool))
    labels, count = ndimage.label(parenchyma)
    if count == 0:
        return np.zeros(dwi.shape, bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    # Pieces of brain cut off by slices (temporal poles, one slice) are kept when they are not tiny.
    keep = np.flatnonzero(sizes > 0.02 * sizes.max())
    mask = np.isin(labels, keep)
    closed = ndimage.binary_closing(np.pad(mask, ((0, 0), (8, 8), (8, 8))), np.ones((1, 5, 5), bool), iterations=2)
    closed = closed[:, 8:-8, 8:-8]
    return np.stack([ndimage.binary_fill_holes(plane) for plane in closed]) | mask


def _percentile(values: NDArray[np.float32], q: float) -> float:
    """Percentile of at most a million evenly spread values: exact enough, and bounded in time and memory."""
    step = max(1, values.size // 1_000_000)
    return float(np.percentile(values[::step], q))

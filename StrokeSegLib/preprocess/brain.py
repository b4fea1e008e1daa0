"""Finding the brain in a pair of DWI and ADC, without a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.io.box import box_of

#: ADC of parenchyma (acute lesions included), um2/ms; CSF and noise lie outside.
PARENCHYMA_ADC_UM2_PER_MS = (0.2, 1.6)
#: ADC of most healthy parenchyma: above fat's, below muscle's.
HEALTHY_ADC_UM2_PER_MS = (0.55, 1.05)
#: Brain's darkest DWI signal, as a part of its usual one: coil shading darkens to about half; fat and muscle lie below.
DARKEST_BRAIN = 0.42


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
    candidates = foreground(dwi) & (adc_um2_per_ms > low) & (adc_um2_per_ms < high)
    low, high = HEALTHY_ADC_UM2_PER_MS
    healthy = dwi[candidates & (adc_um2_per_ms > low) & (adc_um2_per_ms < high)]
    if healthy.size == 0:
        return np.zeros(dwi.shape, bool)
    # Scalp and muscle can have the ADC of brain, never its DWI signal. Where the scan shows face and neck they may be
    # the greater part, so the brain's signal is read above the middle.
    level = _percentile(healthy, 65)
    mask = _large_pieces(candidates & (dwi > DARKEST_BRAIN * level), 0.02)
    box = box_of(mask)
    if box is not None:
        around = np.pad(mask[box], ((0, 0), (8, 8), (8, 8)))
        closed = _spread(_spread(around, 9, grow=True), 9, grow=False)
        mask[box] |= _filled_by_slice(closed)[:, 8:-8, 8:-8]
    return mask


def _large_pieces(mask: NDArray[np.bool_], fraction: float) -> NDArray[np.bool_]:
    """The mask, opened in the plane, without pieces smaller than a part of its largest one.

    Small parts are kept with a small ``fraction``: slices cut off pieces of brain (temporal poles, the topmost slice).
    """
    labels, _ = ndimage.label(_spread(_spread(mask, 3, grow=False), 3, grow=True))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes > fraction * sizes.max())[labels], bool)


def _spread(mask: NDArray[np.bool_], width: int, *, grow: bool) -> NDArray[np.bool_]:
    """Dilation (``grow``) or erosion of each slice by a square, along one axis after the other: quick at any width."""
    filtered = ndimage.maximum_filter1d if grow else ndimage.minimum_filter1d
    result = mask.view(np.uint8)
    for axis in (1, 2):
        result = filtered(result, width, axis=axis, mode="constant", cval=0)
    return result.view(np.bool_)


def _filled_by_slice(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each slice with what its mask encloses; the slices' outermost voxels are outside."""
    in_plane = ndimage.generate_binary_structure(3, 1)
    in_plane[0] = in_plane[2] = False
    pieces, _ = ndimage.label(~mask, in_plane)
    outside = np.zeros(pieces.max() + 1, bool)
    for edge in (pieces[:, 0], pieces[:, -1], pieces[:, :, 0], pieces[:, :, -1]):
        outside[edge] = True
    outside[0] = False
    return np.asarray(~outside[pieces], bool)


def _percentile(values: NDArray[np.float32], q: float) -> float:
    """Percentile of at most a million evenly spread values: exact enough, and bounded in time and memory."""
    step = max(1, values.size // 1_000_000)
    return float(np.percentile(values[::step], q))

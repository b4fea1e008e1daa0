"""How a head bends the scanner's field: air in sinuses and mastoids against tissue, after shimming."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.synth.anatomy import BRAIN, Head, Tissue
from StrokeSegLib.synth.fields import Float
from StrokeSegLib.synth.placement import ScanGrid

#: Of air (0.36) over water (-9.05), ppm, SI units (Schenck 1996, Med Phys 23:815). Bone and fat lie near water.
AIR_OVER_TISSUE_PPM = 9.4
#: Of a proton, MHz a tesla.
GYROMAGNETIC_MHZ = 42.577
#: Voxels in which the field is found, mm, or the head's own where those are larger.
FIELD_MM = 4.0
#: Head or neck goes on so far below the map.
NECK_MM = 60.0


def field_ppm(head: Head) -> tuple[NDArray[np.float64], float]:
    """The field's deviation in and around a head that lies along the main field, as a shimmed scanner has it.

    The field of a susceptibility map is its convolution with a unit dipole, in Fourier space ``1/3 - kz^2 / k^2``
    (Salomir 2003; Marques and Bowtell 2005, Concepts Magn Reson 25B:65). Shims of zeroth to second order take off what
    they can within the brain.

    Returns:
        Parts per million, shape ``(K, J, I)`` over the head's map, and the voxel size, mm.
    """
    factor = max(1, round(FIELD_MM / head.spacing_mm))
    air = _coarse(head.tissue == Tissue.AIR, factor)
    brain = _coarse(np.isin(head.tissue, BRAIN), factor) > 0.5
    spacing_mm = head.spacing_mm * factor
    neck = round(NECK_MM / spacing_mm)
    full = _with_neck(air, neck)
    shape = [scipy.fft.next_fast_len(round(1.5 * n), real=True) for n in full.shape]
    # Air outside the map has to be air in the padding too: the map of tissue is padded with nothing.
    tissue = scipy.fft.rfftn(1.0 - full, shape)
    kz, ky, kx = (np.fft.fftfreq(n) for n in shape)
    kx = kx[: shape[2] // 2 + 1]
    squares = kz[:, None, None] ** 2 + ky[:, None] ** 2 + kx**2
    squares[0, 0, 0] = 1.0
    dipole = 1 / 3 - kz[:, None, None] ** 2 / squares
    dipole[0, 0, 0] = 0.0
    field = -AIR_OVER_TISSUE_PPM * scipy.fft.irfftn(tissue * dipole, shape)
    field = field[neck : neck + air.shape[0], : air.shape[1], : air.shape[2]]
    # Rounded: other machines' last bits must not move a truth.
    return np.round(_shimmed(field, brain), 4), spacing_mm


def field_hz(head: Head, grid: ScanGrid, tesla: float) -> Float:
    """Off-resonance at each voxel of a scan of the head, Hz, float32 ``(K, J, I)``."""
    ppm, spacing_mm = field_ppm(head)
    # Block means lie in the middle of their block.
    middle = (spacing_mm - head.spacing_mm) / 2
    position = (grid.head_mm[::-1] - np.float32(middle)) / np.float32(spacing_mm)
    here = ndimage.map_coordinates(ppm.astype(np.float32), position, order=1, mode="nearest")
    return np.asarray(here * np.float32(GYROMAGNETIC_MHZ * tesla), np.float32)


def _coarse(mask: NDArray[np.bool_], factor: int) -> NDArray[np.float64]:
    """Means of blocks of ``factor`` voxels a side; the last layers repeat."""
    padded = np.pad(mask, [(0, -n % factor) for n in mask.shape], mode="edge").astype(np.float32)
    k, j, i = (n // factor for n in padded.shape)
    blocks = padded.reshape(k, factor, j, factor, i, factor)
    return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float64))


def _with_neck(air: NDArray[np.float64], layers: int) -> NDArray[np.float64]:
    """The map with its lowest whole slice going on below: a map that ends is no head that ends."""
    solid = (1 - air).mean(axis=(1, 2))
    lowest = int(np.argmax(solid >= 0.25 * solid.max()))
    below = np.repeat(air[lowest : lowest + 1], layers + lowest, axis=0)
    return np.concatenate([below, air[lowest:]])


def _shimmed(field: NDArray[np.float64], brain: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What a polynomial of second order, fitted within the brain, leaves of a field."""
    z, y, x = (np.linspace(-1, 1, n) for n in field.shape)
    terms = [
        (z[:, None, None] ** a * y[:, None] ** b * x**c)
        for a in range(3)
        for b in range(3 - a)
        for c in range(3 - a - b)
    ]
    if not brain.any():
        return field
    weights = np.linalg.lstsq(np.stack([term[brain] for term in terms], axis=1), field[brain], rcond=None)[0]
    smooth = sum(weight * term for weight, term in zip(weights, terms, strict=True))
    return np.asarray(field - smooth)

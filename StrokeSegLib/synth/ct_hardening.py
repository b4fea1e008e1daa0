"""What a beam that bone has hardened does to the brain's HU: bright toward the vertex, dark between dense bones.

A scanner corrects a hardened beam as for water; along a ray through bone an error stays that grows with the square of
the bone's path (Nalcioglu and Lou 1979, Phys Med Biol 24:330; Joseph and Spital 1978, J Comput Assist Tomogr 2:100). It
is reconstructed like all else: where the skull closes over the brain, rays are long in bone and the slice is small, and
the error fills it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from StrokeSegLib.synth.fields import Float, blur_mm, stretch

#: Rays are followed through voxels of this size in the plane, mm, in so many directions.
STEP_MM = 4.0
DIRECTIONS = 48


def bone_error_mm(bone: Float, spacing_mm: tuple[float, float, float]) -> Float:
    """The error of bone at each voxel, as a squared path of bone reconstructed: mm, above 0 where brain gets brighter.

    Args:
        bone: Part of each voxel, 0..1, shape ``(K, J, I)``; slices are axial.

    Returns:
        float32, smooth over ``STEP_MM``; of use outside bone only.
    """
    stride = max(1, round(STEP_MM / spacing_mm[0]))
    fine = blur_mm(bone, (*spacing_mm[:2], 1e6), STEP_MM)
    padded = np.pad(fine, [(0, 0), *((0, -(n - 1) % stride) for n in fine.shape[1:])], mode="edge")
    coarse = padded[:, ::stride, ::stride]
    step_mm = stride * spacing_mm[0]
    error = -_reconstructed((step_mm * _paths(coarse)) ** 2, coarse.shape, step_mm)
    return stretch(error.astype(np.float32), padded.shape)[:, : bone.shape[1], : bone.shape[2]]


def _paths(bone: Float) -> NDArray[np.float64]:
    """Sums of bone along rays, ``(DIRECTIONS * rays, K)``."""
    flat = bone.reshape(bone.shape[0], -1).T.astype(np.float64)
    return np.asarray(_rays(bone.shape[1], bone.shape[2]) @ flat)


def _reconstructed(paths: NDArray[np.float64], shape: tuple[int, ...], step_mm: float) -> NDArray[np.float64]:
    """Filtered backprojection: of a body's own paths in mm it would give the body, 1 where it is."""
    rays = paths.reshape(DIRECTIONS, -1, shape[0])
    size = 2 * rays.shape[1]
    ramp = np.fft.rfftfreq(size, step_mm)[None, :, None]
    filtered = np.fft.irfft(np.fft.rfft(rays, size, axis=1) * ramp, size, axis=1)[:, : rays.shape[1]]
    image = np.pi / DIRECTIONS * (_rays(shape[1], shape[2]).T @ filtered.reshape(-1, shape[0]))
    return np.asarray(image.T.reshape(shape))


@lru_cache(maxsize=32)
def _rays(rows: int, columns: int) -> csr_array:
    """What each voxel of a slice gives to each ray, ``(DIRECTIONS * rays, rows * columns)``: to the two nearest."""
    y, x = np.meshgrid(np.arange(rows) - (rows - 1) / 2, np.arange(columns) - (columns - 1) / 2, indexing="ij")
    count = int(np.ceil(np.hypot(rows, columns))) + 3
    voxel = np.arange(rows * columns)
    entries = []
    for n, angle in enumerate(np.arange(DIRECTIONS) * np.pi / DIRECTIONS):
        at = (x * np.cos(angle) + y * np.sin(angle)).ravel() + (count - 1) / 2
        low = np.floor(at).astype(np.intp)
        entries += [(n * count + low, voxel, 1 - (at - low)), (n * count + low + 1, voxel, at - low)]
    row, column, part = (np.concatenate(each) for each in zip(*entries, strict=True))
    return csr_array((part, (row, column)), shape=(DIRECTIONS * count, rows * columns))

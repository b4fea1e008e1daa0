"""Augmentation of a sample: image ``(C, *spatial)`` and truth ``(L, *spatial)`` go together.

Everything is drawn from the generator that is given, so that a sample is the same each time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.training.crops import Sample


def mirrored(rng: np.random.Generator, sample: Sample, axes: Sequence[int], chance: float = 0.5) -> Sample:
    """Mirror images along each of the axes (negative ones, -1 is i), each with ``chance``."""
    x, y = sample
    for axis in axes:
        if rng.random() < chance:
            x, y = np.flip(x, axis), np.flip(y, axis)
    return x, y


def quarter_turned(rng: np.random.Generator, sample: Sample, chance: float) -> Sample:
    """One, two or three quarter turns in the plane of the last two axes, with ``chance``.

    Where these differ in size only half turns are possible.
    """
    if rng.random() >= chance:
        return sample
    turns = int(rng.integers(1, 4))
    if sample[0].shape[-1] != sample[0].shape[-2]:
        turns = 2
    return np.rot90(sample[0], turns, (-2, -1)), np.rot90(sample[1], turns, (-2, -1))


def turned_and_scaled(
    rng: np.random.Generator, sample: Sample, rotation_deg: float, scale: tuple[float, float] = (1.0, 1.0)
) -> Sample:
    """A 2D sample turned by up to ``rotation_deg`` either way and scaled, linear; the border goes on outside."""
    import torch
    from monai.transforms.spatial.array import Affine  # takes seconds to import

    angle = np.deg2rad(rng.uniform(-rotation_deg, rotation_deg))
    factor = float(rng.uniform(*scale))
    both = torch.from_numpy(np.concatenate(sample).astype(np.float32))
    move = Affine(rotate_params=float(angle), scale_params=(factor, factor), padding_mode="border", image_only=True)
    moved = np.asarray(move(both), np.float32)
    channels = len(sample[0])
    return moved[:channels], moved[channels:].clip(0, 1)


def neighbors_swapped(rng: np.random.Generator, sample: Sample, neighbors: int, chance: float = 0.5) -> Sample:
    """The slices of a stack in the reverse order with ``chance``: the neighbors come in either."""
    x, y = sample
    if neighbors and rng.random() < chance:
        x = x.reshape(-1, 2 * neighbors + 1, *x.shape[1:])[:, ::-1].reshape(x.shape)
    return x, y


def rescaled(rng: np.random.Generator, x: NDArray[np.float32], gain_sd: float, shift_sd: float) -> NDArray[np.float32]:
    """Small errors of each channel's scale and zero."""
    each = (len(x), *[1] * (x.ndim - 1))
    gain, shift = rng.normal(1, gain_sd, each), rng.normal(0, shift_sd, each)
    return (x * gain + shift).astype(np.float32)


def contiguous(sample: Sample) -> Sample:
    """The sample as plain float32 arrays."""
    return np.ascontiguousarray(sample[0], np.float32), np.ascontiguousarray(sample[1], np.float32)

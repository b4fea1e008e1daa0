"""Presets of system ``noncontrast-ct``: residual squeeze-and-excitation 3D U-Net (S2, Dobshik et al., 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from StrokeSegLib.training.presets.base import Modern, Precision, Preset

Sampler = Literal["labeled", "uniform"]
Norm = Literal["minmax_brain", "zscore_minmax_grey", "zscore"]
SqueezeExcite = Literal["none", "standard", "post"]
Brain = Literal["components", "none"]


@dataclass(frozen=True, kw_only=True)
class PaperNoncontrastCt(Preset):
    """As published: 128-voxel cubes, Dice and weighted cross-entropy, no augmentation.

    Where the paper contradicts itself or is silent:

    * the printed weighted cross-entropy lost its signs, and its sum over voxels would outweigh the Dice term a million
      times: the mean of ``w * bce``, ``normalize_weights`` for the weighted mean;
    * standardizing and then scaling to 0-1 is the same as scaling alone: ``norm`` is minmax_brain; the literal reading,
      which makes the background grey, is zscore_minmax_grey;
    * interpolation cannot halve channels: a 1x1x1 convolution after it does;
    * the gate's place in a block and the number of channels are in figures: after the second normalization, 32 to 256;
    * which checkpoint was tested is not said: the last.

    The part of lesion voxels, which weighs the cross-entropy, is counted on the training images cropped to the brain's
    box and stored with the weights.

    Attributes:
        patch: Voxels of a patch along k, j, i.
        sampler: Centers half in lesion and half in healthy brain, or anywhere (the ablation).
        norm: How intensities are brought to the network's range.
        residual, squeeze_excite: Parts of the blocks (the ablation leaves them out).
        brain: How the brain is found, or that skull and table are left in (the ablation).
        weighted_loss: Whether cross-entropy weighs lesion and background (the ablation does not).
        normalize_weights: See ``paper_losses.weighted_bce``.
        weight_decay: Adam's L2.
        decay_every, decay_factor, floor_fraction: The rate's falls, see ``schedules.step_with_floor``.
    """

    system: str = "noncontrast-ct"
    name: str = "paper"
    steps: int = 40_000
    batch_size: int = 2
    learning_rate: float = 1e-4
    width: float = 1.0
    precision: Precision = "fp32"
    pool_size: int = 12
    patch: tuple[int, ...] = (128, 128, 128)
    sampler: Sampler = "labeled"
    norm: Norm = "minmax_brain"
    residual: bool = True
    squeeze_excite: SqueezeExcite = "standard"
    brain: Brain = "components"
    weighted_loss: bool = True
    normalize_weights: bool = False
    weight_decay: float = 1e-5
    decay_every: int = 5000
    decay_factor: float = 0.5
    floor_fraction: float = 0.125


@dataclass(frozen=True, kw_only=True)
class BundledNoncontrastCt(Modern):
    """Trains ``Resources/Models/noncontrast-ct``: thick slices as they are, three eighths of the width.

    Pixels of 2 mm, so that a patch holds a whole slice of the brain: an early infarct is a few HU under the noise and
    shows by its other side.

    Attributes:
        patch: Voxels of a patch along k, j, i of the working grid.
        squeeze_excite: Where blocks gate their channels.
        norm: How intensities are brought to the network's range.
        in_plane_mm: Pixel of the working grid.
        other_side: Whether the network is given the difference to the other side of the head, too.
    """

    system: str = "noncontrast-ct"
    name: str = "bundled"
    steps: int = 8_000
    batch_size: int = 2
    learning_rate: float = 1e-3
    width: float = 0.375
    pool_size: int = 400
    patch: tuple[int, ...] = (16, 80, 80)
    squeeze_excite: SqueezeExcite = "post"
    norm: Norm = "zscore"
    in_plane_mm: float = 2.0
    other_side: bool = False

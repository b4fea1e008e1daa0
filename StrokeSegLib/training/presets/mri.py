"""Presets of system ``mri``: ResNet50-UNet, slice by slice (S3, Aboudi et al., IJCSNS 22(11), 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from StrokeSegLib.training.presets.base import Modern, Precision, Preset

Sequence = Literal["dwi", "flair", "t1", "t2"]
Inputs = Literal["diffusion", "any", "rest"]


@dataclass(frozen=True, kw_only=True)
class PaperMri(Preset):
    """As published: one sequence of one slice, repeated three times, into a ResNet-50 trained on ImageNet.

    Where the paper contradicts itself:

    * momentum is printed as 9, with which any training diverges: 0.9;
    * "binary" and "categorical" cross-entropy are both named: a softmax over two classes, where both are one;
    * the encoder is frozen, and fine-tuned: frozen (its batch normalization too) for ``frozen_steps``; steps beyond
      them train conv4_x and conv5_x as well, at a tenth of the decoder's rate. By default there are none beyond;
    * slices of one patient lie in training and test: here splits are by patient.

    100 epochs of 2800 slices (70% of about 4000), 32 a step, are 8750 steps. The ImageNet weights are a file the user
    gives; without one the encoder trains from the first step, since a frozen random encoder is of no use, and the run
    says so. Slices of 230 x 230 at 1 mm are reduced to 128 x 128.

    Attributes:
        sequence: The one that is read: the paper shows a model for each.
        crop: Side of the square input, pixels.
        momentum: Of SGD.
        frozen_steps: Steps with a frozen encoder.
        fine_tune_fraction: Rate of conv4_x and conv5_x beyond them, as a part of the decoder's.
        encoder_weights: Weights of torchvision's ResNet-50, a .safetensors or .pth file; empty for none.
        flip_chance: Of a mirror image along each axis.
        rotation_deg: Largest turn, either way, degrees.
    """

    system: str = "mri"
    name: str = "paper"
    steps: int = 8750
    batch_size: int = 32
    learning_rate: float = 1e-5
    width: float = 1.0
    precision: Precision = "fp32"
    sequence: Sequence = "flair"
    crop: int = 128
    momentum: float = 0.9
    frozen_steps: int = 8750
    fine_tune_fraction: float = 0.1
    encoder_weights: str = ""
    flip_chance: float = 0.5
    rotation_deg: float = 180.0


@dataclass(frozen=True, kw_only=True)
class BundledMri(Modern):
    """Trains ``Resources/Models/mri``: slices with their neighbors, a quarter of the width.

    Attributes:
        mode: DWI and ADC (diffusion), or whatever a case has of DWI, ADC, FLAIR, T1 and T2 (any), or the latter of
            examinations without the pair (rest): the model's own network, where the pair has a specialist.
        crop: Side of a square crop, pixels of the working grid.
    """

    system: str = "mri"
    name: str = "bundled"
    steps: int = 14200
    batch_size: int = 16
    learning_rate: float = 1e-3
    width: float = 0.25
    pool_size: int = 500
    mode: Inputs = "diffusion"
    crop: int = 128

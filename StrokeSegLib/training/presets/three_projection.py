"""Presets of system ``three-projection``: DPN92-UNet in three planes (S4, 2019/2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from StrokeSegLib.systems.dpn92_constants import PAPER
from StrokeSegLib.training.presets.base import Modern, Precision, Preset

Plane = Literal["axial", "coronal", "sagittal"]


@dataclass(frozen=True, kw_only=True)
class PaperThreeProjection(Preset):
    """As published: 40 axial networks of which the best 6 are kept, two for each other plane; focal loss.

    The numbers come from ``systems.dpn92_constants``. Where the paper contradicts itself or is silent:

    * "depth 94" of a DPN92: 92;
    * the "depthwise" last convolution has two outputs: a 1x1 convolution;
    * gamma, alpha and the HU window are not said: 2, none (0.25 would favor the background), 0 to 80;
    * the input size is not said: 512 x 512 axial, and 256 x 256 of 1 mm in the other planes.

    Every 500 steps a network is validated; its best checkpoint, and of a plane's networks the best, are those of the
    highest mean patient-wise IoU. The paper chose both on the 30 patients that its table reports: mark patients as
    ``val`` that you do not report.

    Attributes:
        axial_members, coronal_members, sagittal_members: Networks trained for each plane, one after the other.
        slice_pixels, plane_pixels: Side of the square input, axial and in the other planes.
        learning_rate_decay: Factor of the rate after each step.
        stroke_slice_chance: Part of the slices drawn from those with a lesion; the rest from all.
        focal_gamma: Of the focal loss.
        flip_chance, min_scale, max_scale, rotation_deg: Augmentation, besides random quarter turns.
        encoder_weights: Weights of a DPN-92 that the encoders begin with, a .safetensors or .pth file; empty for none.
            The paper tried ImageNet's and kept random ones.
        frozen_steps: Steps in which such an encoder is frozen; it learns at the common rate afterwards.
        scse: Concurrent squeeze and excitation in the decoder, which the paper also tried and left out.
    """

    system: str = "three-projection"
    name: str = "paper"
    steps: int = PAPER.steps
    batch_size: int = PAPER.batch_slices
    learning_rate: float = PAPER.learning_rate
    width: float = 1.0
    precision: Precision = "fp32"
    validate_every: int = PAPER.validate_every_steps
    pool_size: int = 40
    axial_members: int = PAPER.axial_candidates
    coronal_members: int = PAPER.plane_members
    sagittal_members: int = PAPER.plane_members
    slice_pixels: int = PAPER.slice_pixels
    plane_pixels: int = 256
    learning_rate_decay: float = PAPER.learning_rate_decay
    stroke_slice_chance: float = PAPER.stroke_slice_probability
    focal_gamma: float = PAPER.focal_gamma
    flip_chance: float = PAPER.flip_probability
    min_scale: float = PAPER.min_scale
    max_scale: float = PAPER.max_scale
    rotation_deg: float = PAPER.max_rotation_deg
    encoder_weights: str = ""
    frozen_steps: int = 0
    scse: bool = False


@dataclass(frozen=True, kw_only=True)
class BundledThreeProjection(Modern):
    """Trains ``Resources/Models/three-projection``: one network for all three planes, a fifth of the width.

    Attributes:
        planes: Drawn from alike.
        crop: Side of a square crop, pixels of the working grid.
        spacing_mm: Pixel of the working grid, and of the slices that are cut from thin series.
    """

    system: str = "three-projection"
    name: str = "bundled"
    steps: int = 14_000
    batch_size: int = 16
    learning_rate: float = 1e-3
    width: float = 0.2
    pool_size: int = 300
    planes: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
    crop: int = 128
    spacing_mm: float = 1.5

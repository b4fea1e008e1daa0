"""Presets of system ``ct-perfusion``: dilated 3D U-Net on perfusion maps (S1, Tursynova et al., CMC 71(3), 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from StrokeSegLib.training.presets.base import Modern, Precision, Preset

Variant = Literal["residual", "plain"]
Dilation = Literal["none", "first", "context", "all"]


@dataclass(frozen=True, kw_only=True)
class PaperCtPerfusion(Preset):
    """As published: whole slabs resized to 32 x 128 x 128, soft IoU, 650 epochs.

    Where the paper contradicts itself or is silent:

    * IoU and cross-entropy are both called the loss: IoU, ``with_bce`` adds the other;
    * "weight decay 0" beside "L2 0.001": the first is the rate's decay of that framework. 1e-3 times the sum of squared
      kernels is Adam's ``weight_decay`` of 2e-3 on convolution kernels alone; the log shows the penalty by itself;
    * ReLU and leaky ReLU: leaky, with that framework's slope of 0.3;
    * "23 convolutional layers" and 64 features are the text of the 2015 U-Net: ``variant`` residual is the network that
      the input size and the wording belong to, plain is the text's;
    * batch size, validation split and threshold are not said: 4, a fifth of the patients, 0.5;
    * which checkpoint was tested is not said: the best validation IoU, looked for every 10 epochs; the last stays too;
    * the statistics of the z-score are not said: each channel's mean and SD over the brains of the training cases;
    * augmentation is used and not listed: mirror images along x and y, and quarter turns.

    650 epochs of 75 slabs (80% of 94), 4 a step, are 650 * 19 = 12 350 steps. A Jaccard index above Dice, as printed,
    cannot be, and is reproduced nowhere.

    Attributes:
        patch: Size along k, j, i that a slab is resized to.
        variant, dilation, dropout, slope: Of the network, see ``networks.dilated_unet3d``.
        with_bce: Whether cross-entropy is added to IoU.
        weight_decay: Adam's L2, on convolution kernels alone.
        flip_chance, turn_chance: Of a mirror image along each of x and y, and of a quarter turn.
    """

    system: str = "ct-perfusion"
    name: str = "paper"
    steps: int = 12_350
    batch_size: int = 4
    learning_rate: float = 2e-4
    width: float = 1.0
    precision: Precision = "fp32"
    validate_every: int = 190
    patch: tuple[int, ...] = (32, 128, 128)
    variant: Variant = "residual"
    dilation: Dilation = "context"
    dropout: float = 0.5
    slope: float = 0.3
    with_bce: bool = False
    weight_decay: float = 2e-3
    flip_chance: float = 0.5
    turn_chance: float = 0.5


@dataclass(frozen=True, kw_only=True)
class BundledCtPerfusion(Modern):
    """Trains ``Resources/Models/ct-perfusion``: the slab's own slices, half the width.

    Attributes:
        patch: Voxels of a patch along k, j, i of the working grid.
        dropout: Of whole channels.
        channel_drop_chance: Of hiding one input, so that a missing map is no surprise.
    """

    system: str = "ct-perfusion"
    name: str = "bundled"
    steps: int = 10_000
    batch_size: int = 2
    learning_rate: float = 1e-3
    width: float = 0.5
    pool_size: int = 300
    patch: tuple[int, ...] = (16, 96, 96)
    dropout: float = 0.1
    channel_drop_chance: float = 0.1

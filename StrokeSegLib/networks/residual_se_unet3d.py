"""ResidualSEUNet3D: residual blocks with squeeze-and-excitation for noncontrast CT (S2, Dobshik et al., 2023).

Reference: arXiv 2301.06793. Channels at full width, depth and down-sampling, which the paper leaves out, as in the 3D
U-Net of 2016 (three max-poolings)::

    block 32 @ 1/1 ----------------------------------------> up, 1x1x1 to 32, concat -> block 32 -> 1x1x1 -> logits
    block 64 @ 1/2 --------------------> up, 1x1x1 to 64, concat -> block 64
    block 128 @ 1/4 -> up, 1x1x1 to 128, concat -> block 128
    block 256 @ 1/8

Upsampling is trilinear; the paper says that it halves the channels, which only the 1x1x1 convolution behind it can do.

**Squeeze after an instance normalization sees no image.** A normalized channel's mean is the layer's learned shift,
whatever the image, so the "standard" place (behind the second normalization, before the add: the paper as we resolved
it) makes the gate a constant per channel, which the normalization's scale could hold as well. "post" gates behind the
add and the activation (SE-POST of Hu et al.), where the mean does depend on the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from StrokeSegLib.networks.blocks import scaled_channels
from StrokeSegLib.networks.blocks3d import Conv3d, ConvNormAct3d, Norm, SqueezeExcite3d, norm3d, require_size

SqueezeExcite = Literal["none", "standard", "post"]

#: Channels of the levels at full width, finest first.
LEVEL_CHANNELS = (32, 64, 128, 256)
SLOPE = 0.01


class ResidualSEBlock(nn.Module):
    """Convolution, normalization, activation, convolution, normalization; gate and residual where asked; activation.

    Shape: ``(B, in, z, y, x) -> (B, out, z, y, x)``. The residual is a 1x1x1 convolution of the block's input.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        residual: bool = True,
        squeeze_excite: SqueezeExcite = "standard",
        reduction: int = 16,
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        if squeeze_excite not in get_args(SqueezeExcite):
            raise ValueError(f"unknown squeeze_excite {squeeze_excite!r}; known: {', '.join(get_args(SqueezeExcite))}")
        self.conv1 = ConvNormAct3d(in_channels, out_channels, norm=norm, slope=SLOPE)
        self.conv2 = Conv3d(out_channels, out_channels, 3, padding=1, bias=norm == "none")
        self.norm2 = norm3d(norm, out_channels)
        self.shortcut = nn.Conv3d(in_channels, out_channels, 1) if residual else None
        self.gate: nn.Module | None = None
        if squeeze_excite != "none":
            self.gate = SqueezeExcite3d(out_channels, reduction)
        self.gate_before_add = squeeze_excite == "standard"

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm2(self.conv2(self.conv1(x)))
        if self.gate is not None and self.gate_before_add:
            y = self.gate(y)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        y = nn.functional.leaky_relu(y, SLOPE)
        if self.gate is not None and not self.gate_before_add:
            y = self.gate(y)
        return y


class UpHalveConcat(nn.Module):
    """Trilinear upsampling, 1x1x1 convolution to the skip's channels, concatenation.

    The convolution is taken first: both are linear and interpolation weights add up to one, so the result is the same
    to rounding, at an eighth of the voxels.

    Shape: ``(B, in, z, y, x)`` and skip ``(B, C, 2z, 2y, 2x) -> (B, 2C, 2z, 2y, 2x)``.
    """

    def __init__(self, in_channels: int, skip_channels: int) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="trilinear", align_corners=False)
        self.halve = nn.Conv3d(in_channels, skip_channels, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return torch.cat([self.up(self.halve(x)), skip], dim=1)


class ResidualSEUNet3D(nn.Module):
    """3D U-Net of residual squeeze-and-excitation blocks, each part of which can be left out for the ablation.

    Shape: ``(B, in_channels, z, y, x) -> (B, out_channels, z, y, x)`` logits; with four levels, sizes are multiples
    of 8 and not all three 8.

    Args:
        in_channels: Input volumes; S2 has one CT.
        out_channels: Outputs, each with a sigmoid of its own.
        channels: Of the levels, finest first, at full width.
        width: Multiplier of every channel count.
        residual: Whether blocks add a 1x1x1 convolution of their input.
        squeeze_excite: Where blocks gate their channels, see above: with instance normalization "standard" is the same
            gate for every image, "post" depends on it.
        reduction: Channels for one hidden channel of a gate, of which there are at least two.
        norm: Kind of normalization.

    Raises:
        ValueError: Unknown ``squeeze_excite`` or ``norm``, or fewer than two levels.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        channels: Sequence[int] = LEVEL_CHANNELS,
        *,
        width: float = 1.0,
        residual: bool = True,
        squeeze_excite: SqueezeExcite = "standard",
        reduction: int = 16,
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        if len(channels) < 2:
            raise ValueError(f"at least two levels are needed, got channels={list(channels)}")

        def block(before: int, after: int) -> ResidualSEBlock:
            return ResidualSEBlock(
                before, after, residual=residual, squeeze_excite=squeeze_excite, reduction=reduction, norm=norm
            )

        widths = [scaled_channels(each, width) for each in channels]
        self.encoder = nn.ModuleList(map(block, [in_channels, *widths[:-1]], widths))
        self.pool = nn.MaxPool3d(2)
        self.joins = nn.ModuleList(map(UpHalveConcat, widths[:0:-1], widths[-2::-1]))  # coarsest first
        self.decoder = nn.ModuleList(block(2 * each, each) for each in widths[-2::-1])
        self.head = nn.Conv3d(widths[0], out_channels, 1)
        self.size_divisor = 2 ** (len(channels) - 1)

    def forward(self, x: Tensor) -> Tensor:
        require_size(x, self.size_divisor)
        y = self.encoder[0](x)
        skips = []
        for level in list(self.encoder)[1:]:
            skips.append(y)
            y = level(self.pool(y))
        for join, stage, skip in zip(self.joins, self.decoder, reversed(skips), strict=True):
            y = stage(join(y, skip))
        logits: Tensor = self.head(y)
        return logits

"""DilatedUNet3D: a 3D U-Net with dilated convolutions for CT perfusion (S1, Tursynova et al., CMC 71(3), 2022).

The paper repeats the text of the 2015 U-Net over a network that is not one, so there are two variants, both with
instance normalization, leaky ReLU and spatial dropout::

    residual (default)  level: conv (stride 2 below the first) -> context: conv, dropout, conv -> residual add
                        up:    nearest x2 -> conv -> concat skip -> conv -> 1x1x1 conv
                        1x1x1 heads on the three finest decoder levels, upsampled and summed. 30 convolutions.
    plain               level: max-pool 2 (below the first) -> conv, dropout, conv
                        up:    2x2x2 transposed conv -> concat skip -> conv -> conv
                        one 1x1x1 head. The text's 23 convolutions.

A dilated convolution has rate 2 in y and x and 1 in z (the slabs are thin). Which are dilated::

    dilation   residual                                      plain
    none       none                                          none
    first      the first                                     the first
    context    the first and all of the context modules      the second of each encoder level from the third on
    all        all 3x3x3 of stride 1, decoder included       all 3x3x3
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from StrokeSegLib.networks.blocks import scaled_channels
from StrokeSegLib.networks.blocks3d import ConvNormAct3d, UpConcat3d, require_size

Variant = Literal["residual", "plain"]
Dilation = Literal["none", "first", "context", "all"]

#: Channels of the encoder levels at full width; the 2015 text has 64, which is ``width=4``.
LEVEL_CHANNELS = (16, 32, 64, 128, 256)
#: In-plane rate of a dilated convolution.
RATE = 2
#: Decoder levels with a head in the residual variant, from the finest on.
SUPERVISED_LEVELS = 3
#: The plain variant's ``context`` dilates from this encoder level on (0 is the finest).
PLAIN_DILATED_FROM = 2


class ContextLevel(nn.Module):
    """Encoder level of the residual variant: ``(B, in, z, y, x) -> (B, out, z/stride, y/stride, x/stride)``.

    ``rates`` are the in-plane dilations of the entering convolution and of the context module's two.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, rates: tuple[int, int], dropout: float, slope: float
    ) -> None:
        super().__init__()
        self.enter = ConvNormAct3d(in_channels, out_channels, stride=stride, dilation=rates[0], slope=slope)
        self.context = nn.Sequential(
            ConvNormAct3d(out_channels, out_channels, dilation=rates[1], slope=slope),
            nn.Dropout3d(dropout),
            ConvNormAct3d(out_channels, out_channels, dilation=rates[1], slope=slope),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.enter(x)
        result: Tensor = y + self.context(y)
        return result


class LocalizationStage(nn.Module):
    """Decoder level of the residual variant.

    Shape: ``(B, in, z, y, x)`` and skip ``(B, out, 2z, 2y, 2x) -> (B, out, 2z, 2y, 2x)``.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dilation: int, slope: float) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv1 = ConvNormAct3d(in_channels, out_channels, dilation=dilation, slope=slope)
        self.conv2 = ConvNormAct3d(2 * out_channels, out_channels, dilation=dilation, slope=slope)
        self.conv3 = ConvNormAct3d(out_channels, out_channels, kernel=1, slope=slope)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y = torch.cat([self.conv1(self.up(x)), skip], dim=1)
        result: Tensor = self.conv3(self.conv2(y))
        return result


class DilatedUNet3D(nn.Module):
    """3D U-Net with dilation.

    Shape: ``(B, in_channels, z, y, x) -> (B, out_channels, z, y, x)`` logits; with five levels, sizes are multiples
    of 16 and not all three 16.

    Args:
        in_channels: Input volumes; S1 has CT, CBF, CBV, MTT and Tmax.
        out_channels: Outputs, each with a sigmoid of its own.
        channels: Of the encoder levels, finest first, at full width: base and depth in one.
        width: Multiplier of every channel count.
        variant: The network that the published numbers come from, or the one that the paper's text describes.
        dilation: Which convolutions are dilated, see above.
        dropout: Probability of dropping a whole channel between the two convolutions of an encoder level.
        slope: Of the leaky ReLU; the paper's framework has 0.3.

    Raises:
        ValueError: Unknown variant or dilation, or fewer than two levels.
    """

    def __init__(
        self,
        in_channels: int = 5,
        out_channels: int = 1,
        channels: Sequence[int] = LEVEL_CHANNELS,
        *,
        width: float = 1.0,
        variant: Variant = "residual",
        dilation: Dilation = "context",
        dropout: float = 0.5,
        slope: float = 0.01,
    ) -> None:
        super().__init__()
        _require_known("variant", variant, get_args(Variant))
        _require_known("dilation", dilation, get_args(Dilation))
        if len(channels) < 2:
            raise ValueError(f"at least two levels are needed, got channels={list(channels)}")
        widths = [scaled_channels(each, width) for each in channels]
        build = _residual_levels if variant == "residual" else _plain_levels
        encoder, decoder = build([in_channels, *widths], dilation, dropout, slope)
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(decoder)  # finest first, as the encoder
        heads = SUPERVISED_LEVELS if variant == "residual" else 1
        self.heads = nn.ModuleList(nn.Conv3d(each, out_channels, 1) for each in widths[:-1][:heads])
        self.size_divisor = 2 ** (len(channels) - 1)

    def forward(self, x: Tensor) -> Tensor:
        require_size(x, self.size_divisor)
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
        features = [x]
        for stage, skip in zip(reversed(self.decoder), reversed(skips[:-1]), strict=True):
            features.insert(0, stage(features[0], skip))  # finest first
        outputs = [head(feature) for head, feature in zip(self.heads, features, strict=False)]
        logits: Tensor = outputs.pop()
        while outputs:
            logits = outputs.pop() + nn.functional.interpolate(logits, scale_factor=2.0)
        return logits


def _require_known(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}; known: {', '.join(known)}")


def _residual_levels(
    channels: Sequence[int], dilation: Dilation, dropout: float, slope: float
) -> tuple[list[nn.Module], list[nn.Module]]:
    """Encoder and decoder levels, finest first; ``channels`` begins with the input's."""
    first = 1 if dilation == "none" else RATE
    context = RATE if dilation in ("context", "all") else 1
    everywhere = RATE if dilation == "all" else 1
    encoder: list[nn.Module] = []
    for i, (before, out) in enumerate(pairwise(channels)):
        stride, enter = (1, first) if i == 0 else (2, 1)
        encoder.append(ContextLevel(before, out, stride=stride, rates=(enter, context), dropout=dropout, slope=slope))
    decoder: list[nn.Module] = [
        LocalizationStage(below, out, dilation=everywhere, slope=slope) for out, below in pairwise(channels[1:])
    ]
    return encoder, decoder


def _plain_levels(
    channels: Sequence[int], dilation: Dilation, dropout: float, slope: float
) -> tuple[list[nn.Module], list[nn.Module]]:
    """Encoder and decoder levels, finest first; ``channels`` begins with the input's."""
    everywhere = RATE if dilation == "all" else 1
    encoder: list[nn.Module] = []
    for i, (before, out) in enumerate(pairwise(channels)):
        first = RATE if dilation == "first" and i == 0 else everywhere
        second = RATE if dilation == "context" and i >= PLAIN_DILATED_FROM else everywhere
        encoder.append(
            nn.Sequential(
                nn.Identity() if i == 0 else nn.MaxPool3d(2),
                ConvNormAct3d(before, out, dilation=first, slope=slope),
                nn.Dropout3d(dropout),
                ConvNormAct3d(out, out, dilation=second, slope=slope),
            )
        )
    decoder: list[nn.Module] = [
        UpConcat3d(below, out, out, out, dilation=everywhere, slope=slope) for out, below in pairwise(channels[1:])
    ]
    return encoder, decoder

"""UNet3D: the classic 3D U-Net, the baseline of S1 (Tursynova et al., CMC 71(3), 2022).

S1 compares with "the classical 3D U-Net" and says no more about it, so this is the network of that name
(Çiçek et al., 3D U-Net: Learning Dense Volumetric Segmentation from Sparse Annotation, MICCAI 2016)::

    32, 64 @ 1/1 ---------------------------------> up 128 + skip 64  -> 64, 64 -> 1x1x1 -> logits
    64, 128 @ 1/2 -------------> up 256 + skip 128 -> 128, 128
    128, 256 @ 1/4 -> up 512 + skip 256 -> 256, 256
    256, 512 @ 1/8

It is not the plain ``DilatedUNet3D`` without dilation: that has five levels, doubles the channels after a pooling and
not before it, and halves them in the transposed convolution. Here as published: batch normalization, ReLU, no dropout.
Not as published: convolutions are padded, so that the output covers the whole input.
"""

from __future__ import annotations

from torch import Tensor, nn

from StrokeSegLib.networks.blocks import scaled_channels
from StrokeSegLib.networks.blocks3d import ConvNormAct3d, Norm, UpConcat3d, require_size

#: Channels that leave the four encoder levels at full width; half of them leave each level's first convolution.
LEVEL_CHANNELS = (64, 128, 256, 512)
#: Sizes must be multiples of this: three poolings.
SIZE_DIVISOR = 8
NORM: Norm = "batch"
RELU = 0.0


class UNet3D(nn.Module):
    """The 3D U-Net of 2016.

    Shape: ``(B, in_channels, z, y, x) -> (B, out_channels, z, y, x)`` logits; sizes are multiples of 8.

    Args:
        in_channels: Input volumes; S1 has CT, CBF, CBV, MTT and Tmax.
        out_channels: Outputs, each with a sigmoid of its own.
        width: Multiplier of every channel count; 1 is the published network.
    """

    def __init__(self, in_channels: int = 5, out_channels: int = 1, width: float = 1.0) -> None:
        super().__init__()
        levels: list[nn.Module] = []
        skips: list[int] = []
        channels = in_channels
        for full in LEVEL_CHANNELS:
            half, out = scaled_channels(full // 2, width), scaled_channels(full, width)
            levels.append(
                nn.Sequential(
                    ConvNormAct3d(channels, half, norm=NORM, slope=RELU),
                    ConvNormAct3d(half, out, norm=NORM, slope=RELU),
                )
            )
            skips.append(out)
            channels = out
        self.encoder = nn.ModuleList(levels)
        self.pool = nn.MaxPool3d(2)
        stages: list[nn.Module] = []
        for out in reversed(skips[:-1]):
            stages.append(UpConcat3d(channels, channels, out, out, norm=NORM, slope=RELU))
            channels = out
        self.decoder = nn.ModuleList(stages)
        self.head = nn.Conv3d(channels, out_channels, 1)
        self.size_divisor = SIZE_DIVISOR

    def forward(self, x: Tensor) -> Tensor:
        require_size(x, SIZE_DIVISOR)
        y = self.encoder[0](x)
        skips = []
        for level in list(self.encoder)[1:]:
            skips.append(y)
            y = level(self.pool(y))
        for stage, skip in zip(self.decoder, reversed(skips), strict=True):
            y = stage(y, skip)
        logits: Tensor = self.head(y)
        return logits

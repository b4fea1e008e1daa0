"""Building blocks that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def scaled_channels(channels: int, width: float) -> int:
    """Channels at a width multiplier: rounded to a multiple of 4, at least 4 (``width=1`` leaves multiples of 4)."""
    return max(4, 4 * round(channels * width / 4))


class ConvNormAct2d(nn.Sequential):
    """3x3 (or ``kernel``) convolution, batch normalization, ReLU: ``(B, in, H, W) -> (B, out, H/s, W/s)``."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class Bottleneck2d(nn.Module):
    """ResNet bottleneck, stride in the 3x3 convolution (torchvision's v1.5): 1x1, 3x3, 1x1 and the residual add.

    Shape: ``(B, in, H, W) -> (B, out, H/stride, W/stride)``.
    Reference: He et al., Deep Residual Learning for Image Recognition, CVPR 2016.
    """

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, mid_channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(mid_channels)
        self.conv2 = nn.Conv2d(mid_channels, mid_channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(mid_channels)
        self.conv3 = nn.Conv2d(mid_channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class UpConcat2d(nn.Module):
    """U-Net decoder stage: 2x2 transposed convolution, concatenation with the skip, two 3x3 convolutions.

    Shape: ``(B, in, H, W)`` and skip ``(B, skip, 2H, 2W) -> (B, out, 2H, 2W)``; no skip when ``skip_channels`` is 0.
    """

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        self.conv1 = ConvNormAct2d(out_channels + skip_channels, out_channels)
        self.conv2 = ConvNormAct2d(out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        y = self.up(x)
        if skip is not None:
            y = torch.cat([y, skip], dim=1)
        result: Tensor = self.conv2(self.conv1(y))
        return result

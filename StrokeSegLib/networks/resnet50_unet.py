"""ResNet50UNet: a U-Net with a ResNet-50 encoder (S3, Aboudi et al., IJCSNS 22(11), 2022).

Encoder (channels at full width, resolution of an H x W slice) and the decoder that mirrors it::

    conv1    64 @ 1/2  ----------------------------> up 64  (+ skip 64)   -> up 32, no skip -> 1x1 -> logits
    layer1  256 @ 1/4  ------------------> up 128 (+ skip 256)
    layer2  512 @ 1/8  ----------> up 256 (+ skip 512)
    layer3 1024 @ 1/16 --> up 512 (+ skip 1024)
    layer4 2048 @ 1/32

Parameters are named as in torchvision's ResNet-50, so that its state dict fits the encoder at full width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from StrokeSegLib.networks.blocks import Bottleneck2d, UpConcat2d, scaled_channels

#: Bottlenecks in the four encoder stages of ResNet-50.
STAGE_BLOCKS = (3, 4, 6, 3)
#: Output channels of the four encoder stages at full width; each bottleneck's middle has a quarter of them.
STAGE_CHANNELS = (256, 512, 1024, 2048)
STEM_CHANNELS = 64
DECODER_CHANNELS = (512, 256, 128, 64, 32)
#: Height and width must be multiples of this.
SIZE_DIVISOR = 32


class ResNet50Encoder(nn.Module):
    """ResNet-50 without its classifier: ``(B, C, H, W)`` to five feature maps at 1/2, 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        stem = scaled_channels(STEM_CHANNELS, width)
        self.conv1 = nn.Conv2d(in_channels, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = stem
        self.channels = [stem]
        for stage, (blocks, full) in enumerate(zip(STAGE_BLOCKS, STAGE_CHANNELS, strict=True), start=1):
            out = scaled_channels(full, width)
            layers = []
            for block in range(blocks):
                stride = 2 if block == 0 and stage > 1 else 1
                layers.append(Bottleneck2d(channels, scaled_channels(full // 4, width), out, stride=stride))
                channels = out
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
            self.channels.append(out)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = torch.relu(self.bn1(self.conv1(x)))  # (B, 64w, H/2, W/2)
        features = [x]
        x = self.maxpool(x)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
            features.append(x)
        return features

    def train(self, mode: bool = True) -> ResNet50Encoder:
        """As always, but a batch normalization whose parameters are frozen keeps its statistics, too."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
        return self


class ResNet50UNet(nn.Module):
    """U-Net on a ResNet-50 encoder.

    Shape: ``(B, in_channels, H, W) -> (B, out_channels, H, W)`` logits; H and W multiples of 32.

    Args:
        in_channels: Input planes: sequences times neighboring slices.
        out_channels: Classes, background included (softmax).
        width: Multiplier of every channel count; 1 is the published network.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 2, width: float = 1.0) -> None:
        super().__init__()
        self.encoder = ResNet50Encoder(in_channels, width)
        skips = [*reversed(self.encoder.channels[:-1]), 0]
        channels = self.encoder.channels[-1]
        stages = []
        for skip, full in zip(skips, DECODER_CHANNELS, strict=True):
            out = scaled_channels(full, width)
            stages.append(UpConcat2d(channels, skip, out))
            channels = out
        self.decoder = nn.ModuleList(stages)
        self.head = nn.Conv2d(channels, out_channels, 1)
        self.size_divisor = SIZE_DIVISOR

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] % SIZE_DIVISOR or x.shape[-2] % SIZE_DIVISOR:
            padded = [-(-size // SIZE_DIVISOR) * SIZE_DIVISOR for size in x.shape[-2:]]
            raise ValueError(
                f"height and width must be multiples of {SIZE_DIVISOR}, got {tuple(x.shape[-2:])}; pad to {padded}"
            )
        features = self.encoder(x)
        y = features[-1]
        skips: list[Tensor | None] = [*reversed(features[:-1]), None]
        for stage, skip in zip(self.decoder, skips, strict=True):
            y = stage(y, skip)
        logits: Tensor = self.head(y)
        return logits

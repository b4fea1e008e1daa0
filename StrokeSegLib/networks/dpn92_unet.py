"""DPN92UNet: a dual path encoder, a slim decoder and a hypercolumn (S4, ischemia and hemorrhage on non-contrast CT).

Encoder (channels at full width, resolution of an H x W slice); every decoder stage ``d`` has 16 channels::

    stem     64 @ 1/2  -- 3x3 -> 16 --+-> d1 @ 1/2  ---------.
    stage1  336 @ 1/4  -- 3x3 -> 16 --+-> d2 @ 1/4  -- up ---|
    stage2  704 @ 1/8  -- 3x3 -> 16 --+-> d3 @ 1/8  -- up ---+-> 80 channels @ 1/2 -> 1x1 -> up -> logits
    stage3 1552 @ 1/16 -- 3x3 -> 16 --+-> d4 @ 1/16 -- up ---|
    stage4 2688 @ 1/32 -- 3x3 -> 16 ----> d5 @ 1/32 -- up ---'

Each ``+`` adds the stage below, upsampled. The outputs are independent (a sigmoid each, no softmax): ischemia and
hemorrhage are thresholded each for itself. Upsampling is bilinear. The paper is silent on the activation of the 3x3
bottlenecks; here they are linear, because the decoder stage that follows normalizes.

Reference of the encoder: Chen et al., Dual Path Networks, NeurIPS 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from StrokeSegLib.networks.blocks import ConvNormAct2d, scaled_channels

#: Dual path blocks in the four encoder stages: 3 * (3 + 4 + 20 + 3) convolutions, the stem and the classifier make 92.
STAGE_BLOCKS = (3, 4, 20, 3)
#: Channels of the residual path in the four stages.
RESIDUAL_CHANNELS = (256, 512, 1024, 2048)
#: Channels that each block appends to the dense path.
DENSE_CHANNELS = (16, 32, 24, 128)
#: Groups of the 3x3 convolutions, and the channels of one group in the four stages: 32 * 3 = 96 in the first.
GROUPS = 32
GROUP_CHANNELS = (3, 6, 12, 24)
STEM_CHANNELS = 64
#: Height and width must be multiples of this.
SIZE_DIVISOR = 32


class PreActConv2d(nn.Sequential):
    """Batch normalization, ReLU, convolution: ``(B, in, H, W) -> (B, out, H/stride, W/stride)``."""

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        )


class DualPathBlock(nn.Module):
    """1x1, grouped 3x3 and 1x1; the result is added to the residual path and appended to the dense path.

    The channels of a feature map are the residual path, then the dense path. ``project`` is for the first block of a
    stage: a 1x1 convolution makes a new residual path and the first two increments of a new dense path.

    Shape: ``(B, in, H, W) -> (B, in + dense, H, W)``; projected ``-> (B, residual + 3 * dense, H/stride, W/stride)``.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        residual_channels: int,
        dense_channels: int,
        *,
        groups: int,
        stride: int = 1,
        project: bool = False,
    ) -> None:
        super().__init__()
        self.residual_channels = residual_channels
        self.project = (
            PreActConv2d(in_channels, residual_channels + 2 * dense_channels, stride=stride) if project else None
        )
        self.conv1 = PreActConv2d(in_channels, mid_channels)
        self.conv2 = PreActConv2d(mid_channels, mid_channels, kernel=3, stride=stride, groups=groups)
        self.conv3 = PreActConv2d(mid_channels, residual_channels + dense_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(self.conv2(self.conv1(x)))
        shortcut = x if self.project is None else self.project(x)
        r = self.residual_channels
        return torch.cat([shortcut[:, :r] + y[:, :r], shortcut[:, r:], y[:, r:]], dim=1)


class DPN92Encoder(nn.Module):
    """DPN-92 without its classifier: ``(B, C, H, W)`` to five feature maps at 1/2, 1/4, 1/8, 1/16 and 1/32.

    The group count scales with the width and the size of a group stays, so that every width divides evenly.
    """

    def __init__(self, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        channels = scaled_channels(STEM_CHANNELS, width)
        self.stem = ConvNormAct2d(in_channels, channels, kernel=7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.channels = [channels]
        groups = max(1, round(GROUPS * width))
        self.stages = nn.ModuleList()
        table = zip(STAGE_BLOCKS, RESIDUAL_CHANNELS, DENSE_CHANNELS, GROUP_CHANNELS, strict=True)
        for stage, (blocks, full_residual, full_dense, of_group) in enumerate(table):
            residual, dense = scaled_channels(full_residual, width), scaled_channels(full_dense, width)
            layers = []
            for block in range(blocks):
                first = block == 0
                stride = 2 if first and stage > 0 else 1
                layers.append(
                    DualPathBlock(
                        channels, groups * of_group, residual, dense, groups=groups, stride=stride, project=first
                    )
                )
                channels = residual + (3 + block) * dense
            self.stages.append(nn.Sequential(*layers))
            self.channels.append(channels)
        # The blocks activate their inputs, so that the last one's output still waits for it.
        self.last = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)  # (B, 64w, H/2, W/2)
        features = [x]
        x = self.maxpool(x)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        features[-1] = self.last(x)
        return features


class ConcurrentSqueezeExcite2d(nn.Module):
    """Concurrent spatial and channel squeeze and excitation (scSE): ``(B, C, H, W)`` to the same shape.

    The features weighted channel by channel, plus the features weighted pixel by pixel: ``x * sigmoid(W1 relu(W2 z)) +
    x * sigmoid(w . x)``, with ``z`` the mean of each channel, and no biases, as printed.

    Args:
        channels: C, an even number.
        reduction: C over the channels between ``W2`` and ``W1``; the authors found 2 best.

    Reference: Roy, Navab, Wachinger, Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional
    Networks, MICCAI 2018.
    """

    def __init__(self, channels: int, reduction: int = 2) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.excite = nn.Conv2d(channels // reduction, channels, 1, bias=False)
        self.spatial = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        of_channel = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean(dim=(2, 3), keepdim=True)))))
        of_pixel = torch.sigmoid(self.spatial(x))
        return x * of_channel + x * of_pixel


class DPN92UNet(nn.Module):
    """Slim U-Net on a DPN-92 encoder.

    Shape: ``(B, in_channels, H, W) -> (B, out_channels, H, W)`` logits; H and W multiples of 32.

    Args:
        in_channels: Input planes; the paper repeats one slice three times.
        out_channels: Sigmoid outputs: ischemia, hemorrhage.
        width: Multiplier of every channel and group count of the encoder; 1 is the published network.
        decoder_channels: Channels of each decoder stage at any width.
        scse: Weight each decoder stage's output by ``ConcurrentSqueezeExcite2d``; the paper tried it and left it out.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        width: float = 1.0,
        decoder_channels: int = 16,
        scse: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = DPN92Encoder(in_channels, width)
        # Both from the finest (1/2) to the coarsest (1/32).
        self.bottlenecks = nn.ModuleList(
            nn.Conv2d(channels, decoder_channels, 3, padding=1) for channels in self.encoder.channels
        )
        self.decoder = nn.ModuleList(ConvNormAct2d(decoder_channels, decoder_channels) for _ in self.encoder.channels)
        self.gates = nn.ModuleList(ConcurrentSqueezeExcite2d(decoder_channels) for _ in self.decoder if scse)
        self.head = nn.Conv2d(len(self.decoder) * decoder_channels, out_channels, 1)
        self.size_divisor = SIZE_DIVISOR

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] % SIZE_DIVISOR or x.shape[-2] % SIZE_DIVISOR:
            padded = [-(-size // SIZE_DIVISOR) * SIZE_DIVISOR for size in x.shape[-2:]]
            raise ValueError(
                f"height and width must be multiples of {SIZE_DIVISOR}, got {tuple(x.shape[-2:])}; pad to {padded}"
            )
        slim = [bottleneck(f) for bottleneck, f in zip(self.bottlenecks, self.encoder(x), strict=True)]
        y = self._stage(4, slim[-1])  # d5: (B, 16, H/32, W/32)
        column = [_upsample(y, 16)]
        for level in (3, 2, 1, 0):
            y = self._stage(level, _upsample(y, 2) + slim[level])
            column.append(_upsample(y, 2**level))
        logits: Tensor = self.head(torch.cat(column[::-1], dim=1))  # (B, 80, H/2, W/2) -> (B, out, H/2, W/2)
        # A 1x1 convolution and an interpolation commute: 2 channels to upsample here instead of 80.
        return _upsample(logits, 2)

    def _stage(self, level: int, x: Tensor) -> Tensor:
        """One stage of the decoder, weighted where the network has gates."""
        y: Tensor = self.decoder[level](x)
        return self.gates[level](y) if self.gates else y  # type: ignore[no-any-return]


def _upsample(x: Tensor, factor: int) -> Tensor:
    """``(B, C, H, W) -> (B, C, factor * H, factor * W)``, bilinear."""
    return x if factor == 1 else functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

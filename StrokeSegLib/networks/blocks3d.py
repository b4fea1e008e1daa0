"""Building blocks that several 3D networks share.

Tensors are ``(B, C, z, y, x)`` (slices first, as the arrays of a ``Volume``). Convolutions that a normalization follows
have no bias: the normalization's own shift does its work.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Norm = Literal["instance", "batch", "none"]


def require_size(x: Tensor, divisor: int) -> None:
    """Refuses a size that the poolings of a network cannot halve evenly, before a layer fails with less to say.

    Args:
        x: ``(B, C, z, y, x)``.
        divisor: Every spatial size must be a multiple of it. Not all three may equal it: the deepest level would be a
            single voxel, of which no instance normalization exists.

    Raises:
        ValueError: The size does not fit; the message names the padded size that does.
    """
    size = tuple(x.shape[2:])
    if any(each % divisor for each in size) or all(each == divisor for each in size):
        padded = [-(-each // divisor) * divisor for each in size]
        if all(each == divisor for each in padded):
            padded[-1] *= 2
        raise ValueError(
            f"sizes must be multiples of {divisor}, one of them at least {2 * divisor}, got {size}; pad to {padded}"
        )


class Conv3d(nn.Conv3d):
    """A 3D convolution that is right in bfloat16 on a CPU too.

    There the bfloat16 gradient of a kernel of three over an image of two slices reads memory that was never written
    (torch 2.13 with AVX-512): weights become NaN now and then, or wrong without a sign. Such images stay in float32.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and x.shape[2] == 2 and self.kernel_size[0] == 3 and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        return super().forward(x)


def norm3d(kind: Norm, channels: int) -> nn.Module:
    """A normalization with a learned scale and shift, or nothing for ``none``.

    Raises:
        ValueError: Unknown kind.
    """
    if kind == "instance":
        return nn.InstanceNorm3d(channels, affine=True)
    if kind == "batch":
        return nn.BatchNorm3d(channels)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"unknown normalization {kind!r}; known: instance, batch, none")


class ConvNormAct3d(nn.Sequential):
    """3x3x3 (or ``kernel``) convolution, normalization, leaky ReLU: ``(B, in, z, y, x) -> (B, out, z/s, y/s, x/s)``.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel: 1 or 3.
        stride: ``s`` above.
        dilation: Of y and x. Never of z: the slabs are thin, a dilated kernel would mostly see padding there.
        norm: Kind of normalization.
        slope: Of the leaky ReLU below 0; 0 is the plain ReLU.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        norm: Norm = "instance",
        slope: float = 0.01,
    ) -> None:
        reach = kernel // 2
        conv = Conv3d(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=(reach, reach * dilation, reach * dilation),
            dilation=(1, dilation, dilation),
            bias=norm == "none",
        )
        super().__init__(conv, norm3d(norm, out_channels), nn.LeakyReLU(slope, inplace=True))


class UpConcat3d(nn.Module):
    """U-Net decoder stage: 2x2x2 transposed convolution, concatenation with the skip, two 3x3x3 convolutions.

    Shape: ``(B, in, z, y, x)`` and skip ``(B, skip, 2z, 2y, 2x) -> (B, out, 2z, 2y, 2x)``.
    ``up_channels`` leave the transposed convolution; the other settings are those of ``ConvNormAct3d``.
    """

    def __init__(
        self,
        in_channels: int,
        up_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        dilation: int = 1,
        norm: Norm = "instance",
        slope: float = 0.01,
    ) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(in_channels, up_channels, 2, stride=2, bias=False)
        self.conv1 = ConvNormAct3d(up_channels + skip_channels, out_channels, dilation=dilation, norm=norm, slope=slope)
        self.conv2 = ConvNormAct3d(out_channels, out_channels, dilation=dilation, norm=norm, slope=slope)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y = torch.cat([self.up(x), skip], dim=1)
        result: Tensor = self.conv2(self.conv1(y))
        return result


class SqueezeExcite3d(nn.Module):
    """Scales each channel by ``sigmoid(W2 relu(W1 mean(channel)))``: ``(B, C, z, y, x)`` to the same shape.

    No biases, as printed in S2 and as in the reference. At least two hidden channels, for with 16 channels and a
    reduction of 16 a single one would be left.
    Reference: Hu et al., Squeeze-and-Excitation Networks, TPAMI 42(8), 2020.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 2)
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.excite = nn.Linear(hidden, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3, 4))  # (B, C)
        scale = torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))
        return x * scale[:, :, None, None, None]

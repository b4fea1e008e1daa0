"""UNet3D: the shared network contract and the published number of parameters."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from network_contract import NetworkContract
from torch import nn

from StrokeSegLib.networks.blocks3d import UpConcat3d
from StrokeSegLib.networks.unet3d import UNet3D


class TestUNet3D(NetworkContract):
    key = "unet3d"
    settings: ClassVar[dict[str, Any]] = {"in_channels": 5, "out_channels": 1, "width": 0.125}
    shape = (2, 5, 8, 16, 24)
    out_channels = 1
    golden = (-0.0641536, -0.0566214, -0.0644819, -0.0657934, -0.0545446)


def test_kernels_and_one_offset_a_channel_are_the_published_19069955_parameters() -> None:
    # Çiçek et al. count, with 3 channels in and 3 classes out, kernels and offsets. The scales of the batch
    # normalizations, one a channel of the 14 convolutions, come on top.
    scales = 32 + 64 + 64 + 128 + 128 + 256 + 256 + 512 + 256 + 256 + 128 + 128 + 64 + 64
    assert sum(p.numel() for p in UNet3D(3, 3).parameters()) == 19_069_955 + scales


def test_it_has_four_levels_of_two_convolutions_and_ends_in_a_64_vector() -> None:
    net = UNet3D()
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv3d | nn.ConvTranspose3d)]
    assert len(convolutions) == 4 * 2 + 3 * 3 + 1
    assert net.head.in_channels == 64


def test_it_is_batch_normalization_and_relu_without_dropout_or_dilation() -> None:
    leaves = [m for m in UNet3D(width=0.125).modules() if not list(m.children())]
    kinds = {nn.Conv3d if isinstance(m, nn.Conv3d) else type(m) for m in leaves}
    assert kinds == {nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.LeakyReLU, nn.MaxPool3d}
    assert {m.negative_slope for m in UNet3D(width=0.125).modules() if isinstance(m, nn.LeakyReLU)} == {0.0}
    assert {m.dilation for m in UNet3D(width=0.125).modules() if isinstance(m, nn.Conv3d)} == {(1, 1, 1)}


def test_width_scales_every_level() -> None:
    with torch.device("meta"):
        net = UNet3D(width=0.25)
    assert [(level[0][0].out_channels, level[1][0].out_channels) for level in net.encoder] == [
        (8, 16),
        (16, 32),
        (32, 64),
        (64, 128),
    ]


def test_the_decoder_stage_is_monais_transposed_convolution_on_equal_weights() -> None:
    pytest.importorskip("monai")
    from monai.networks.blocks import UnetUpBlock

    torch.manual_seed(0)
    ours = UpConcat3d(8, 4, 4, 4)
    theirs = UnetUpBlock(
        3, 8, 4, kernel_size=3, stride=2, upsample_kernel_size=2, norm_name=("instance", {"affine": True})
    )
    copies = {
        "transp_conv.conv": ours.up,
        "conv_block.conv1.conv": ours.conv1[0],
        "conv_block.norm1": ours.conv1[1],
        "conv_block.conv2.conv": ours.conv2[0],
        "conv_block.norm2": ours.conv2[1],
    }
    for name, part in copies.items():
        theirs.get_submodule(name).load_state_dict(part.state_dict())
    x, skip = torch.randn(2, 8, 3, 4, 5), torch.randn(2, 4, 6, 8, 10)
    assert torch.allclose(ours(x, skip), theirs(x, skip), atol=1e-5)

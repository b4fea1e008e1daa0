"""ResNet50UNet: the shared network contract, published sizes and parameter counts."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from network_contract import NetworkContract

from StrokeSegLib.networks.resnet50_unet import ResNet50Encoder, ResNet50UNet


class TestResNet50UNet(NetworkContract):
    key = "resnet50-unet"
    settings: ClassVar[dict[str, Any]] = {"in_channels": 6, "out_channels": 2, "width": 0.125}
    shape = (2, 6, 64, 96)
    out_channels = 2
    golden = (0.203003, 0.203943, 0.413956, 0.203984, 0.414373)


def test_the_full_width_encoder_has_the_published_number_of_parameters() -> None:
    # ResNet-50 has 25,557,032 parameters with its 2048 -> 1000 classifier: 25,557,032 - 2048 * 1000 - 1000.
    assert sum(p.numel() for p in ResNet50Encoder(3).parameters()) == 23_508_032


def test_the_encoder_halves_the_resolution_five_times_with_the_published_channels() -> None:
    with torch.inference_mode():
        features = ResNet50Encoder(3).eval()(torch.zeros(1, 3, 128, 128))
    assert [tuple(f.shape[1:]) for f in features] == [
        (64, 64, 64),
        (256, 32, 32),
        (512, 16, 16),
        (1024, 8, 8),
        (2048, 4, 4),
    ]


def test_width_scales_every_stage() -> None:
    assert ResNet50Encoder(3, width=0.25).channels == [16, 64, 128, 256, 512]


def test_parameter_names_are_torchvisions() -> None:
    names = set(ResNet50Encoder(3).state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.0.weight", "layer4.2.bn3.bias"} <= names


def test_the_stem_sees_every_input_plane() -> None:
    torch.manual_seed(0)
    net = ResNet50UNet(6, 2, 0.125).train()
    x = torch.randn(2, 6, 64, 64, requires_grad=True)
    net(x).square().sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(dim=(0, 2, 3)) > 0).all()

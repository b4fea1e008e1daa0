"""A narrower network begins with what matters most of a wider one's weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from StrokeSegLib.networks.blocks3d import Conv3d
from StrokeSegLib.networks.resnet50_unet import ResNet50UNet
from StrokeSegLib.training.narrowing import can_be_narrowed, narrowed

PLANES = 10


def network(width: float, seed: int = 0, planes: int = PLANES) -> ResNet50UNet:
    """A network whose normalizations have seen something."""
    torch.manual_seed(seed)
    net = ResNet50UNet(planes, 2, width)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.rpartition(".")[2] in ("running_mean", "running_var"):
                value.copy_(torch.rand_like(value) + 0.5)
            elif value.ndim == 1 and value.is_floating_point():
                value.copy_(torch.rand_like(value) - 0.3)
    return net.eval()


def silence(net: ResNet50UNet, narrow: ResNet50UNet) -> None:
    """Makes as many channels of every layer give zero as the narrow network lacks: scattered ones, one set a stage."""
    sets: dict[tuple[str, int], Tensor] = {}
    sizes = {name: value.shape for name, value in narrow.state_dict().items()}
    with torch.no_grad():
        for name, value in net.state_dict().items():
            parent, _, kind = name.rpartition(".")
            if value.ndim != 1 or kind not in ("weight", "bias"):
                continue
            stage = parent.split(".")[1] if parent.endswith(("bn3", "downsample.1")) else parent
            lacking = value.shape[0] - sizes[name][0]
            dead = sets.setdefault((stage, lacking), torch.randperm(value.shape[0])[:lacking])
            value[dead] = 0
            if parent.endswith(".up"):
                net.state_dict()[f"{parent}.weight"][:, dead] = 0


def test_without_channels_that_give_zero_the_network_says_the_same() -> None:
    wide, narrow = network(0.25), network(0.2, seed=1)
    silence(wide, narrow)
    assert can_be_narrowed(narrow, wide.state_dict())
    narrow.load_state_dict(narrowed(narrow, wide.state_dict()), strict=False)
    x = torch.randn(2, PLANES, 64, 96)
    with torch.no_grad():
        wanted, got = wide(x), narrow(x)
    assert wanted.std() > 0.01
    assert (got - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_weights_of_the_same_width_stay_as_they_are() -> None:
    net, same = network(0.2), network(0.2, seed=1)
    cut = narrowed(same, net.state_dict())
    for name, value in net.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(cut[name], value), name


def test_every_weight_is_there_in_the_narrow_networks_size() -> None:
    narrow = network(0.2)
    cut = narrowed(narrow, network(0.3).state_dict())
    sizes = {
        name: value.shape for name, value in narrow.state_dict().items() if not name.endswith("num_batches_tracked")
    }
    assert {name: value.shape for name, value in cut.items()} == sizes


@pytest.mark.parametrize("other", [network(0.15), network(0.25, planes=PLANES + 1), Conv3d(1, 1, 1)])
def test_what_is_narrower_or_reads_something_else_is_not_cut(other: torch.nn.Module) -> None:
    assert not can_be_narrowed(network(0.2), other.state_dict())
    assert not can_be_narrowed(Conv3d(1, 1, 1), Conv3d(1, 2, 1).state_dict())

"""ResidualSEUNet3D: the shared network contract, hand-counted parameters, blocks equal to MONAI's."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from network_contract import NetworkContract
from torch import nn

from StrokeSegLib.networks.blocks3d import SqueezeExcite3d
from StrokeSegLib.networks.residual_se_unet3d import ResidualSEBlock, ResidualSEUNet3D, SqueezeExcite, UpHalveConcat


class TestStandard(NetworkContract):
    key = "residual-se-unet3d"
    settings: ClassVar[dict[str, Any]] = {"in_channels": 1, "out_channels": 1, "width": 0.25, "reduction": 2}
    shape = (2, 1, 8, 16, 24)
    out_channels = 1
    golden = (-0.187513, -0.0118575, -0.272708, 0.0338166, 0.73087)

    def build(self) -> nn.Module:
        # Shifts as after some training: while they are 0, the squeezed means are, and no gate gets a gradient.
        net = super().build()
        for module in net.modules():
            if isinstance(module, nn.InstanceNorm3d):
                nn.init.normal_(module.bias)
        return net


class TestPost(NetworkContract):
    key = "residual-se-unet3d"
    settings: ClassVar[dict[str, Any]] = {
        "in_channels": 2,
        "out_channels": 2,
        "width": 0.25,
        "squeeze_excite": "post",
        "reduction": 1,  # eight hidden channels: of two, the ReLU may leave none, and then nothing has a gradient
    }
    shape = (2, 2, 8, 16, 24)
    out_channels = 2
    golden = (0.0103368, 0.123275, -0.328741, 0.440667, -0.248758)


class TestBareUNet(NetworkContract):
    """The first row of the ablation: no residual, no gate; and no normalization, which no row has."""

    key = "residual-se-unet3d"
    settings: ClassVar[dict[str, Any]] = {
        "width": 0.25,
        "residual": False,
        "squeeze_excite": "none",
        "norm": "none",
    }
    shape = (2, 1, 8, 16, 24)
    out_channels = 1
    golden = (-0.0105598, -0.00938153, -0.00722279, -0.00189385, -0.00265255)


def block_parameters(before: int, after: int, *, residual: bool, gated: bool) -> int:
    convolutions = 27 * before * after + 27 * after * after + 2 * (2 * after)
    gate = 2 * after * max(after // 16, 2)
    return convolutions + residual * (before * after + after) + gated * gate


@pytest.mark.parametrize(
    ("residual", "squeeze_excite", "pinned"),
    [(False, "none", 5_300_065), (True, "none", 5_386_817), (True, "standard", 5_400_385), (True, "post", 5_400_385)],
)
def test_parameters_are_those_of_the_hand_count(residual: bool, squeeze_excite: SqueezeExcite, pinned: int) -> None:
    c = (32, 64, 128, 256)
    pairs = [(1, 32), (32, 64), (64, 128), (128, 256), (256, 128), (128, 64), (64, 32)]
    blocks = sum(block_parameters(a, b, residual=residual, gated=squeeze_excite != "none") for a, b in pairs)
    halving = sum(2 * each * each + each for each in c[:-1])
    assert blocks + halving + 32 + 1 == pinned
    net = ResidualSEUNet3D(residual=residual, squeeze_excite=squeeze_excite)
    assert sum(p.numel() for p in net.parameters()) == pinned


def test_a_gate_sits_in_every_block_with_at_least_two_hidden_channels() -> None:
    gates = [m for m in ResidualSEUNet3D().modules() if isinstance(m, SqueezeExcite3d)]
    assert [(g.squeeze.in_features, g.squeeze.out_features) for g in gates] == [
        (32, 2),
        (64, 4),
        (128, 8),
        (256, 16),
        (128, 8),
        (64, 4),
        (32, 2),
    ]
    assert SqueezeExcite3d(16).squeeze.out_features == 2


def test_levels_halve_and_double_as_specified() -> None:
    net = ResidualSEUNet3D(width=0.25).eval()
    seen: list[tuple[int, ...]] = []
    for stage in [*net.encoder, *net.decoder]:
        stage.register_forward_hook(lambda _m, _x, y: seen.append(tuple(y.shape[1:])))
    with torch.inference_mode():
        net(torch.zeros(1, 1, 16, 32, 32))
    down = [(8, 16, 32, 32), (16, 8, 16, 16), (32, 4, 8, 8), (64, 2, 4, 4)]
    assert seen == [*down, *down[-2::-1]]


def test_upsampling_is_trilinear() -> None:
    # Along x: 0 and 4, twice as fine with half-voxel centers, is 0, 1, 3, 4.
    x = torch.tensor([0.0, 4.0]).expand(1, 1, 2, 2, 2)
    join = UpHalveConcat(1, 1)
    nn.init.ones_(join.halve.weight)
    nn.init.zeros_(join.halve.bias)
    y = join(x, torch.zeros(1, 1, 4, 4, 4))
    assert y.shape == (1, 2, 4, 4, 4)
    assert torch.equal(y[0, 0], torch.tensor([0.0, 1.0, 3.0, 4.0]).expand(4, 4, 4))


def test_the_gate_is_the_printed_equation() -> None:
    # Two channels of means 1 and 3; W1 = [[1, 1], [-1, 0]] gives relu(4, -1) = (4, 0); W2 = [[.25, 9], [-.5, 9]] gives
    # (1, -2).
    gate = SqueezeExcite3d(2)
    gate.load_state_dict(
        {
            "squeeze.weight": torch.tensor([[1.0, 1.0], [-1.0, 0.0]]),
            "excite.weight": torch.tensor([[0.25, 9.0], [-0.5, 9.0]]),
        }
    )
    x = torch.tensor([[0.0, 2.0], [2.0, 4.0]]).reshape(1, 2, 1, 1, 2)
    expected = x * torch.tensor([1.0, -2.0]).sigmoid().reshape(1, 2, 1, 1, 1)
    assert torch.allclose(gate(x), expected)


def test_the_gate_is_monais_without_biases_on_equal_weights() -> None:
    pytest.importorskip("monai")
    from monai.networks.blocks import ChannelSELayer

    torch.manual_seed(0)
    ours, theirs = SqueezeExcite3d(64, 16), ChannelSELayer(3, 64, r=16)
    with torch.no_grad():
        for linear, weight in ((theirs.fc[0], ours.squeeze.weight), (theirs.fc[2], ours.excite.weight)):
            linear.weight.copy_(weight)
            linear.bias.zero_()
    x = torch.randn(2, 64, 3, 4, 5) + torch.randn(2, 64, 1, 1, 1)
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)


def test_the_block_is_monais_on_equal_weights() -> None:
    pytest.importorskip("monai")
    from monai.networks.blocks import SEBlock

    torch.manual_seed(0)
    leaky = ("leakyrelu", {"negative_slope": 0.01})
    unit = {"kernel_size": 3, "norm": ("instance", {"affine": True}), "bias": False}
    bare = {"kernel_size": 1, "conv_only": True, "bias": False}
    ours = ResidualSEBlock(8, 32)
    theirs = SEBlock(3, 8, 32, 32, 32, {**unit, "act": leaky}, {**unit, "act": None}, bare, r=16, acti_type_final=leaky)
    for norm in (ours.conv1[1], ours.norm2):  # else the gate would be a half everywhere
        nn.init.normal_(norm.bias)
    with torch.no_grad():
        # MONAI's block has a third convolution: made an identity.
        theirs.conv3.conv.weight.copy_(torch.eye(32)[:, :, None, None, None])
        theirs.se_layer.fc[0].weight.copy_(ours.gate.squeeze.weight)
        theirs.se_layer.fc[2].weight.copy_(ours.gate.excite.weight)
        theirs.se_layer.fc[0].bias.zero_()
        theirs.se_layer.fc[2].bias.zero_()
    theirs.project.load_state_dict(ours.shortcut.state_dict())
    theirs.conv1.conv.load_state_dict(ours.conv1[0].state_dict())
    theirs.conv1.adn.N.load_state_dict(ours.conv1[1].state_dict())
    theirs.conv2.conv.load_state_dict(ours.conv2.state_dict())
    theirs.conv2.adn.N.load_state_dict(ours.norm2.state_dict())
    x = torch.randn(2, 8, 4, 5, 6)
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)


def gate_scales(squeeze_excite: SqueezeExcite) -> torch.Tensor:
    """What a block's gate multiplies the channels of two very different images with: (2 images, C)."""
    torch.manual_seed(0)
    block = ResidualSEBlock(1, 32, squeeze_excite=squeeze_excite).eval()
    nn.init.normal_(block.norm2.bias)
    scales: list[torch.Tensor] = []
    block.gate.excite.register_forward_hook(lambda _m, _x, y: scales.append(y.sigmoid()))
    x = torch.randn(2, 1, 8, 8, 8)
    x[1] = 5 * x[1].exp() + 3
    with torch.inference_mode():
        block(x)
    return scales[0]


def test_a_gate_behind_an_instance_normalization_is_the_same_for_every_image() -> None:
    one, other = gate_scales("standard")
    assert torch.allclose(one, other, atol=1e-5)


def test_a_gate_behind_the_add_differs_between_images() -> None:
    one, other = gate_scales("post")
    assert (one - other).abs().max() > 0.05


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_the_normalization_is_the_one_asked_for(norm: str) -> None:
    kinds = {type(m) for m in ResidualSEUNet3D(width=0.25, norm=norm).modules()}  # type: ignore[arg-type]
    wanted = {"instance": {nn.InstanceNorm3d}, "batch": {nn.BatchNorm3d}, "none": set()}[norm]
    assert kinds & {nn.InstanceNorm3d, nn.BatchNorm3d} == wanted


@pytest.mark.parametrize("wrong", [{"norm": "group"}, {"squeeze_excite": "pre"}, {"channels": (32,)}])
def test_a_wrong_setting_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown|two levels"):
        ResidualSEUNet3D(**wrong)

"""DPN92UNet: the shared network contract, published sizes and parameter counts, the dual path by hand."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from network_contract import NetworkContract
from torch.nn import functional

from StrokeSegLib.networks.dpn92_unet import DPN92Encoder, DPN92UNet, DualPathBlock

#: (blocks, middle channels, residual channels, dense increment) of the stages, as in the DPN paper's table.
STAGES = ((3, 96, 256, 16), (4, 192, 512, 32), (20, 384, 1024, 24), (3, 768, 2048, 128))
CHANNELS = (64, 336, 704, 1552, 2688)


class TestDPN92UNet(NetworkContract):
    key = "dpn92-unet"
    settings: ClassVar[dict[str, Any]] = {"in_channels": 3, "out_channels": 2, "width": 0.125}
    shape = (2, 3, 64, 96)
    out_channels = 2

    golden = (-0.609197, -0.652476, -1.579257, -0.772187, -1.186119)

    def build(self) -> torch.nn.Module:
        # With fresh BatchNorms the deep features fade to a hundredth, and no test here would miss them.
        net = super().build()
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.fill_(0.3)
        return net


@pytest.fixture(scope="module")
def full_encoder() -> DPN92Encoder:
    return DPN92Encoder(3).eval()


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def encoder_formula() -> int:
    """Weights of DPN-92 without its classifier, term by term (no convolution has a bias; a BatchNorm has two)."""
    total = 64 * 3 * 7 * 7 + 2 * 64
    channels = 64
    for blocks, mid, residual, dense in STAGES:
        total += 2 * channels + channels * (residual + 2 * dense)  # the projection of the stage's first block
        for block in range(blocks):
            total += 2 * channels + channels * mid  # 1x1
            total += 2 * mid + mid * (mid // 32) * 9  # 3x3 in 32 groups
            total += 2 * mid + mid * (residual + dense)  # 1x1
            channels = residual + (3 + block) * dense
    return total + 2 * channels


def test_the_full_width_encoder_has_the_published_number_of_parameters(full_encoder: DPN92Encoder) -> None:
    assert parameters(full_encoder) == encoder_formula() == 34_979_392
    # Published: 37.67 million with the 2688 -> 1000 classifier.
    assert round((parameters(full_encoder) + 2688 * 1000 + 1000) / 1e6, 2) == 37.67


def test_the_slim_decoder_adds_its_few_parameters(full_encoder: DPN92Encoder) -> None:
    bottlenecks = sum(channels * 16 * 9 + 16 for channels in CHANNELS)
    stages = 5 * (16 * 16 * 9 + 2 * 16)
    head = 80 * 2 + 2
    assert parameters(DPN92UNet()) == parameters(full_encoder) + bottlenecks + stages + head


def test_the_encoder_halves_the_resolution_five_times_with_the_published_channels(full_encoder: DPN92Encoder) -> None:
    with torch.inference_mode():
        features = full_encoder(torch.zeros(1, 3, 64, 96))
    sizes = [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert [tuple(f.shape[1:]) for f in features] == [(c, *size) for c, size in zip(CHANNELS, sizes, strict=True)]
    assert full_encoder.channels == list(CHANNELS)


def grouped(net: torch.nn.Module) -> list[tuple[int, int]]:
    """(groups, channels a group) of the first 3x3 convolution of each stage."""
    found = [block[0].conv2[2] for block in net.stages]
    return [(conv.groups, conv.in_channels // conv.groups) for conv in found]


@pytest.mark.parametrize(("width", "groups"), [(1.0, 32), (0.5, 16), (0.25, 8), (0.125, 4), (0.01, 1)])
def test_the_number_of_groups_scales_with_width_and_the_size_of_a_group_does_not(width: float, groups: int) -> None:
    with torch.device("meta"):
        assert grouped(DPN92Encoder(3, width)) == [(groups, 3), (groups, 6), (groups, 12), (groups, 24)]


def test_width_scales_every_stage() -> None:
    with torch.device("meta"):
        # A quarter: residual + (blocks + 2) increments, 64 + 5*4, 128 + 6*8, 256 + 22*8 (24/4 = 6 rounds to 8), ...
        assert DPN92Encoder(3, 0.25).channels == [16, 64 + 5 * 4, 128 + 6 * 8, 256 + 22 * 8, 512 + 5 * 32]


def by_hand(block: DualPathBlock, x: torch.Tensor) -> torch.Tensor:
    """Shortcut and convolutions with fresh BatchNorms at inference: x / sqrt(1 + eps), ReLU, convolution."""

    def step(name: str, x: torch.Tensor, **how: int) -> torch.Tensor:
        weight = dict(block.named_parameters())[f"{name}.2.weight"]
        return functional.conv2d(torch.relu(x / (1 + 1e-5) ** 0.5), weight, **how)

    stride = block.conv2[2].stride[0]
    y = step("conv3", step("conv2", step("conv1", x), stride=stride, padding=1, groups=2))
    shortcut = step("project", x, stride=stride) if block.project is not None else x
    return torch.cat([shortcut[:, :8] + y[:, :8], shortcut[:, 8:], y[:, 8:]], dim=1)


def test_the_first_block_of_a_stage_projects_and_starts_the_dense_path_with_three_increments() -> None:
    torch.manual_seed(0)
    block = DualPathBlock(6, 4, 8, 3, groups=2, stride=2, project=True).eval()
    x = torch.randn(1, 6, 8, 8)
    with torch.inference_mode():
        y = block(x)
        assert y.shape == (1, 8 + 3 * 3, 4, 4)
        torch.testing.assert_close(y, by_hand(block, x))


def test_a_later_block_adds_to_the_residual_path_and_appends_one_increment_to_the_dense_path() -> None:
    torch.manual_seed(0)
    block = DualPathBlock(8 + 9, 4, 8, 3, groups=2).eval()
    x = torch.randn(1, 8 + 9, 4, 4)
    with torch.inference_mode():
        y = block(x)
        assert y.shape == (1, 8 + 9 + 3, 4, 4)
        assert torch.equal(y[:, 8:17], x[:, 8:])
        torch.testing.assert_close(y, by_hand(block, x))


def test_the_head_on_the_hypercolumn_at_half_size_equals_the_head_on_it_at_full_size() -> None:
    torch.manual_seed(0)
    net = DPN92UNet(width=0.125).eval()
    seen = []
    net.head.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    with torch.inference_mode():
        y = net(torch.randn(1, 3, 64, 64))
        assert seen[0].shape == (1, 80, 32, 32)
        full = functional.interpolate(seen[0], scale_factor=2, mode="bilinear", align_corners=False)
        expected = functional.conv2d(full, net.head.weight, net.head.bias)
    torch.testing.assert_close(y, expected, atol=1e-5, rtol=1e-5)


def test_every_decoder_output_is_in_the_hypercolumn() -> None:
    # Only one decoder output's part of the head is left: the logits still depend on the input through it.
    torch.manual_seed(0)
    net = DPN92UNet(width=0.125).eval()
    a, b = torch.randn(2, 1, 3, 64, 64)
    for stage in range(5):
        part = torch.zeros_like(net.head.weight)
        part[:, 16 * stage : 16 * (stage + 1)] = 1
        with torch.inference_mode():
            net.head.weight.copy_(part)
            assert not torch.allclose(net(a), net(b))


def test_the_two_outputs_are_not_a_softmax_pair() -> None:
    # Ischemia and hemorrhage are judged each for itself: raising one logit's bias leaves the other's as it was.
    torch.manual_seed(0)
    net = DPN92UNet(width=0.125).eval()
    x = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        before = net(x)
        net.head.bias[0] += 3
        after = net(x)
    torch.testing.assert_close(after[:, 0], before[:, 0] + 3)
    assert torch.equal(after[:, 1], before[:, 1])


def test_one_slice_of_the_smallest_size_goes_through() -> None:
    with torch.inference_mode():
        assert DPN92UNet(width=0.125).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 2, 32, 32)


@pytest.mark.parametrize(("size", "padded"), [((33, 64), "[64, 64]"), ((512, 500), "[512, 512]"), ((1, 1), "[32, 32]")])
def test_an_odd_size_is_refused_and_the_padded_size_named(size: tuple[int, int], padded: str) -> None:
    with pytest.raises(ValueError, match="multiples of 32") as caught:
        DPN92UNet(width=0.125).eval()(torch.zeros(1, 3, *size))
    assert f"pad to {padded}" in str(caught.value)

"""DilatedUNet3D: the shared network contract, convolutions and parameters counted, what dilation reaches."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from network_contract import NetworkContract
from torch import nn

from StrokeSegLib.networks.blocks3d import ConvNormAct3d
from StrokeSegLib.networks.dilated_unet3d import DilatedUNet3D, Dilation, Variant


class TestResidual(NetworkContract):
    key = "dilated-unet3d"
    settings: ClassVar[dict[str, Any]] = {"in_channels": 5, "out_channels": 1, "width": 0.25}
    shape = (2, 5, 16, 32, 48)
    out_channels = 1
    golden = (0.215564, 0.277973, 0.393596, -0.101644, 0.674416)


class TestPlain(NetworkContract):
    key = "dilated-unet3d"
    settings: ClassVar[dict[str, Any]] = {"in_channels": 5, "out_channels": 2, "width": 0.25, "variant": "plain"}
    shape = (2, 5, 16, 32, 48)
    out_channels = 2
    golden = (0.0433601, -1.01557, 0.250118, -0.659387, 0.0538762)


def convolutions(net: nn.Module) -> list[nn.Conv3d | nn.ConvTranspose3d]:
    return [m for m in net.modules() if isinstance(m, nn.Conv3d | nn.ConvTranspose3d)]


def test_the_plain_variant_has_the_texts_23_convolutions() -> None:
    assert len(convolutions(DilatedUNet3D(variant="plain"))) == 5 * 2 + 4 * 3 + 1 == 23


def test_the_residual_variant_has_the_ancestors_30_convolutions() -> None:
    assert len(convolutions(DilatedUNet3D(variant="residual"))) == 5 * 3 + 4 * 3 + 3 == 30


def unit(before: int, after: int, kernel: int = 3) -> int:
    """Parameters of a convolution without bias and of its normalization's scale and shift."""
    return kernel**3 * before * after + 2 * after


def test_the_residual_variants_parameters_are_those_of_the_hand_count() -> None:
    c = (16, 32, 64, 128, 256)
    encoder = sum(unit(a, b) + 2 * unit(b, b) for a, b in zip((5, *c), c, strict=False))
    decoder = sum(unit(2 * a, a) + unit(2 * a, a) + unit(a, a, 1) for a in c[:-1])
    heads = (16 + 1) + (32 + 1) + (64 + 1)
    assert encoder + decoder + heads == 8_267_555
    assert sum(p.numel() for p in DilatedUNet3D().parameters()) == 8_267_555


def test_the_plain_variants_parameters_are_those_of_the_hand_count() -> None:
    c = (16, 32, 64, 128, 256)
    encoder = sum(unit(a, b) + unit(b, b) for a, b in zip((5, *c), c, strict=False))
    decoder = sum(8 * 2 * a * a + unit(2 * a, a) + unit(a, a) for a in c[:-1])
    assert encoder + decoder + 16 + 1 == 5_647_873
    assert sum(p.numel() for p in DilatedUNet3D(variant="plain").parameters()) == 5_647_873


@pytest.mark.parametrize(("width", "channels"), [(4, [64, 128, 256, 512, 1024]), (0.5, [8, 16, 32, 64, 128])])
def test_width_scales_every_level(width: float, channels: list[int]) -> None:
    with torch.device("meta"):
        net = DilatedUNet3D(width=width)
    assert [level.enter[0].out_channels for level in net.encoder] == channels


def test_every_level_halves_the_slab_and_heads_stand_on_the_three_finest() -> None:
    net = DilatedUNet3D(width=0.25).eval()
    seen: dict[str, tuple[int, ...]] = {}
    for name, part in [(f"level{i}", each) for i, each in enumerate(net.encoder)] + [
        (f"head{i}", each) for i, each in enumerate(net.heads)
    ]:
        part.register_forward_hook(lambda _m, _x, y, name=name: seen.update({name: tuple(y.shape[1:])}))
    with torch.inference_mode():
        net(torch.zeros(1, 5, 32, 64, 64))
    assert seen == {
        "level0": (4, 32, 64, 64),
        "level1": (8, 16, 32, 32),
        "level2": (16, 8, 16, 16),
        "level3": (32, 4, 8, 8),
        "level4": (64, 2, 4, 4),
        "head2": (1, 8, 16, 16),
        "head1": (1, 16, 32, 32),
        "head0": (1, 32, 64, 64),
    }


def test_deep_supervision_sums_the_upsampled_heads() -> None:
    net = DilatedUNet3D(width=0.25).eval()
    for head, value in zip(net.heads, (1.0, 10.0, 100.0), strict=True):
        nn.init.zeros_(head.weight)
        nn.init.constant_(head.bias, value)
    with torch.inference_mode():
        y = net(torch.zeros(1, 5, 16, 16, 32))
    assert torch.equal(y, torch.full((1, 1, 16, 16, 32), 111.0))


def dilated(net: nn.Module) -> list[str]:
    return [n for n, m in net.named_modules() if isinstance(m, nn.Conv3d) and m.dilation == (1, 2, 2)]


@pytest.mark.parametrize(
    ("variant", "dilation", "count"),
    [
        ("residual", "none", 0),
        ("residual", "first", 1),
        ("residual", "context", 1 + 5 * 2),
        ("residual", "all", 1 + 5 * 2 + 4 * 2),
        ("plain", "none", 0),
        ("plain", "first", 1),
        ("plain", "context", 3),
        ("plain", "all", 5 * 2 + 4 * 2),
    ],
)
def test_each_dilation_dilates_as_many_convolutions_as_specified_and_never_z(
    variant: Variant, dilation: Dilation, count: int
) -> None:
    net = DilatedUNet3D(variant=variant, dilation=dilation, width=0.25)
    assert len(dilated(net)) == count
    assert {conv.dilation for conv in convolutions(net)} <= {(1, 1, 1), (1, 2, 2)}


def test_context_dilates_the_convolutions_that_the_variant_names() -> None:
    residual = DilatedUNet3D(dilation="context", width=0.25)
    assert dilated(residual)[:3] == ["encoder.0.enter.0", "encoder.0.context.0.0", "encoder.0.context.2.0"]
    plain = DilatedUNet3D(dilation="context", variant="plain", width=0.25)
    assert dilated(plain) == ["encoder.2.3.0", "encoder.3.3.0", "encoder.4.3.0"]


def reach(net: nn.Module, shape: tuple[int, int, int], channels: int) -> list[tuple[int, int]]:
    """How far before and behind the middle voxel along z, y and x an input voxel moves that voxel's output."""
    middle = [each // 2 for each in shape]
    x = torch.randn(1, channels, *shape, generator=torch.Generator().manual_seed(1), requires_grad=True)
    net(x)[0, 0, middle[0], middle[1], middle[2]].backward()
    assert x.grad is not None
    moved = x.grad[0].abs().sum(dim=0).nonzero()
    ends = zip(middle, moved.amin(dim=0).tolist(), moved.amax(dim=0).tolist(), strict=True)
    return [(m - low, high - m) for m, low, high in ends]


def local(net: nn.Module) -> nn.Module:
    """Without what would reach over the whole image (normalization) or hide a way (max-pooling, dropout)."""
    for name, module in list(net.named_modules()):
        parent, _, child = name.rpartition(".")
        if isinstance(module, nn.InstanceNorm3d):
            setattr(net.get_submodule(parent), child, nn.Identity())
        if isinstance(module, nn.MaxPool3d):
            setattr(net.get_submodule(parent), child, nn.AvgPool3d(2))
    return net.eval()


def test_a_dilated_convolution_reaches_two_voxels_in_plane_and_one_slice_up_and_down() -> None:
    x = torch.zeros(1, 1, 5, 7, 7, requires_grad=True)
    local(ConvNormAct3d(1, 4, dilation=2))(x)[0, :, 2, 3, 3].sum().backward()
    assert x.grad is not None
    touched = {tuple(each) for each in (x.grad[0, 0].nonzero() - torch.tensor([2, 3, 3])).tolist()}
    assert touched == {(k, j, i) for k in (-1, 0, 1) for j in (-2, 0, 2) for i in (-2, 0, 2)}


@pytest.mark.parametrize(
    ("dilation", "in_plane"),
    # Two levels, from the output back to the input, in fine voxels: two decoder convolutions 1 each, two context
    # convolutions at half resolution 2 each, the strided convolution 1, context 1 each, the first convolution 1.
    [
        ("none", 2 * 1 + 2 * 2 + 1 + 2 * 1 + 1),
        ("first", 2 * 1 + 2 * 2 + 1 + 2 * 1 + 2),
        ("context", 2 * 1 + 2 * 4 + 1 + 2 * 2 + 2),
        ("all", 2 * 2 + 2 * 4 + 1 + 2 * 2 + 2),
    ],
)
def test_dilation_widens_what_a_voxel_of_the_residual_variant_sees_in_plane_only(
    dilation: Dilation, in_plane: int
) -> None:
    torch.manual_seed(0)
    net = local(DilatedUNet3D(1, channels=(4, 4), dilation=dilation))
    assert reach(net, (24, 44, 44), 1) == [(10, 10), (in_plane, in_plane), (in_plane, in_plane)]


@pytest.mark.parametrize(("dilation", "rate"), [("none", 1), ("context", 2)])
def test_dilation_widens_what_a_voxel_of_the_plain_variant_sees_in_plane_only(dilation: Dilation, rate: int) -> None:
    # Three levels, only the third's second convolution dilated. From the output back, in fine voxels: 2 convolutions at
    # full, 2 at half and 2 at quarter resolution, then 2 and 2 again. Behind, rounding down to quarter voxels loses 2
    # and ending on the last voxel of a pool's block gains 2 and 1; before, the same rounding gains 2.
    behind = 2 + 2 * 2 - 2 + 4 * (1 + rate) + 2 + 2 * 2 + 1 + 2
    before = 2 + 2 * 2 + 2 + 4 * (1 + rate) + 2 * 2 + 2
    torch.manual_seed(0)
    net = local(DilatedUNet3D(1, channels=(4, 4, 4), variant="plain", dilation=dilation))
    assert reach(net, (48, 56, 56), 1) == [(22, 21), (before, behind), (before, behind)]


def test_dropout_drops_whole_channels_and_only_in_training() -> None:
    for variant in ("residual", "plain"):
        drops = [m for m in DilatedUNet3D(variant=variant, width=0.25).modules() if isinstance(m, nn.Dropout3d)]
        assert [m.p for m in drops] == [0.5] * 5
    x = torch.ones(1, 64, 2, 2, 2)
    y = drops[0].train()(x)
    assert {tuple(channel.unique().tolist()) for channel in y[0]} == {(0.0,), (2.0,)}


def test_the_slope_is_every_activations() -> None:
    slopes = {m.negative_slope for m in DilatedUNet3D(slope=0.3, width=0.25).modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.3}


@pytest.mark.parametrize("wrong", [{"variant": "dense"}, {"dilation": "z"}, {"channels": (16,)}])
def test_a_wrong_setting_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown (variant|dilation)|two levels"):
        DilatedUNet3D(**wrong)


def test_a_single_voxel_at_the_bottom_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one of them at least 32.*pad to \[16, 16, 32\]"):
        DilatedUNet3D(width=0.25)(torch.zeros(1, 5, 16, 16, 16))

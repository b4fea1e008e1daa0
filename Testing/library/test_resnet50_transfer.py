"""ResNet-50 weights that a user gives: read, inflated, refused; the encoder frozen and let go again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from StrokeSegLib.errors import InputError
from StrokeSegLib.networks.resnet50_transfer import (
    LAST_STAGES_RATE,
    freeze_encoder,
    load_resnet50_state,
    unfreeze_last_stages,
)
from StrokeSegLib.networks.resnet50_unet import ResNet50Encoder, ResNet50UNet

State = dict[str, Tensor]


def torchvision_state(blocks: tuple[int, ...] = (3, 4, 6, 3), width_per_group: int = 64) -> State:
    """Names and shapes of torchvision's bottleneck ResNets, written out by hand, with random values."""
    generator = torch.Generator().manual_seed(0)
    state: State = {}

    def convolution(name: str, out: int, into: int, kernel: int) -> None:
        state[f"{name}.weight"] = torch.randn(out, into, kernel, kernel, generator=generator) / (into * kernel) ** 0.5

    def normalization(name: str, channels: int) -> None:
        for part, low in (("weight", 0.5), ("bias", -0.1), ("running_mean", -0.1), ("running_var", 0.5)):
            state[f"{name}.{part}"] = low + 0.2 * torch.rand(channels, generator=generator)
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    convolution("conv1", 64, 3, 7)
    normalization("bn1", 64)
    before = 64
    for stage, count in enumerate(blocks, start=1):
        middle, out = width_per_group * 2 ** (stage - 1), 256 * 2 ** (stage - 1)
        for block in range(count):
            name = f"layer{stage}.{block}"
            convolution(f"{name}.conv1", middle, before, 1)
            normalization(f"{name}.bn1", middle)
            convolution(f"{name}.conv2", middle, middle, 3)
            normalization(f"{name}.bn2", middle)
            convolution(f"{name}.conv3", out, middle, 1)
            normalization(f"{name}.bn3", out)
            if block == 0:
                convolution(f"{name}.downsample.0", out, before, 1)
                normalization(f"{name}.downsample.1", out)
            before = out
    state["fc.weight"], state["fc.bias"] = torch.zeros(1000, before), torch.zeros(1000)
    return state


@pytest.fixture(scope="module")
def state() -> State:
    return torchvision_state()


@pytest.fixture(scope="module")
def pth(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    torch.save(state, path)
    return path


def meta_encoder(planes: int = 3, width: float = 1.0) -> ResNet50Encoder:
    """An encoder without memory, for files that are refused before they get there."""
    with torch.device("meta"):
        return ResNet50Encoder(planes, width)


def test_the_hand_written_state_has_the_published_number_of_parameters(state: State) -> None:
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    learned = {name: value.numel() for name, value in state.items() if not name.endswith(statistics)}
    assert sum(learned.values()) == 25_557_032
    assert sum(count for name, count in learned.items() if not name.startswith("fc.")) == 23_508_032


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_a_file_gives_the_features_of_monais_resnet50_with_the_same_weights(
    kind: str, state: State, pth: Path, tmp_path: Path
) -> None:
    pytest.importorskip("monai")
    from monai.networks.nets import resnet50

    path = pth
    if kind == "safetensors":
        path = tmp_path / "resnet50.safetensors"
        save_file({name: value for name, value in state.items() if not name.startswith("fc.")}, path)
    encoder = ResNet50Encoder(3).eval()
    load_resnet50_state(encoder, path)
    reference = resnet50(
        spatial_dims=2, n_input_channels=3, num_classes=1000, conv1_t_size=7, conv1_t_stride=2, bias_downsample=False
    )
    reference.load_state_dict(state)
    seen: list[Tensor] = []
    for stage in range(1, 5):
        reference.get_submodule(f"layer{stage}").register_forward_hook(lambda _m, _x, y: seen.append(y))
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours = encoder(x)
        reference.eval()(x)
    for mine, theirs in zip(ours[1:], seen, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("planes", [1, 4, 6])
def test_planes_of_equal_content_answer_as_one_gray_image_three_times(planes: int, state: State, pth: Path) -> None:
    encoder = ResNet50Encoder(planes)
    load_resnet50_state(encoder, pth)
    gray = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    expected = nn.functional.conv2d(gray.expand(-1, 3, -1, -1), state["conv1.weight"], stride=2, padding=3)
    with torch.inference_mode():
        assert torch.allclose(encoder.conv1(gray.expand(-1, planes, -1, -1)), expected, atol=1e-4)
    if planes == 4:
        mean = state["conv1.weight"][5].mean(dim=0)
        assert torch.allclose(encoder.conv1.weight[5, 2], mean * 3 / 4)


def without(state: State, *names: str) -> State:
    return {name: value for name, value in state.items() if name not in names}


def resnet18(state: State) -> State:
    return {name: value for name, value in state.items() if not any(part in name for part in ("conv3", "bn3"))}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (resnet18, "ResNet-18"),
        (lambda s: s | {"layer3.6.conv1.weight": torch.zeros(1)}, "ResNet-101"),
        (lambda s: s | {"layer1.0.conv2.weight": torch.zeros(128, 128, 3, 3)}, "layer1.0.conv2.weight has shape"),
        (lambda s: s | {"bn1.bias": torch.full((64,), torch.nan)}, "bn1.bias has values that are no numbers"),
        (lambda s: without(s, "bn1.running_var"), "1 missing .as bn1.running_var"),
        (lambda s: {f"module.{name}": value for name, value in s.items()}, "unknown .as module.bn1.bias"),
        (lambda s: {"state_dict": {"bn1.bias": s["bn1.bias"]}}, "no state dict"),
        (lambda s: [s["bn1.bias"]], "but a list"),
        (lambda s: s["bn1.bias"], "but a Tensor"),
    ],
)
def test_a_file_that_is_no_resnet50_is_refused(
    wrong: Callable[[State], Any], message: str, state: State, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    # Shapes and names are all that counts here: no need to write 100 MB each time.
    light = {name: value.new_zeros(()).expand(value.shape) for name, value in state.items()}
    torch.save(wrong(light), path)
    with pytest.raises(InputError, match=message) as refused:
        load_resnet50_state(meta_encoder(), path)
    assert "resnet50" in str(refused.value)


class RunsCode:
    """Pickled, it would make a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.folder,)


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    torch.save({"conv1.weight": RunsCode(tmp_path / "made")}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="may run code"):
        load_resnet50_state(meta_encoder(), tmp_path / "w.pth")
    assert not (tmp_path / "made").exists()


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(1, 1, 1), tmp_path / "w.pth")
    with pytest.raises(InputError, match="may run code"):
        load_resnet50_state(meta_encoder(), tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all, but long enough to be looked at"])
def test_a_damaged_file_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"no file of weights|may run code"):
        load_resnet50_state(meta_encoder(), tmp_path / name)


@pytest.mark.parametrize("name", ["absent.pth", "absent.safetensors"])
def test_a_missing_file_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the weights"):
        load_resnet50_state(meta_encoder(), tmp_path / name)


def test_a_network_of_another_width_is_refused(pth: Path) -> None:
    with pytest.raises(InputError, match=r"width 1, got width 0\.25"):
        load_resnet50_state(meta_encoder(width=0.25), pth)


def test_a_refused_file_leaves_the_encoder_as_it_was(state: State, tmp_path: Path) -> None:
    encoder = ResNet50Encoder(3)
    before = encoder.conv1.weight.clone()
    torch.save(state | {"layer4.2.bn3.bias": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(InputError):
        load_resnet50_state(encoder, tmp_path / "w.pth")
    assert torch.equal(encoder.conv1.weight, before)


def stepped(net: ResNet50UNet, optimizer: torch.optim.Optimizer) -> set[str]:
    """Names of what one step of training changes."""
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    net(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))).square().mean().backward()
    optimizer.step()
    return {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}


def test_a_frozen_encoder_keeps_weights_and_statistics_in_training() -> None:
    torch.manual_seed(0)
    net = ResNet50UNet(3, 2, width=0.0625)
    freeze_encoder(net)
    optimizer = torch.optim.SGD((p for p in net.parameters() if p.requires_grad), lr=0.1)
    changed = stepped(net, optimizer)
    assert changed
    assert not any(name.startswith("encoder.") for name in changed)
    assert any(name.endswith("running_mean") for name in changed)  # the decoder's own go on


def test_the_last_stages_learn_again_at_a_tenth_of_the_rate() -> None:
    torch.manual_seed(0)
    net = ResNet50UNet(3, 2, width=0.0625)
    freeze_encoder(net)
    optimizer = torch.optim.SGD((p for p in net.parameters() if p.requires_grad), lr=0.1)
    last = unfreeze_last_stages(net)
    optimizer.add_param_group({"params": last, "lr": LAST_STAGES_RATE * 0.1})
    assert LAST_STAGES_RATE == 0.1
    changed = {name for name in stepped(net, optimizer) if name.startswith("encoder.")}
    assert {name.split(".")[1] for name in changed} == {"layer3", "layer4"}
    assert "encoder.layer4.2.bn3.running_var" in changed
    named = {name for name, p in net.encoder.named_parameters() if any(p is each for each in last)}
    assert named == {name for name, _ in net.encoder.named_parameters() if name.startswith(("layer3.", "layer4."))}


def test_evaluation_and_training_come_and_go_as_ever() -> None:
    net = ResNet50UNet(3, 2, width=0.0625)
    assert all(module.training for module in net.train().modules())
    freeze_encoder(net)
    assert not net.train().encoder.bn1.training
    assert net.encoder.training
    assert net.decoder[0].conv1[1].training
    assert not any(module.training for module in net.eval().modules())

"""DPN-92 weights that a user gives: three layouts read, others refused; the encoder frozen and let go again; scSE."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from network_contract import NetworkContract
from safetensors.torch import save_file
from torch import Tensor, nn
from training_phantoms import tiny_cases, tiny_preset

from StrokeSegLib.errors import InputError
from StrokeSegLib.networks import dpn92_unet
from StrokeSegLib.networks.dpn92_transfer import load_dpn92_state, read_dpn92_state, set_encoder_frozen
from StrokeSegLib.networks.dpn92_unet import ConcurrentSqueezeExcite2d, DPN92Encoder, DPN92UNet
from StrokeSegLib.training.checkpoint import read_checkpoint
from StrokeSegLib.training.loop import train
from StrokeSegLib.training.presets import find_preset, with_settings
from StrokeSegLib.training.recipes import recipe_for

State = dict[str, Tensor]
#: Blocks of a stage, middle and residual channels, increment of the dense path: the table of the DPN paper.
STAGES = ((3, 96, 256, 16), (4, 192, 512, 32), (20, 384, 1024, 24), (3, 768, 2048, 128))


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """One block a stage, which is quicker: for tests that look at no block."""
    monkeypatch.setattr(dpn92_unet, "STAGE_BLOCKS", (1, 1, 1, 1))


@pytest.mark.usefixtures("shallow")
class TestDPN92UNetWithScse(NetworkContract):
    key = "dpn92-unet"
    settings = {"in_channels": 3, "out_channels": 2, "width": 0.125, "scse": True}  # noqa: RUF012
    shape = (2, 3, 64, 96)
    out_channels = 2
    golden = (-0.029083, -0.045101, 0.091639, -0.033112, 0.076661)


# --- scSE -------------------------------------------------------------------------------------------------------------


def test_scse_by_hand() -> None:
    """Two channels of 1 x 2 pixels: means 2 and 1."""
    gate = ConcurrentSqueezeExcite2d(2)
    with torch.no_grad():
        gate.squeeze.weight.copy_(torch.tensor([1.0, -1.0]).reshape(1, 2, 1, 1))
        gate.excite.weight.copy_(torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1))
        gate.spatial.weight.copy_(torch.tensor([1.0, 0.5]).reshape(1, 2, 1, 1))
        y = gate(torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]]))

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    channel = [sigmoid(1), sigmoid(2)]  # squeezed to relu(2 - 1) = 1, excited by 1 and 2
    pixel = [sigmoid(1 + 0.5 * 2), sigmoid(3)]
    expected = [[1 * (channel[0] + pixel[0]), 3 * (channel[0] + pixel[1])], [2 * (channel[1] + pixel[0]), 0.0]]
    torch.testing.assert_close(y[0, :, 0], torch.tensor(expected))


def test_a_squeezed_value_below_zero_leaves_every_channel_at_one_half() -> None:
    gate = ConcurrentSqueezeExcite2d(2)
    with torch.no_grad():
        gate.squeeze.weight.fill_(-1.0)
        gate.spatial.weight.zero_()
        x = torch.tensor([[[[1.0, 3.0]], [[2.0, 4.0]]]])
        torch.testing.assert_close(gate(x), x)  # a half and a half


@pytest.mark.usefixtures("shallow")
def test_scse_is_in_every_decoder_stage_and_nowhere_unless_asked_for() -> None:
    with torch.device("meta"):
        plain, gated = (DPN92UNet(width=0.125, scse=scse).state_dict() for scse in (False, True))
    assert set(plain) <= set(gated)
    of_gates = sum(gated[name].numel() for name in set(gated) - set(plain))
    assert of_gates == 5 * (16 * 8 + 8 * 16 + 16)


# --- weights ----------------------------------------------------------------------------------------------------------


def timm_state() -> State:
    """Names and shapes of DPN-92 as timm stores it, written out by hand; values that tell the tensors apart."""
    state: State = {}

    def fill(name: str, shape: tuple[int, ...]) -> None:
        state[name] = torch.tensor(len(state) / 1024).expand(shape)

    def normalization(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            fill(f"{name}.{part}", (channels,))
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def step(name: str, into: int, out: int, kernel: int = 1, groups: int = 1) -> None:
        normalization(f"{name}.bn", into)
        fill(f"{name}.conv.weight", (out, into // groups, kernel, kernel))

    fill("features.conv1_1.conv.weight", (64, 3, 7, 7))
    normalization("features.conv1_1.bn", 64)
    channels = 64
    for stage, (blocks, middle, residual, dense) in enumerate(STAGES, start=2):
        for block in range(1, blocks + 1):
            name = f"features.conv{stage}_{block}"
            if block == 1:
                step(f"{name}.c1x1_w_s{1 if stage == 2 else 2}", channels, residual + 2 * dense)
            step(f"{name}.c1x1_a", channels, middle)
            step(f"{name}.c3x3_b", middle, middle, kernel=3, groups=32)
            step(f"{name}.c1x1_c", middle, residual + dense)
            channels = residual + (2 + block) * dense
    normalization("features.conv5_bn_ac.bn", channels)
    fill("classifier.weight", (1000, channels, 1, 1))
    fill("classifier.bias", (1000,))
    return state


@pytest.fixture(scope="module")
def state() -> State:
    return timm_state()


def meta_encoder(width: float = 1.0) -> DPN92Encoder:
    """An encoder without memory: names and shapes are all that a file is compared with."""
    with torch.device("meta"):
        return DPN92Encoder(3, width)


def saved(state: Any, folder: Path) -> Path:
    path = folder / "w.pth"
    torch.save(state, path)
    return path


def test_the_hand_written_state_has_the_published_number_of_parameters(state: State) -> None:
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert sum(v.numel() for name, v in state.items() if not name.endswith(statistics)) == 34_979_392 + 2_689_000


def test_timms_names_are_ours_block_by_block(state: State, tmp_path: Path) -> None:
    read = read_dpn92_state(meta_encoder(), saved(state, tmp_path))

    def same(ours: str, theirs: str) -> bool:
        return torch.equal(read[ours], state[f"features.{theirs}"])

    assert same("stem.0.weight", "conv1_1.conv.weight")
    assert same("stem.1.running_mean", "conv1_1.bn.running_mean")
    assert same("stages.0.0.project.2.weight", "conv2_1.c1x1_w_s1.conv.weight")
    assert same("stages.3.0.project.0.bias", "conv5_1.c1x1_w_s2.bn.bias")
    assert same("stages.2.19.conv1.0.weight", "conv4_20.c1x1_a.bn.weight")
    assert same("stages.1.3.conv2.2.weight", "conv3_4.c3x3_b.conv.weight")
    assert same("stages.3.2.conv3.2.weight", "conv5_3.c1x1_c.conv.weight")
    assert same("last.0.weight", "conv5_bn_ac.bn.weight")


def test_a_normalization_answers_as_in_timm_where_0_001_is_added_to_the_variance(state: State, tmp_path: Path) -> None:
    read = read_dpn92_state(meta_encoder(), saved(state, tmp_path))
    ours, theirs = nn.BatchNorm2d(64).eval(), nn.BatchNorm2d(64, eps=1e-3).eval()
    parts = ("weight", "bias", "running_mean", "running_var")
    ours.load_state_dict({part: read[f"stem.1.{part}"] for part in parts}, strict=False)
    theirs.load_state_dict({part: state[f"features.conv1_1.bn.{part}"] for part in parts}, strict=False)
    x = torch.randn(1, 64, 2, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("whole", [False, True])
def test_weights_of_another_network_of_ours_are_taken_as_they_are(whole: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    given, taking = DPN92UNet(width=0.0625), DPN92UNet(width=0.0625, scse=True)
    source = given if whole else given.encoder
    # As an exported model stores them: kernels in half precision, no counters.
    content = {
        name: value.half() if value.dim() > 1 else value
        for name, value in source.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(content, tmp_path / "w.safetensors")
    head = taking.head.weight.clone()
    load_dpn92_state(taking.encoder, tmp_path / "w.safetensors")
    for name, value in given.encoder.state_dict().items():
        torch.testing.assert_close(taking.encoder.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    assert torch.equal(taking.head.weight, head)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda s: {n: v for n, v in s.items() if "conv4_20" not in n}, r"missing \(as stages\.2\.19\.conv1"),
        (lambda s: s | {"features.conv4_21.c1x1_a.conv.weight": torch.zeros(1)}, r"unknown \(as stages\.2\.20\."),
        (lambda s: s | {"features.conv1_1.conv.weight": torch.zeros(10, 3, 3, 3)}, "has shape .10, 3, 3, 3."),
        (lambda s: s | {"features.conv1_1.bn.bias": torch.full((64,), torch.nan)}, "no numbers"),
        (lambda s: {f"module.{n}": v for n, v in s.items()}, r"unknown \(as module\."),
        (lambda s: {"state_dict": {}}, "no state dict"),
        (lambda s: nn.Conv2d(1, 1, 1), "may run code"),
    ],
)
def test_a_file_that_is_no_dpn92_is_refused_in_one_line(
    wrong: Callable[[State], Any], message: str, state: State, tmp_path: Path
) -> None:
    path = saved(wrong(state), tmp_path)
    with pytest.raises(InputError, match=message) as refused:
        read_dpn92_state(meta_encoder(), path)
    assert "\n" not in str(refused.value)


def test_weights_of_full_width_do_not_fit_a_narrow_network_and_the_cure_is_named(state: State, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="width=1"):
        read_dpn92_state(meta_encoder(0.125), saved(state, tmp_path))


@pytest.mark.parametrize("name", ["absent.pth", "absent.safetensors"])
def test_a_missing_file_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the weights"):
        read_dpn92_state(meta_encoder(0.0625), tmp_path / name)


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shallow")
def test_a_frozen_encoder_keeps_weights_and_statistics_and_learns_again_when_it_is_let_go() -> None:
    torch.manual_seed(0)
    net = DPN92UNet(width=0.0625)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def changed(frozen: bool) -> set[str]:
        before = {name: value.clone() for name, value in net.state_dict().items()}
        set_encoder_frozen(net, frozen)
        optimizer.zero_grad()
        net(torch.randn(2, 3, 64, 64)).square().mean().backward()
        optimizer.step()
        return {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}

    frozen = changed(True)
    assert "head.weight" in frozen
    assert not any(name.startswith("encoder.") for name in frozen)
    free = changed(False)
    assert {"encoder.stem.0.weight", "encoder.stem.1.running_mean", "encoder.last.0.weight"} <= free


@pytest.mark.usefixtures("shallow")
def test_a_run_begins_with_the_given_encoder_and_keeps_it_through_the_warm_up(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(3)
    given = DPN92Encoder(3, 0.0625)
    save_file(given.state_dict(), tmp_path / "w.safetensors")
    words = [f"encoder_weights={tmp_path / 'w.safetensors'}", "axial_members=1", "coronal_members=0"]
    words += ["sagittal_members=0", "frozen_steps=1", "scse=true"]
    cases = tiny_cases("three-projection", "paper", 2)

    def encoder_after(steps: int, *, resume: bool) -> tuple[Tensor, Tensor]:
        preset = tiny_preset("three-projection", "paper", *words, f"steps={steps}")
        train(preset, cases, tmp_path / "run", device="cpu", resume=resume)
        net = read_checkpoint(tmp_path / "run" / "axial-1" / "checkpoint.pt")["net"]
        assert "gates.0.spatial.weight" in net
        return net["encoder.stem.0.weight"], net["encoder.stem.1.running_mean"]

    frozen = encoder_after(1, resume=False)
    assert torch.equal(frozen[0], given.stem[0].weight)
    assert torch.equal(frozen[1], given.stem[1].running_mean)
    free = encoder_after(2, resume=True)
    assert not torch.equal(free[0], frozen[0])
    assert not torch.equal(free[1], frozen[1])
    assert "frozen for 1 steps" in (tmp_path / "run" / "run.json").read_text(encoding="utf-8")


@pytest.mark.usefixtures("shallow")
def test_the_papers_preset_begins_with_random_weights_freezes_nothing_and_has_no_scse() -> None:
    preset = find_preset("three-projection", "paper")
    recipe = recipe_for(preset)
    assert recipe.network_settings(3, 2) == {"in_channels": 3, "out_channels": 2, "width": 1.0}
    # Without weights a warm-up would freeze random ones.
    narrow = recipe_for(with_settings(preset, ["frozen_steps=5"]))
    net = DPN92UNet(width=0.0625)
    narrow.set_phase(net, 0)
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert narrow.begin(net) == []

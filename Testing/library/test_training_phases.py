"""The MRI paper's two phases with weights from natural images, at full width and as few pixels as there can be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from test_resnet50_transfer import torchvision_state
from torch import Tensor
from training_phantoms import tiny_cases, tiny_preset

from StrokeSegLib.networks import build_network
from StrokeSegLib.training.checkpoint import State
from StrokeSegLib.training.distributed import Group
from StrokeSegLib.training.recipes import recipe_for
from StrokeSegLib.training.source import IndexedCases, TableSource
from StrokeSegLib.training.steps import Steps

RATE = 0.01


@pytest.mark.slow
def test_the_encoder_is_frozen_and_then_its_last_stages_learn_slowly(tmp_path: Path) -> None:
    """Two steps of the decoder alone; in the third conv4_x and conv5_x move by a tenth of the rate, nothing before."""
    torch.set_num_threads(1)
    given = {name: value.half() for name, value in torchvision_state().items() if not name.startswith("fc.")}
    save_file(given, tmp_path / "resnet50.safetensors")
    words = [f"learning_rate={RATE}", "width=1", "crop=32", "batch_size=2", "frozen_steps=2", "steps=3"]
    preset = tiny_preset("mri", "paper", *words, f"encoder_weights={tmp_path / 'resnet50.safetensors'}")
    recipe = recipe_for(preset)
    net = build_network(recipe.network, recipe.network_settings(3, 1))
    assert "ImageNet weights and is frozen for 2 steps" in recipe.begin(net)[0]
    encoder = net.get_submodule("encoder")

    def now() -> dict[str, Tensor]:
        return {name: value.clone() for name, value in encoder.state_dict().items()}

    begun, decoder = now(), net.get_parameter("head.weight").detach().clone()
    assert torch.equal(begun["layer4.0.conv1.weight"].half(), given["layer4.0.conv1.weight"])
    state = State(net, recipe.optimizer(net), torch.amp.GradScaler("cpu", enabled=False))
    steps = Steps(recipe, recipe.plans[0], state, Group(0, 1, torch.device("cpu")), torch.float32, tmp_path)
    source = TableSource(IndexedCases(tiny_cases("mri", "paper")), recipe.plans[0].draw, 1)
    for step in range(2):
        steps.take(source.batch(step, range(2)))
    for name, value in now().items():  # the statistics of the batch normalizations among them
        assert torch.equal(value, begun[name]), name
    assert not torch.equal(net.get_parameter("head.weight"), decoder)

    steps.take(source.batch(2, range(2)))
    after = now()
    for name, parameter in encoder.named_parameters():
        if name.startswith(("layer3", "layer4")):
            assert parameter.grad is not None
            assert torch.allclose(after[name], begun[name] - 0.1 * RATE * parameter.grad, atol=1e-7), name
        else:
            assert torch.equal(after[name], begun[name]), name
    assert not torch.equal(after["layer4.2.conv3.weight"], begun["layer4.2.conv3.weight"])
    assert not torch.equal(after["layer3.0.bn1.running_mean"], begun["layer3.0.bn1.running_mean"])
    assert torch.equal(after["layer2.0.bn1.running_mean"], begun["layer2.0.bn1.running_mean"])

"""graph.onnx + weights.safetensors: the same answer in OpenVINO as in torch, every weight from the one file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open
from test_predict import CARD

from StrokeSegLib.inference.backends import OpenVinoBackend, TorchBackend
from StrokeSegLib.models import ModelCard, ModelNetwork
from StrokeSegLib.networks import build_network
from StrokeSegLib.training.export import GRAPH, WEIGHTS, write_graph, write_weights

SETTINGS = {"in_channels": 6, "out_channels": 2, "width": 0.125}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    from dataclasses import replace

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    net = build_network("resnet50-unet", SETTINGS)
    for module in net.modules():  # statistics as after training, some of them beyond fp16's smallest normal
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 1e-6, 2)
    digest = write_weights(net.eval(), folder)
    write_graph(net, 6, folder)
    network = ModelNetwork("axial", folder / GRAPH, folder / WEIGHTS, digest)
    return replace(CARD, networks=(network,), network="resnet50-unet", settings=SETTINGS, folder=folder)


@pytest.mark.parametrize("shape", [(1, 6, 64, 96), (3, 6, 96, 64)])
def test_both_backends_give_the_same_logits(model: ModelCard, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    ours, theirs = OpenVinoBackend(model).run(x), TorchBackend(model, "cpu").run(x)
    assert ours.shape == (shape[0], 2, *shape[2:])
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()


def test_the_graph_holds_no_weights_of_its_own(model: ModelCard) -> None:
    assert model.networks[0].graph.stat().st_size < 150_000
    graph = onnx.load(model.networks[0].graph, load_external_data=False).graph
    inside = [
        t.name for t in graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL and np.prod(t.dims) > 16
    ]
    assert inside == []


def test_kernels_are_fp16_and_statistics_fp32(model: ModelCard) -> None:
    with safe_open(model.networks[0].weights, "np") as weights:
        assert weights.get_tensor("encoder.conv1.weight").dtype == np.float16
        assert weights.get_tensor("encoder.bn1.running_var").dtype == np.float32


def test_the_digest_is_the_files(model: ModelCard) -> None:
    assert model.sha256 == hashlib.sha256(model.networks[0].weights.read_bytes()).hexdigest()


def test_the_graph_tells_nothing_about_the_machine_that_made_it(model: ModelCard) -> None:
    text = Path(model.networks[0].graph).read_bytes()
    assert b"/home/" not in text
    assert b".py" not in text

"""The graph of every network: equal to torch at sizes it was not traced with, small, with no weight of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from StrokeSegLib.networks import NETWORKS, build_network
from StrokeSegLib.training.graph import (
    GRAPH,
    WEIGHTS,
    build_like,
    check_graph,
    write_graph,
    write_same_graph,
    write_weights,
)

slow = pytest.mark.slow
#: (key, settings, input channels, size divisor, axes); resnet50-unet is in test_export.
TINY = [
    ("dilated-unet3d", {"width": 0.25}, 5, 16, 3),
    pytest.param("dilated-unet3d", {"width": 0.25, "variant": "plain"}, 5, 16, 3, marks=slow),
    pytest.param("residual-se-unet3d", {"width": 0.125}, 1, 8, 3, marks=slow),
    ("residual-se-unet3d", {"width": 0.125, "squeeze_excite": "post"}, 1, 8, 3),
    ("unet3d", {"width": 0.0625}, 5, 8, 3),
    pytest.param("dpn92-unet", {"width": 0.125}, 3, 32, 2, marks=slow),
]


def as_trained(key: str, settings: dict[str, Any]) -> nn.Module:
    """A network with shifts and statistics as after training: fresh ones would hide a wrong normalization."""
    torch.manual_seed(0)
    net = build_network(key, settings)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.2, 1)
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d | nn.InstanceNorm3d):
            nn.init.normal_(module.bias, 0, 0.3)
    return net.eval()


@pytest.mark.parametrize(("key", "settings", "channels", "divisor", "axes"), TINY)
def test_openvino_gives_torchs_logits_at_any_batch_and_size(
    key: str, settings: dict[str, Any], channels: int, divisor: int, axes: int, tmp_path: Path
) -> None:
    net = as_trained(key, settings)
    write_weights(net, tmp_path)
    write_graph(net, channels, tmp_path)
    check_graph(net, channels, tmp_path)
    stored = build_like(net, load_file(tmp_path / WEIGHTS))
    compiled = ov.Core().compile_model(str(tmp_path / GRAPH), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for batch, blocks in ((1, (3, 1, 1)), (2, (1, 3, 5))):
        x = torch.randn(batch, channels, *[divisor * n for n in blocks[:axes]])
        with torch.inference_mode():
            expected = stored(x).numpy()
        seen = compiled(x.numpy())[0]
        assert seen.shape == expected.shape
        assert np.abs(seen - expected).max() < 1e-4
        assert np.ptp(expected) > 0.01  # there is something to compare

    assert (tmp_path / GRAPH).stat().st_size < 350_000
    graph = onnx.load(tmp_path / GRAPH, load_external_data=False).graph
    outside = {t.name.removesuffix(".fp16") for t in graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL}
    assert outside == set(load_file(tmp_path / WEIGHTS))
    inside = [t for t in graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL and np.prod(t.dims) > 16]
    assert inside == []
    assert [d.dim_param != "" for d in graph.input[0].type.tensor_type.shape.dim] == [True, False, *[True] * axes]


def test_every_network_is_here() -> None:
    keys = {getattr(each, "values", each)[0] for each in TINY}
    assert keys | {"resnet50-unet"} == set(NETWORKS)


def test_a_large_volume_with_air_of_one_value_loses_no_digits(tmp_path: Path) -> None:
    # OpenVINO's own instance normalization is off by 2e-3 here.
    net = as_trained("residual-se-unet3d", {"channels": [8, 8], "squeeze_excite": "post"})
    write_weights(net, tmp_path)
    write_graph(net, 1, tmp_path)
    x = 0.5 + 0.3 * torch.rand(1, 1, 96, 96, 96, generator=torch.Generator().manual_seed(0))
    x[:, :, :, :32] = 0
    compiled = ov.Core().compile_model(str(tmp_path / GRAPH), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.inference_mode():
        expected = build_like(net, load_file(tmp_path / WEIGHTS))(x).numpy()
    assert np.abs(compiled(x.numpy())[0] - expected).max() < 1e-4


def test_a_graph_that_differs_from_its_network_is_told(tmp_path: Path) -> None:
    net = as_trained("unet3d", {"width": 0.0625, "in_channels": 1})
    write_weights(net, tmp_path)
    write_graph(net, 1, tmp_path)
    state = load_file(tmp_path / WEIGHTS)
    file = (tmp_path / GRAPH).read_bytes()
    state["head.bias"] = state["head.bias"] + 1
    save_file(state, tmp_path / WEIGHTS)
    check_graph(net, 1, tmp_path)  # the graph reads the weights' own file: both moved
    onnx_model = onnx.load_from_string(file)
    for node in onnx_model.graph.node:
        if node.op_type == "LeakyRelu":
            node.attribute[0].f = 0.5
    (tmp_path / GRAPH).write_bytes(onnx_model.SerializeToString())
    with pytest.raises(RuntimeError, match="differ by"):
        check_graph(net, 1, tmp_path)


def test_networks_built_alike_share_a_graph_and_others_do_not(tmp_path: Path) -> None:
    settings = {"channels": [8, 8], "squeeze_excite": "none", "norm": "none"}
    first = as_trained("residual-se-unet3d", settings)
    write_weights(first, tmp_path)
    write_graph(first, 1, tmp_path)
    second = as_trained("residual-se-unet3d", settings)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.mul_(1.1)
    write_weights(second, tmp_path, "2.safetensors")
    write_same_graph(tmp_path / GRAPH, tmp_path, graph="2.onnx", weights="2.safetensors")
    check_graph(second, 1, tmp_path, graph="2.onnx", weights="2.safetensors")
    with pytest.raises(RuntimeError, match="differ by"):  # it is the second's, not the first's
        check_graph(first, 1, tmp_path, graph="2.onnx", weights=WEIGHTS)
    wider = as_trained("residual-se-unet3d", settings | {"channels": [16, 16]})
    write_weights(wider, tmp_path, "3.safetensors")
    with pytest.raises(ValueError, match="in the graph and"):
        write_same_graph(tmp_path / GRAPH, tmp_path, graph="3.onnx", weights="3.safetensors")


def test_the_bias_of_a_convolution_that_has_one_stays(tmp_path: Path) -> None:
    net = as_trained("residual-se-unet3d", {"channels": [8, 8], "squeeze_excite": "none", "norm": "none"})
    write_weights(net, tmp_path)
    write_graph(net, 1, tmp_path)
    nodes = onnx.load(tmp_path / GRAPH, load_external_data=False).graph.node
    assert all(len(node.input) == 3 for node in nodes if node.op_type == "Conv")
    check_graph(net, 1, tmp_path)

"""From a network to its files: weights.safetensors, and graph.onnx whose weights lie in there."""

from __future__ import annotations

import copy
import hashlib
import json
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from safetensors.torch import load_file, save_file
from torch import nn

from StrokeSegLib.training.graph_for_openvino import drop_zero_biases, replace_all, sum_in_steps

GRAPH, WEIGHTS = "graph.onnx", "weights.safetensors"
OPSET = 18
#: Largest difference of logits between OpenVINO and torch, as a part of the largest logit where that exceeds 1.
AGREEMENT = 1e-3


def stored_weights(net: nn.Module) -> dict[str, torch.Tensor]:
    """What weights.safetensors holds: kernels in fp16; norm statistics, biases and other vectors stay fp32.

    Vectors are a hundredth of the size, and a running variance can lie outside fp16's range.
    """
    weights = {}
    for name, value in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        weights[name] = (value.half() if value.dim() > 1 else value.float()).contiguous()
    return weights


def write_weights(net: nn.Module, folder: Path, name: str = WEIGHTS) -> str:
    """Writes weights.safetensors (or ``name``) and returns its SHA-256."""
    path = folder / name
    save_file(stored_weights(net), path)
    path.chmod(0o644)  # safetensors makes it private; other users of an installation read it too
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_graph(net: nn.Module, in_channels: int, folder: Path, *, graph: str = GRAPH, weights: str = WEIGHTS) -> None:
    """Writes graph.onnx: the network's graph with every weight as external data in weights.safetensors.

    fp16 weights pass through a Cast to float32, so that the arithmetic is that of torch with the same file.

    Args:
        net: The network whose weights were written to ``folder`` before; 2D or 3D.
        in_channels: Planes or volumes of its input; batch and spatial sizes stay free.
        graph, weights: File names in ``folder``.
    """
    model = _traced(net, in_channels)
    drop_zero_biases(model.graph)
    sum_in_steps(model.graph)
    offsets = _safetensors_offsets(folder / weights)
    casts, kept = [], []
    for tensor in model.graph.initializer:
        if tensor.name not in offsets:
            kept.append(tensor)  # shapes and other small constants of the graph itself
            continue
        dtype, shape, start, length = offsets[tensor.name]
        if list(tensor.dims) != shape:
            raise ValueError(f"{tensor.name} has shape {list(tensor.dims)} in the graph and {shape} in the weights")
        name = tensor.name
        stored = f"{name}.fp16" if dtype == "F16" else name
        kept.append(_external(stored, dtype, shape, (weights, start, length)))
        if dtype == "F16":
            casts.append(helper.make_node("Cast", [stored], [name], f"cast_{name}", to=TensorProto.FLOAT))
    replace_all(model.graph.initializer, kept)
    replace_all(model.graph.node, [*casts, *model.graph.node])
    _forget_origin(model)
    (folder / graph).write_bytes(model.SerializeToString())


def write_same_graph(first: Path, folder: Path, *, graph: str, weights: str) -> None:
    """Writes the graph of a network built like one whose graph is there, without tracing it again.

    Only the place of the weights differs.

    Args:
        first: The other network's graph.
        folder: Where this network's weights were written before.
        graph, weights: File names in ``folder``.
    """
    model = onnx.load(first, load_external_data=False)
    offsets = _safetensors_offsets(folder / weights)
    tensors = []
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            dtype, shape, start, length = offsets[tensor.name.removesuffix(".fp16")]
            if list(tensor.dims) != shape:
                raise ValueError(f"{tensor.name} has shape {list(tensor.dims)} in the graph and {shape} in the weights")
            tensors.append(_external(tensor.name, dtype, shape, (weights, start, length)))
        else:
            tensors.append(tensor)
    replace_all(model.graph.initializer, tensors)
    (folder / graph).write_bytes(model.SerializeToString())


def _traced(net: nn.Module, in_channels: int) -> onnx.ModelProto:
    """The ONNX model with unfolded weights under their torch names.

    No size is traced as free: that makes symbolic arithmetic of seconds for the batch and of minutes in space, and no
    operation of the networks holds such a size. So these are freed behind the trace, and ``check_graph`` shows that
    they may be.
    """
    axes, divisor = _input_axes(net)
    example = torch.zeros(2, in_channels, *[2 * divisor] * axes)
    program = torch.onnx.export(
        net.eval(),
        (example,),
        dynamo=True,
        opset_version=OPSET,
        optimize=False,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    with tempfile.TemporaryDirectory() as folder:
        program.save(Path(folder) / GRAPH)
        model = onnx.load(Path(folder) / GRAPH)
    for value in (*model.graph.input, *model.graph.output):
        batch, _, *space = value.type.tensor_type.shape.dim
        batch.dim_param = "batch"
        for axis, dim in enumerate(space):
            dim.dim_param = f"size_{axis}"
    return model


def _input_axes(net: nn.Module) -> tuple[int, int]:
    """The number of axes in space that a network takes, and what each size has to be a multiple of."""
    return 3 if any(isinstance(module, nn.Conv3d) for module in net.modules()) else 2, int(net.size_divisor)  # type: ignore[arg-type]


def check_graph(net: nn.Module, in_channels: int, folder: Path, *, graph: str = GRAPH, weights: str = WEIGHTS) -> None:
    """Runs the written graph beside torch, on two shapes that it was not traced with.

    Raises:
        RuntimeError: OpenVINO and torch disagree.
    """
    import openvino as ov

    stored = build_like(net, load_file(folder / weights))
    compiled = ov.Core().compile_model(str(folder / graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    axes, divisor = _input_axes(net)
    for batch, blocks in ((1, (3, 2, 1)), (3, (1, 3, 2))):
        shape = (batch, in_channels, *[divisor * each for each in blocks[:axes]])
        x = torch.randn(shape, generator=torch.Generator().manual_seed(batch))
        with torch.inference_mode():
            expected = stored(x).numpy()
        error = float(np.abs(compiled(x.numpy())[0] - expected).max())
        if not error <= AGREEMENT * max(1.0, float(np.abs(expected).max())):
            raise RuntimeError(f"{folder / graph} and the network differ by {error:.2g} on an input of {shape}")


def build_like(net: nn.Module, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """A copy of a network in eval mode with the weights of a file, in float32."""
    stored = copy.deepcopy(net).eval()
    stored.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    return stored


def _external(name: str, dtype: str, shape: list[int], place: tuple[str, int, int]) -> TensorProto:
    tensor = TensorProto()
    tensor.name = name
    tensor.data_type = TensorProto.FLOAT16 if dtype == "F16" else TensorProto.FLOAT
    tensor.dims.extend(shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in zip(("location", "offset", "length"), map(str, place), strict=True):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def _safetensors_offsets(path: Path) -> dict[str, tuple[str, list[int], int, int]]:
    """Name -> (dtype, shape, byte offset in the file, byte length), read from the file's own header."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {
        name: (d["dtype"], d["shape"], 8 + size + d["data_offsets"][0], d["data_offsets"][1] - d["data_offsets"][0])
        for name, d in header.items()
    }


def _forget_origin(model: onnx.ModelProto) -> None:
    """Drops source paths and traces that the exporter leaves: they say where it ran, not what it is."""
    del model.metadata_props[:]
    for item in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        item.doc_string = ""
        if hasattr(item, "metadata_props"):
            del item.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]

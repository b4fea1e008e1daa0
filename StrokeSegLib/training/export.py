"""From a trained network to a model folder: weights.safetensors, graph.onnx that points into it, model.json."""

from __future__ import annotations

import hashlib
import json
import struct
import tempfile
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file
from torch import nn

GRAPH, WEIGHTS = "graph.onnx", "weights.safetensors"
OPSET = 18


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


def write_weights(net: nn.Module, folder: Path) -> str:
    """Writes weights.safetensors and returns its SHA-256."""
    path = folder / WEIGHTS
    save_file(stored_weights(net), path)
    path.chmod(0o644)  # safetensors makes it private; other users of an installation read it too
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_graph(net: nn.Module, in_channels: int, folder: Path) -> None:
    """Writes graph.onnx: the network's graph with every weight as external data in weights.safetensors.

    fp16 weights pass through a Cast to float32, so that the arithmetic is that of torch with the same file.

    Args:
        net: The network whose weights were written to ``folder`` before.
        in_channels: Planes of its input; batch, height and width stay free.
    """
    model = _traced(net, in_channels)
    offsets = _safetensors_offsets(folder / WEIGHTS)
    graph = model.graph
    casts, kept = [], []
    for tensor in graph.initializer:
        if tensor.name not in offsets:
            kept.append(tensor)  # shapes and other small constants of the graph itself
            continue
        dtype, shape, start, length = offsets[tensor.name]
        if list(tensor.dims) != shape:
            raise ValueError(f"{tensor.name} has shape {list(tensor.dims)} in the graph and {shape} in the weights")
        name = tensor.name
        stored = f"{name}.fp16" if dtype == "F16" else name
        kept.append(_external(stored, dtype, shape, start, length))
        if dtype == "F16":
            casts.append(helper.make_node("Cast", [stored], [name], f"cast_{name}", to=TensorProto.FLOAT))
    del graph.initializer[:]
    graph.initializer.extend(kept)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    _forget_origin(model)
    (folder / GRAPH).write_bytes(model.SerializeToString())


def _traced(net: nn.Module, in_channels: int) -> onnx.ModelProto:
    """The ONNX model with unfolded weights under their torch names."""
    example = torch.zeros(1, in_channels, 64, 64)
    free = {"x": {0: torch.export.Dim("batch"), 2: 32 * torch.export.Dim("rows"), 3: 32 * torch.export.Dim("columns")}}
    program = torch.onnx.export(
        net.eval(), (example,), dynamo=True, dynamic_shapes=free, opset_version=OPSET, optimize=False, verbose=False
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    with tempfile.TemporaryDirectory() as folder:
        program.save(Path(folder) / GRAPH)
        return onnx.load(Path(folder) / GRAPH)


def _external(name: str, dtype: str, shape: list[int], start: int, length: int) -> TensorProto:
    tensor = TensorProto()
    tensor.name = name
    tensor.data_type = TensorProto.FLOAT16 if dtype == "F16" else TensorProto.FLOAT
    tensor.dims.extend(shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS), ("offset", str(start)), ("length", str(length))):
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

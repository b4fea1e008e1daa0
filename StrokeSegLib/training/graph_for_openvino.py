"""What torch's exporter writes, in words that OpenVINO reads as torch means them: same numbers, other nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def drop_zero_biases(graph: onnx.GraphProto) -> None:
    """Takes away the bias of zeros that the exporter computes for each convolution without one.

    Its size comes out of a chain of shape arithmetic on the kernel, which OpenVINO cannot follow.
    """
    made_by = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[2] in made_by:
            bias = made_by[node.input[2]]
            if bias.op_type != "Expand" or not _is_zero(made_by.get(bias.input[0]), made_by):
                raise ValueError(f"the bias of {node.name} is computed by {bias.op_type}: expected zeros")
            del node.input[2]
    # The chains that made them are dead now. Nodes stand in order, so one walk from the end finds all.
    used = {each.name for each in graph.output}
    alive = []
    for node in reversed(graph.node):
        if used.intersection(node.output):
            used.update(node.input)
            alive.append(node)
    replace_all(graph.node, alive[::-1])


def sum_in_steps(graph: onnx.GraphProto) -> None:
    """Writes each mean over a whole volume as means over rows, planes and slices, one after the other.

    OpenVINO adds up all voxels of a channel in single floats. Over a million voxels with air of one value around the
    head, that was off by a tenth of a logit in a network of instance normalizations; in steps it agrees to 1e-4.
    """
    nodes: list[onnx.NodeProto] = []
    values: dict[str, Any] = {
        each.name: numpy_helper.to_array(each) for each in graph.initializer if np.prod(each.dims) <= 3
    }
    found = False
    for node in graph.node:
        if node.op_type == "Constant":
            values[node.output[0]] = _constant(node)
        elif node.op_type == "Reshape" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
        out = node.output[0]
        if node.op_type == "InstanceNormalization":
            x, scale, shift = node.input
            nodes += _normalization(x, scale, shift, out, helper.get_attribute_value(node.attribute[0]))
        elif node.op_type == "ReduceMean" and np.array_equal(np.ravel(values.get(node.input[1], ())), (2, 3, 4)):
            nodes += [
                *_mean(node.input[0], f"{out}.kept"),
                helper.make_node("Squeeze", [f"{out}.kept", node.input[1]], [out]),
            ]
        else:
            nodes.append(node)
            continue
        found = True
    if found:
        replace_all(graph.node, nodes)
        constants = {"per_channel": np.array([1, -1, 1, 1, 1]), "twice": np.float32(2), "quarter": np.float32(0.25)}
        constants |= {f"axis_{axis}": np.array([axis]) for axis in (2, 3, 4)}
        graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in constants.items())


def _mean(x: str, out: str) -> list[onnx.NodeProto]:
    """Mean of ``(B, C, z, y, x)`` over the volume, ``(B, C, 1, 1, 1)``.

    The factors 2, 2 and 1/4 change nothing, but keep OpenVINO from merging the steps into one.
    """
    return [
        helper.make_node("ReduceMean", [x, "axis_4"], [f"{out}.rows"], keepdims=1),
        helper.make_node("Mul", [f"{out}.rows", "twice"], [f"{out}.rows_2"]),
        helper.make_node("ReduceMean", [f"{out}.rows_2", "axis_3"], [f"{out}.planes"], keepdims=1),
        helper.make_node("Mul", [f"{out}.planes", "twice"], [f"{out}.planes_2"]),
        helper.make_node("ReduceMean", [f"{out}.planes_2", "axis_2"], [f"{out}.slices"], keepdims=1),
        helper.make_node("Mul", [f"{out}.slices", "quarter"], [out]),
    ]


def _normalization(x: str, scale: str, shift: str, out: str, epsilon: float) -> list[onnx.NodeProto]:
    """``(x - mean) * scale / sqrt(variance + epsilon) + shift`` for each channel of each case."""
    return [
        *_mean(x, f"{out}.mean"),
        helper.make_node("Sub", [x, f"{out}.mean"], [f"{out}.centered"]),
        helper.make_node("Mul", [f"{out}.centered", f"{out}.centered"], [f"{out}.squares"]),
        *_mean(f"{out}.squares", f"{out}.variance"),
        helper.make_node("Constant", [], [f"{out}.epsilon"], value_float=epsilon),
        helper.make_node("Add", [f"{out}.variance", f"{out}.epsilon"], [f"{out}.safe"]),
        helper.make_node("Sqrt", [f"{out}.safe"], [f"{out}.sd"]),
        helper.make_node("Reshape", [scale, "per_channel"], [f"{out}.scale"]),
        helper.make_node("Reshape", [shift, "per_channel"], [f"{out}.shift"]),
        helper.make_node("Div", [f"{out}.scale", f"{out}.sd"], [f"{out}.factor"]),
        helper.make_node("Mul", [f"{out}.centered", f"{out}.factor"], [f"{out}.normal"]),
        helper.make_node("Add", [f"{out}.normal", f"{out}.shift"], [out]),
    ]


def _is_zero(node: onnx.NodeProto | None, made_by: dict[str, onnx.NodeProto]) -> bool:
    """Whether a node is the constant 0, cast or not."""
    if node is not None and node.op_type in ("Cast", "CastLike"):
        node = made_by.get(node.input[0])
    if node is None or node.op_type != "Constant":
        return False
    return not np.any(_constant(node))


def _constant(node: onnx.NodeProto) -> Any:
    """The value of a Constant."""
    value = helper.get_attribute_value(node.attribute[0])
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def replace_all(field: Any, items: list[Any]) -> None:
    """Sets a repeated field."""
    items = list(items)
    del field[:]
    field.extend(items)

"""A wider ResNet50UNet's weights for a narrower one: the channels that matter least are left out.

How much a channel matters is the scale of its batch normalization, as in Liu et al., Learning Efficient Convolutional
Networks through Network Slimming, ICCV 2017. Channels that are added to each other, as the blocks of a stage are,
stay or go together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from StrokeSegLib.networks.resnet50_unet import ResNet50UNet

#: Channels of the input and of the result: never left out.
PLANES, CLASSES = "planes", "classes"
#: Ends the name of the batches that a normalization has counted, which exported weights lack.
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class _Layer:
    """A convolution with the groups of channels that it reads, in order, and the one that it writes."""

    name: str
    norm: str | None
    reads: tuple[str, ...]
    writes: str


def can_be_narrowed(net: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Whether all weights of a network are there, each with at least its channels, and its planes and classes fit."""
    own = {name: value.shape for name, value in net.state_dict().items() if not name.endswith(COUNTER)}
    given = {name: value.shape for name, value in weights.items() if not name.endswith(COUNTER)}
    if not isinstance(net, ResNet50UNet) or {*own} != {*given}:
        return False
    if any(len(given[name]) != len(here) for name, here in own.items()):
        return False
    larger = all(size >= needed for name in own for size, needed in zip(given[name], own[name], strict=True))
    first, last = "encoder.conv1.weight", "head.weight"
    return larger and given[first][1] == own[first][1] and given[last][0] == own[last][0]


def narrowed(net: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a wider network, cut to the sizes of ``net`` (see ``can_be_narrowed``).

    Where the channels left out give zeros in the wider network, both give the same.
    """
    own = net.state_dict()
    layers = list(_layers(net))
    matters = {PLANES: torch.ones(weights["encoder.conv1.weight"].shape[1])}
    size = {PLANES: len(matters[PLANES])}
    for layer in layers:
        weight = weights[f"{layer.name}.weight"].float().transpose(0, int(_is_transposed(layer.name)))
        by = weight.flatten(1).norm(dim=1) if layer.norm is None else weights[f"{layer.norm}.weight"].float().abs()
        matters[layer.writes] = matters.get(layer.writes, 0) + by
        size[layer.writes] = len(own[f"{layer.norm}.weight" if layer.norm else f"{layer.name}.bias"])
    kept = {group: each.topk(size[group]).indices.sort().values for group, each in matters.items()}
    cut: dict[str, Tensor] = {}
    for layer in layers:
        starts = [0]
        for group in layer.reads:
            starts.append(starts[-1] + len(matters[group]))
        reads = torch.cat([kept[group] + start for group, start in zip(layer.reads, starts, strict=False)])
        out, into = (1, 0) if _is_transposed(layer.name) else (0, 1)
        name = f"{layer.name}.weight"
        cut[name] = weights[name].index_select(out, kept[layer.writes]).index_select(into, reads)
        for each in (name for name in weights if _goes_with(layer, name)):
            cut[each] = weights[each].index_select(0, kept[layer.writes])
    return cut


def _layers(net: nn.Module) -> Iterator[_Layer]:
    """All convolutions of a ResNet50UNet in the order of its data."""
    modules = dict(net.named_modules())
    yield _Layer("encoder.conv1", "encoder.bn1", (PLANES,), "stem")
    x, skips = "stem", ["stem"]
    for stage in range(1, 5):
        out = f"layer{stage}"
        for block in range(len(modules[f"encoder.{out}"])):  # type: ignore[arg-type]
            at = f"encoder.{out}.{block}"
            yield _Layer(f"{at}.conv1", f"{at}.bn1", (x,), f"{at}.1")
            yield _Layer(f"{at}.conv2", f"{at}.bn2", (f"{at}.1",), f"{at}.2")
            yield _Layer(f"{at}.conv3", f"{at}.bn3", (f"{at}.2",), out)
            if f"{at}.downsample.0" in modules:
                yield _Layer(f"{at}.downsample.0", f"{at}.downsample.1", (x,), out)
            x = out
        skips.append(out)
    beside = [*reversed(skips[:-1]), None]
    for stage, skip in enumerate(beside):
        at = f"decoder.{stage}"
        yield _Layer(f"{at}.up", None, (x,), f"{at}.up")
        yield _Layer(f"{at}.conv1.0", f"{at}.conv1.1", (f"{at}.up", *([skip] if skip else [])), f"{at}.1")
        yield _Layer(f"{at}.conv2.0", f"{at}.conv2.1", (f"{at}.1",), f"{at}.2")
        x = f"{at}.2"
    yield _Layer("head", None, (x,), CLASSES)


def _is_transposed(name: str) -> bool:
    """Whether a convolution's weight has its inputs first."""
    return name.endswith(".up")


def _goes_with(layer: _Layer, name: str) -> bool:
    """Whether a bias, or what a normalization knows, has one value for each channel that a layer writes."""
    if name.endswith(COUNTER):
        return False
    return name == f"{layer.name}.bias" or (layer.norm is not None and name.rpartition(".")[0] == layer.norm)

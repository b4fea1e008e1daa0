"""A batch on its device, and the network as it is called there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from StrokeSegLib.training.source import Batch


def on_device(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """A batch as tensors, channels last."""
    x = torch.from_numpy(batch.x).to(device).contiguous(memory_format=memory_format(batch.x.ndim))
    return x, torch.from_numpy(batch.y).to(device)


def memory_format(dimensions: int) -> torch.memory_format:
    return torch.channels_last if dimensions == 4 else torch.channels_last_3d


def compiled_or_not(net: nn.Module, wanted: bool, sample: Batch, device: torch.device) -> tuple[Any, list[str]]:
    """The network, compiled where that is wanted and works; and what the run's record should say of it."""
    if not wanted:
        return net, []
    before = {name: value.clone() for name, value in net.state_dict().items()}
    try:
        compiled = torch.compile(net, dynamic=False)
        compiled(on_device(sample, device)[0]).sum().backward()
    except Exception as error:  # no compiler, a graph that it cannot read, ...: any of them
        return net, [f"torch.compile did not work here ({type(error).__name__}); training without"]
    finally:
        net.load_state_dict(before)
        net.zero_grad(set_to_none=True)
    return compiled, ["through torch.compile"]


def usable_precision(
    net: nn.Module, precision: torch.dtype, sample: Batch, device: torch.device
) -> tuple[torch.dtype, list[str]]:
    """The precision, or float32 where torch's own arithmetic is wrong in it; and what the record should say.

    On a CPU the bfloat16 gradient of a 3x3x3 kernel over an image of two slices reads memory that was never written
    (torch 2.13 with AVX-512): weights become NaN now and then, or wrong without a sign.
    """
    if device.type != "cpu" or precision != torch.bfloat16:
        return precision, []
    thin: list[str] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].shape[2] == 2 and module.get_parameter("weight").shape[2] == 3:
            thin.append(type(module).__name__)

    hooks = [m.register_forward_pre_hook(look) for m in net.modules() if isinstance(m, nn.Conv3d)]
    was_training = net.training
    with torch.no_grad():
        net.eval()(on_device(sample, device)[0])
    net.train(was_training)
    for hook in hooks:
        hook.remove()
    if not thin:
        return precision, []
    return torch.float32, ["trained in fp32: on a CPU, bf16 gradients of images of two slices are wrong"]

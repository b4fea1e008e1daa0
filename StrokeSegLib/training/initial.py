"""``--init``: a training begins with the weights of a model or of another run."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from StrokeSegLib.errors import InputError
from StrokeSegLib.models import check_weights, find_model
from StrokeSegLib.training.checkpoint import read_checkpoint
from StrokeSegLib.training.narrowing import can_be_narrowed, narrowed

#: Mismatches named in an error.
NAMED = 3


def load_initial_weights(net: nn.Module, network: str, network_name: str, init: str) -> list[str]:
    """Puts the weights of a model, or a run's checkpoint, into a new network.

    Of a wider ResNet50UNet those that matter most are taken (``narrowing``).

    Args:
        network: Key of the network.
        network_name: Which network of the run it is: a model's network of this name is taken, or its only one.
        init: A model's id, a model folder, or a file checkpoint.pt.

    Returns:
        What is to be known about it, if anything.

    Raises:
        InputError: There is no such model, or its network is another or has other sizes.
    """
    found, weights = _weights(network_name, init)
    if found != network:
        raise InputError(f"{init} is a {found}, this system trains a {network}; give a model of the same network")
    own = net.state_dict()
    notes = []
    if can_be_narrowed(net, weights):
        before = sum(value.numel() for value in weights.values())
        weights = narrowed(net, weights)
        left_out = 1 - sum(value.numel() for value in weights.values()) / before
        if left_out > 0:
            notes = [f"began with a wider network's weights, without the {left_out:.0%} that matter least"]
    wanted = {name: tuple(value.shape) for name, value in own.items() if not name.endswith("num_batches_tracked")}
    given = {name: tuple(value.shape) for name, value in weights.items() if not name.endswith("num_batches_tracked")}
    differ = sorted(name for name in {*wanted, *given} if wanted.get(name) != given.get(name))
    if differ:
        some = ", ".join(
            f"{name} is {given.get(name, 'missing')}, needed {wanted.get(name, 'none')}" for name in differ[:NAMED]
        )
        raise InputError(
            f"{init} does not fit this preset's network: {len(differ)} weights differ ({some}); "
            "train with the width and inputs of that model (see width in its network_settings)"
        )
    net.load_state_dict({name: value.to(own[name].dtype) for name, value in weights.items()}, strict=False)
    return notes


def _weights(network_name: str, init: str) -> tuple[str, dict[str, Tensor]]:
    """Key of the network, and weights by name."""
    if Path(init).is_file():
        content = read_checkpoint(Path(init))
        return content["network"], content["average"] or content["net"]
    card = find_model(init)
    chosen = [n for n in card.networks if n.name == network_name] or list(card.networks)
    if len(chosen) > 1:
        names = ", ".join(n.name for n in card.networks)
        raise InputError(f"{init} has several networks ({names}) and none named {network_name}; give another model")
    check_weights(chosen[0])
    return card.network, load_file(chosen[0].weights)

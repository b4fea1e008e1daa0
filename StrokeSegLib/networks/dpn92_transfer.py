"""Weights for the encoder of DPN92UNet that a user gives, and its frozen warm-up (S4: tried, and left out, there).

No such weights come with this project. Three layouts are read:

* the encoder's own names (``stem.0.weight``);
* a whole DPN92UNet, such as weights.safetensors of an exported model: its names that begin with ``encoder.``;
* DPN-92 as timm and Cadene's pretrained-models store it (``features.conv1_1.conv.weight``), classifier ignored.

The third is the same network block by block under other names, except for one number: its batch normalizations add
0.001 to the variance, ours 0.00001. The difference is added to the stored variances, so that the frozen encoder
answers exactly as the network that the weights were trained in.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from StrokeSegLib.errors import InputError
from StrokeSegLib.networks.dpn92_unet import DPN92Encoder, DPN92UNet
from StrokeSegLib.networks.given_weights import other_names, read_tensors

#: What timm's batch normalizations add to a variance.
TIMM_EPSILON = 1e-3
OURS = "encoder."
CURE = "give the weights of a DPN-92 (timm's dpn92, or another run's model) as .safetensors or .pth"
_TIMM_PARTS = {"c1x1_w_s1": "project", "c1x1_w_s2": "project", "c1x1_a": "conv1", "c3x3_b": "conv2", "c1x1_c": "conv3"}
_TIMM_BLOCK = re.compile(r"features\.conv([2-5])_(\d+)\.(\w+)\.(bn|conv)\.(\w+)")
#: Normalization and convolution within ``PreActConv2d``.
_PLACE = {"bn": 0, "conv": 2}


def load_dpn92_state(encoder: DPN92Encoder, path: Path) -> None:
    """Puts the weights of a file into an encoder, which stays unchanged when the file is refused.

    Args:
        encoder: Of the width that the weights have; timm's have width 1.
        path: ``.safetensors``, or a file of ``torch.save``, of which nothing but tensors is read.

    Raises:
        InputError: The file holds no DPN-92, or one of another size.
    """
    # Counters of batches may be missing.
    encoder.load_state_dict(read_dpn92_state(encoder, path), strict=False)


def read_dpn92_state(encoder: DPN92Encoder, path: Path) -> dict[str, Tensor]:
    """The weights of a file under the names of an encoder, checked against it; the encoder may lie on ``meta``.

    Raises:
        InputError: As ``load_dpn92_state``.
    """
    path = Path(path)
    state = _under_our_names(read_tensors(path, CURE))
    wanted = {
        name: tuple(value.shape)
        for name, value in encoder.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    differ = other_names(set(state), set(wanted))
    if differ:
        raise InputError(f"{path} is not a DPN-92: names {differ}; {CURE}")
    for name, value in state.items():
        if tuple(value.shape) != wanted[name]:
            raise InputError(
                f"{path}: {name} has shape {tuple(value.shape)}, this preset's network {wanted[name]}; "
                "train with the width of these weights (those of timm have width=1)"
            )
        if not torch.isfinite(value).all():
            raise InputError(f"{path}: {name} has values that are no numbers; {CURE}")
    return state


def set_encoder_frozen(net: DPN92UNet, frozen: bool) -> None:
    """Puts a network into training, its encoder learning or not: frozen, it keeps its batch statistics, too."""
    net.train()
    net.encoder.requires_grad_(not frozen)
    net.encoder.train(not frozen)


def _under_our_names(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of an encoder under its own names, without counters of batches; foreign names stay as they are."""
    kept = {name: value for name, value in given.items() if not name.endswith("num_batches_tracked")}
    if any(name.startswith(OURS) for name in kept):
        return {name.removeprefix(OURS): value.float() for name, value in kept.items() if name.startswith(OURS)}
    if not any(name.startswith("features.") for name in kept):
        return {name: value.float() for name, value in kept.items()}
    more = TIMM_EPSILON - torch.nn.BatchNorm2d(1).eps
    return {
        _from_timm(name): value.float() + (more if name.endswith("running_var") else 0)
        for name, value in kept.items()
        if not name.startswith("classifier.")
    }


def _from_timm(name: str) -> str:
    """``features.conv3_1.c1x1_w_s2.bn.weight`` is ``stages.1.0.project.0.weight``, and so on."""
    for theirs, ours in (
        ("features.conv1_1.conv.", "stem.0."),
        ("features.conv1_1.bn.", "stem.1."),
        ("features.conv5_bn_ac.bn.", "last.0."),
    ):
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    block = _TIMM_BLOCK.fullmatch(name)
    if block is None or block[3] not in _TIMM_PARTS:
        return name
    return f"stages.{int(block[1]) - 2}.{int(block[2]) - 1}.{_TIMM_PARTS[block[3]]}.{_PLACE[block[4]]}.{block[5]}"

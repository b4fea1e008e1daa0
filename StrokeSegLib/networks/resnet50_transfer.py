"""Weights from natural images for ResNet50UNet, and its training in two phases (S3).

The paper starts from an ImageNet encoder and keeps it frozen. No such weights come with this project: a user gives a
file of torchvision's ResNet-50. Phase one trains the decoder alone, phase two also conv4_x and conv5_x, slower::

    load_resnet50_state(net.encoder, path)
    freeze_encoder(net)
    ...
    last = unfreeze_last_stages(net)
    optimizer.add_param_group({"params": last, "lr": LAST_STAGES_RATE * learning_rate})
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from StrokeSegLib.errors import InputError
from StrokeSegLib.networks.given_weights import other_names, read_tensors
from StrokeSegLib.networks.resnet50_unet import STEM_CHANNELS, ResNet50Encoder, ResNet50UNet

#: Learning rate of the last stages as a part of the decoder's.
LAST_STAGES_RATE = 0.1
#: conv4_x and conv5_x of the paper by He et al., as torchvision names them.
LAST_STAGES = ("layer3", "layer4")
STEM = "conv1.weight"
CURE = "give the state dict of torchvision's resnet50, as .pth or .safetensors"


def load_resnet50_state(encoder: ResNet50Encoder, path: Path) -> None:
    """Puts the weights of torchvision's ResNet-50 into an encoder of full width; the classifier (``fc``) is ignored.

    An encoder that takes other than three planes gets the mean kernel of red, green and blue in each plane, times
    3 / planes: planes of equal content then give the response that one gray image, three times, gives in the file.

    Args:
        encoder: At full width; unchanged when the file is refused.
        path: ``.safetensors``, or a file of ``torch.save``, of which nothing but tensors is read.

    Raises:
        InputError: The file is not the state dict of a ResNet-50, or the encoder is not of full width.
    """
    if encoder.channels[0] != STEM_CHANNELS:
        raise InputError(
            f"weights of a ResNet-50 fit a network of width 1, got width {encoder.channels[0] / STEM_CHANNELS:g}; "
            "set width=1 or train without them"
        )
    path = Path(path)
    given = read_tensors(path, CURE)
    wanted = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
    planes = wanted[STEM][1]
    wanted[STEM] = (STEM_CHANNELS, 3, 7, 7)
    state = {name: value for name, value in given.items() if not name.startswith("fc.")}
    _check_names(path, set(state), set(wanted))
    for name, value in state.items():
        if tuple(value.shape) != wanted[name] or not torch.isfinite(value).all():
            what = f"shape {tuple(value.shape)}" if tuple(value.shape) != wanted[name] else "values that are no numbers"
            raise InputError(f"{path}: {name} has {what}, a ResNet-50 has {wanted[name]} finite numbers; {CURE}")
    if planes != 3:
        state[STEM] = (state[STEM].float().mean(dim=1, keepdim=True) * (3 / planes)).expand(-1, planes, -1, -1)
    encoder.load_state_dict(state, strict=False)  # only counters of batches may be missing


def freeze_encoder(net: ResNet50UNet) -> None:
    """Stops the encoder's learning: no gradients, and its batch normalizations keep their statistics in training."""
    net.encoder.requires_grad_(False)
    net.encoder.train(net.encoder.training)


def unfreeze_last_stages(net: ResNet50UNet) -> list[nn.Parameter]:
    """Lets conv4_x and conv5_x learn again, their batch normalizations included.

    Returns:
        Their parameters, for a group of the optimizer with a tenth of the rate (``LAST_STAGES_RATE``).
    """
    stages = [net.encoder.get_submodule(name) for name in LAST_STAGES]
    for stage in stages:
        stage.requires_grad_(True)
    net.encoder.train(net.encoder.training)
    return [parameter for stage in stages for parameter in stage.parameters()]


def _check_names(path: Path, given: set[str], wanted: set[str]) -> None:
    weights = {name for name in wanted if not name.endswith("num_batches_tracked")}
    differ = other_names(given - (wanted - weights), weights)  # counters of batches may be there or not
    if not differ:
        return
    looks_like = ""
    if "layer1.0.conv2.weight" in given and "layer1.0.conv3.weight" not in given:
        looks_like = "; it looks like a ResNet-18 or -34"
    elif weights <= given and "layer3.6.conv1.weight" in given:
        looks_like = "; it looks like a ResNet-101 or -152"
    raise InputError(f"{path} is not a ResNet-50: names {differ}{looks_like}; {CURE}")

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

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from StrokeSegLib.errors import InputError
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
    given = _tensors(path)
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


def _tensors(path: Path) -> dict[str, Tensor]:
    """What a file of weights holds; refuses anything but tensors by name."""
    try:
        state: Any = (
            load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True, mmap=False)
        )
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror or error}; {CURE}") from error
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} holds more than tensors, which may run code and is not loaded; {CURE}") from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"{path} is no file of weights ({type(error).__name__}); {CURE}") from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise InputError(f"{path} holds no state dict, that is tensors by name, but a {type(state).__name__}; {CURE}")
    return state


def _check_names(path: Path, given: set[str], wanted: set[str]) -> None:
    wanted_weights = {name for name in wanted if not name.endswith("num_batches_tracked")}
    missing, unknown = sorted(wanted_weights - given), sorted(given - wanted)
    if not missing and not unknown:
        return
    looks_like = ""
    if "layer1.0.conv2.weight" in given and "layer1.0.conv3.weight" not in given:
        looks_like = "; it looks like a ResNet-18 or -34"
    elif not missing and "layer3.6.conv1.weight" in given:
        looks_like = "; it looks like a ResNet-101 or -152"
    listed = [
        f"{len(names)} {what} (as {names[0]})" for what, names in (("missing", missing), ("unknown", unknown)) if names
    ]
    raise InputError(f"{path} is not a ResNet-50: names {' and '.join(listed)}{looks_like}; {CURE}")

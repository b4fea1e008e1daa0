"""Networks by key; reading this file imports no torch (see ``systems``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

#: Key in a system or a model card -> (file in this folder, class). Each takes its settings as keyword arguments.
NETWORKS: dict[str, tuple[str, str]] = {
    "resnet50-unet": ("resnet50_unet", "ResNet50UNet"),
}


def build_network(key: str, settings: dict[str, Any]) -> nn.Module:
    """The network of a key with random weights.

    Raises:
        KeyError: Unknown key; the message lists the known ones.
    """
    if key not in NETWORKS:
        raise KeyError(f"unknown network {key!r}; known: {', '.join(sorted(NETWORKS))}")
    # A literal import for each network, so that the layer contract can see it.
    if key == "resnet50-unet":
        from StrokeSegLib.networks.resnet50_unet import ResNet50UNet

        return ResNet50UNet(**settings)
    raise AssertionError(key)

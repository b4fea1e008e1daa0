"""Networks by key; reading this file imports no torch (see ``systems``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

#: Key in a system or a model card -> (file in this folder, class). Each takes its settings as keyword arguments.
NETWORKS: dict[str, tuple[str, str]] = {
    "dilated-unet3d": ("dilated_unet3d", "DilatedUNet3D"),
    "dpn92-unet": ("dpn92_unet", "DPN92UNet"),
    "residual-se-unet3d": ("residual_se_unet3d", "ResidualSEUNet3D"),
    "resnet50-unet": ("resnet50_unet", "ResNet50UNet"),
    "unet3d": ("unet3d", "UNet3D"),
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
    if key == "dpn92-unet":
        from StrokeSegLib.networks.dpn92_unet import DPN92UNet

        return DPN92UNet(**settings)
    if key == "dilated-unet3d":
        from StrokeSegLib.networks.dilated_unet3d import DilatedUNet3D

        return DilatedUNet3D(**settings)
    if key == "residual-se-unet3d":
        from StrokeSegLib.networks.residual_se_unet3d import ResidualSEUNet3D

        return ResidualSEUNet3D(**settings)
    if key == "unet3d":
        from StrokeSegLib.networks.unet3d import UNet3D

        return UNet3D(**settings)
    raise AssertionError(key)

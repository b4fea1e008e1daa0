"""A model folder with random weights: as fast as a trained one of the same width, since nothing depends on values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from StrokeSegLib.models import CARD, ModelCard, load_card
from StrokeSegLib.networks import build_network
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.benchmark_memory import CHANNELS
from StrokeSegLib.training.card import build_card
from StrokeSegLib.training.graph import GRAPH, WEIGHTS, write_graph, write_weights
from StrokeSegLib.training.presets import find_preset, with_settings
from StrokeSegLib.training.recipes import recipe_for

#: Logit of every voxel: nothing is found, as random shapes everywhere would make the steps behind the network slow.
SILENT = -10.0


def write_random_model(system: str, folder: Path, words: Sequence[str] = ()) -> ModelCard:
    """Writes the model that the bundled preset would give untrained, and silent.

    Args:
        system: See ``presets.find_preset``.
        folder: Existing, empty.
        words: ``key=value`` for ``with_settings``, such as ``width=1``.
    """
    preset = with_settings(find_preset(system, "bundled"), words)
    recipe, of_system = recipe_for(preset), SYSTEMS[system]
    neighbors = recipe.inference_settings.get("neighbors", of_system.neighbors) if of_system.way == "slices" else 0
    in_channels = CHANNELS[system, "bundled"] * (2 * neighbors + 1)
    settings = recipe.network_settings(in_channels, len(of_system.labels))
    torch.manual_seed(0)
    net = build_network(recipe.network, settings).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d) and module.out_channels == settings["out_channels"]:
            torch.nn.init.zeros_(module.weight)
            if module.bias is not None:
                torch.nn.init.constant_(module.bias, SILENT)
                if of_system.activation == "softmax":
                    module.bias.data[0] = -SILENT
    digest = write_weights(net, folder, WEIGHTS)
    write_graph(net, in_channels, folder)
    networks = [{"name": p.name, "graph": GRAPH, "weights": WEIGHTS, "sha256": digest} for p in recipe.plans]
    card = build_card(
        of_system,
        {"data": {}, "preset": preset.name, "seed": 0},
        {
            "network": recipe.network,
            "network_settings": settings,
            "prepare_settings": recipe.prepare_settings,
            "inference_settings": recipe.inference_settings,
            "step": 0,
        },
        networks,
        f"{system}-random",
    )
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")
    return load_card(folder)

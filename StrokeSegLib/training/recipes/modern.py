"""What the bundled presets' recipes share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from StrokeSegLib.training.losses import batch_dice_loss, cross_entropies, lesion_dice_loss
from StrokeSegLib.training.presets.base import Modern
from StrokeSegLib.training.recipes.base import Plan, Recipe
from StrokeSegLib.training.schedules import warmup_cosine
from StrokeSegLib.training.source import Draw


def modern_recipe(
    preset: Modern,
    network: str,
    network_settings: Callable[[int, int], dict[str, Any]],
    draw: Draw,
    *,
    prepare_settings: dict[str, Any],
    inference_settings: dict[str, Any] | None = None,
    softmax: bool = False,
) -> Recipe:
    """AdamW, warm-up and cosine, averaged weights, two cross-entropies and two Dice losses.

    Args:
        draw: How a sample is drawn.
        softmax: The network's two channels are background and lesion; else each channel is a label of its own.
    """

    def loss(logits: Tensor, target: Tensor, facts: Mapping[str, float]) -> dict[str, Tensor]:
        y = target[:, 0] if softmax else target
        mean, hard = cross_entropies(logits, y, preset.hard_fraction)
        return {
            "ce": 2 * mean,
            "hard_ce": 0.5 * hard,
            "batch_dice": batch_dice_loss(logits, y),
            "lesion_dice": 0.5 * lesion_dice_loss(logits, y),
        }

    def optimizer(net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(net.parameters(), lr=preset.learning_rate, weight_decay=preset.weight_decay)

    def learning_rate(step: int) -> float:
        return warmup_cosine(step, preset.learning_rate, warmup_steps=preset.warmup_steps, steps=preset.steps)

    return Recipe(
        preset=preset,
        network=network,
        network_settings=network_settings,
        plans=(Plan("network", draw, preset.seed),),
        loss=loss,
        optimizer=optimizer,
        learning_rate=learning_rate,
        prepare_settings=prepare_settings,
        inference_settings=inference_settings or {},
        ema=preset.ema,
        gradient_clip=preset.gradient_clip,
    )

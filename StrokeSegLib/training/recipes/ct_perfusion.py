"""Recipes of system ``ct-perfusion``: slabs of CT, CBF, CBV, MTT and Tmax."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from StrokeSegLib.systems.ct_perfusion import CHANNELS
from StrokeSegLib.training.augment import contiguous, mirrored, quarter_turned, rescaled
from StrokeSegLib.training.crops import any_case, center_voxel, near_window, window_sample
from StrokeSegLib.training.dataset import TrainingCase
from StrokeSegLib.training.paper_losses import soft_iou_loss
from StrokeSegLib.training.presets.ct_perfusion import BundledCtPerfusion, PaperCtPerfusion
from StrokeSegLib.training.recipes.base import Counted, Plan, Recipe
from StrokeSegLib.training.recipes.modern import modern_recipe
from StrokeSegLib.training.schedules import constant
from StrokeSegLib.training.source import Cases

NETWORK = "dilated-unet3d"
#: Channels are divided by this while they are counted, so that no value meets the clip of standardized ones.
COUNTING_SCALE = 1000.0


def paper(preset: PaperCtPerfusion) -> Recipe:
    """Tursynova et al.: whole resized slabs, soft IoU, Adam with L2 on kernels, mirror images and quarter turns."""

    def network_settings(in_channels: int, labels: int) -> dict[str, Any]:
        names = ("width", "variant", "dilation", "dropout", "slope")
        return {"in_channels": in_channels, "out_channels": labels} | {name: getattr(preset, name) for name in names}

    def draw(cases: Cases, rng: np.random.Generator) -> tuple[Any, Any, str]:
        case = cases[any_case(cases, rng)]
        sample = window_sample(case, (0, 0, 0), preset.patch)
        sample = mirrored(rng, sample, (-1, -2), preset.flip_chance)
        return *contiguous(quarter_turned(rng, sample, preset.turn_chance)), case.case_id

    def loss(logits: Tensor, target: Tensor, facts: Mapping[str, float]) -> dict[str, Tensor]:
        truth = (target > 0.5).float()
        iou = soft_iou_loss(logits, truth)
        if not preset.with_bce:
            return {"iou": iou}
        return {"iou": iou, "bce": soft_iou_loss(logits, truth, with_bce=True) - iou}

    def optimizer(net: nn.Module) -> torch.optim.Optimizer:
        kernels = convolution_kernels(net)
        chosen = {id(p) for p in kernels}
        others = [p for p in net.parameters() if id(p) not in chosen]
        groups = [
            {"params": kernels, "weight_decay": preset.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.Adam(groups, lr=preset.learning_rate)

    def penalty(net: nn.Module) -> dict[str, float]:
        # Adam adds weight_decay * w to the gradient, which is that of weight_decay / 2 * w^2.
        squares = torch.stack([p.detach().float().square().sum() for p in convolution_kernels(net)])
        return {"l2_penalty": preset.weight_decay / 2 * float(squares.sum())}

    return Recipe(
        preset=preset,
        network=NETWORK,
        network_settings=network_settings,
        plans=(Plan("network", draw, preset.seed),),
        loss=loss,
        optimizer=optimizer,
        learning_rate=lambda step: constant(step, preset.learning_rate),
        prepare_settings={"size": list(preset.patch)},
        inference_settings={"window": list(preset.patch), "overlap": 0.0, "blend": "constant"},
        monitor=penalty,
        counted=Counted({"stats": {role: [0.0, COUNTING_SCALE] for role in CHANNELS}}, channel_stats),
    )


def channel_stats(cases: Iterable[TrainingCase]) -> dict[str, Any]:
    """Mean and SD of each channel over all brain voxels of all cases, clipped as the channel is, in its own unit.

    Args:
        cases: Prepared with ``COUNTING_SCALE`` for the SD. A channel of zeros is an image that was not there.

    Returns:
        ``{"stats": {role: [mean, SD]}}`` for the roles that any case has.
    """
    sums = np.zeros((len(CHANNELS), 3))
    for case in cases:
        for n, channel in enumerate(case.channels):
            values = channel[case.brain].astype(np.float64) * COUNTING_SCALE
            if values.any():
                sums[n] += (values.size, values.sum(), np.square(values).sum())
    stats = {}
    for role, (count, total, squares) in zip(CHANNELS, sums, strict=True):
        if count:
            mean = total / count
            stats[role] = [float(f"{each:.6g}") for each in (mean, np.sqrt(max(squares / count - mean**2, 0)))]
    return {"stats": stats}


def convolution_kernels(net: nn.Module) -> list[nn.Parameter]:
    """The kernels of all convolutions, transposed ones included; no biases."""
    kinds = (nn.Conv3d, nn.ConvTranspose3d)
    return [module.get_parameter("weight") for module in net.modules() if isinstance(module, kinds)]


def bundled(preset: BundledCtPerfusion) -> Recipe:
    """The slab's own slices; mirror images, quarter turns now and then, small errors of the scale, hidden inputs."""

    def network_settings(in_channels: int, labels: int) -> dict[str, Any]:
        return {
            "in_channels": in_channels,
            "out_channels": labels,
            "width": preset.width,
            "dropout": preset.dropout,
        }

    def draw(cases: Cases, rng: np.random.Generator) -> tuple[Any, Any, str]:
        n = any_case(cases, rng)
        case = cases[n]
        center = center_voxel(cases, n, rng, preset.lesion_chance)
        sample = window_sample(case, near_window(rng, case.brain.shape, center, preset.patch), preset.patch)
        x, y = quarter_turned(rng, mirrored(rng, sample, (-1,)), 0.1)
        x = rescaled(rng, x, 0.08, 0.05)
        if rng.random() < preset.channel_drop_chance:
            x[int(rng.integers(len(x)))] = 0
        return *contiguous((x, y)), case.case_id

    return modern_recipe(
        preset,
        NETWORK,
        network_settings,
        draw,
        prepare_settings={},
        inference_settings={"window": list(preset.patch), "overlap": 0.5},
    )

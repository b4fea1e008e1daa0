"""Recipes of system ``mri``: slices of diffusion MRI with their neighbors, or of one sequence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from StrokeSegLib.networks.resnet50_transfer import (
    LAST_STAGES,
    freeze_encoder,
    load_resnet50_state,
    unfreeze_last_stages,
)
from StrokeSegLib.systems.mri import MRI, SEQUENCES
from StrokeSegLib.training.augment import (
    contiguous,
    mirrored,
    neighbors_swapped,
    quarter_turned,
    turned_and_scaled,
)
from StrokeSegLib.training.crops import any_case, center_voxel, centered, slice_sample
from StrokeSegLib.training.paper_losses import two_class_cross_entropy
from StrokeSegLib.training.presets.mri import BundledMri, PaperMri
from StrokeSegLib.training.recipes.base import Plan, Recipe
from StrokeSegLib.training.recipes.modern import modern_recipe
from StrokeSegLib.training.source import Cases

NETWORK = "resnet50-unet"
#: Spread of the errors of the DWI's and the ADC map's scale.
GAIN_SD = 0.08
#: Channel values of a signal of 0: DWI is (ratio - 1) / 1.5, ADC less 1; the others have no zero of their own.
ZERO_AT = {"dwi": -1 / 1.5, "adc": -1.0}


def paper(preset: PaperMri) -> Recipe:
    """Aboudi et al.: one sequence, cross-entropy of a softmax, SGD, the encoder frozen and then slowly tuned."""
    frozen_steps = preset.frozen_steps if preset.encoder_weights else 0

    def draw(cases: Cases, rng: np.random.Generator) -> tuple[Any, Any, str]:
        n = any_case(cases, rng)
        case, box = cases[n], cases.index[n].box
        sample = slice_sample(case, "axial", int(rng.integers(box[0].start, box[0].stop)), 0)
        sample = centered(sample, [n // 2 for n in case.brain.shape[1:]], (preset.crop, preset.crop))
        sample = mirrored(rng, sample, (-1, -2), preset.flip_chance)
        return *contiguous(turned_and_scaled(rng, sample, preset.rotation_deg)), case.case_id

    def loss(logits: Tensor, target: Tensor, facts: Mapping[str, float]) -> dict[str, Tensor]:
        return {"cross_entropy": two_class_cross_entropy(logits, (target > 0.5).float())}

    def optimizer(net: nn.Module) -> torch.optim.Optimizer:
        if not frozen_steps:
            return torch.optim.SGD(net.parameters(), lr=preset.learning_rate, momentum=preset.momentum)
        encoder = net.get_submodule("encoder")
        last = [p for name in LAST_STAGES for p in encoder.get_submodule(name).parameters()]
        in_encoder = {id(p) for p in encoder.parameters()}
        groups: list[dict[str, Any]] = [
            {"params": [p for p in net.parameters() if id(p) not in in_encoder]},
            {"params": last, "rate_factor": preset.fine_tune_fraction},
        ]
        return torch.optim.SGD(groups, lr=preset.learning_rate, momentum=preset.momentum)

    def begin(net: Any) -> list[str]:
        if not preset.encoder_weights:
            return ["no ImageNet weights were given (encoder_weights): the encoder trains from the first step"]
        load_resnet50_state(net.encoder, Path(preset.encoder_weights))
        return [f"the encoder begins with ImageNet weights and is frozen for {frozen_steps} steps"]

    def set_phase(net: Any, step: int) -> None:
        if frozen_steps and step < frozen_steps:
            freeze_encoder(net)
        elif frozen_steps and not net.encoder.layer4[0].conv1.weight.requires_grad:
            freeze_encoder(net)
            unfreeze_last_stages(net)
        net.train()

    return Recipe(
        preset=preset,
        network=NETWORK,
        network_settings=lambda in_channels, labels: {
            "in_channels": in_channels,
            "out_channels": 1 + labels,
            "width": preset.width,
        },
        plans=(Plan(preset.sequence, draw, preset.seed),),
        loss=loss,
        optimizer=optimizer,
        learning_rate=lambda step: preset.learning_rate,
        prepare_settings={
            "mode": "single",
            "sequence": preset.sequence,
            "min_slice_mm": 1.0,
            "slice_pixels": preset.crop,
        },
        inference_settings={"neighbors": 0, "crop_to_brain": False},
        begin=begin,
        set_phase=set_phase,
    )


def bundled(preset: BundledMri) -> Recipe:
    """Slices with their neighbors; mirror images, a quarter turn now and then, small errors of the scales."""
    wrong_scale = misscaled if preset.mode == "diffusion" else misscaled_any

    def draw(cases: Cases, rng: np.random.Generator) -> tuple[Any, Any, str]:
        n = any_case(cases, rng)
        case = cases[n]
        center = center_voxel(cases, n, rng, preset.lesion_chance)
        away = rng.integers(-preset.crop // 3, preset.crop // 3, 2)
        whole = slice_sample(case, "axial", int(center[0]), MRI.neighbors)
        x, y = centered(whole, center[1:] + away, (preset.crop, preset.crop))
        x, y = quarter_turned(rng, mirrored(rng, (x, y), (-1,)), 0.1)
        x, y = neighbors_swapped(rng, (x, y), MRI.neighbors)
        return *contiguous((wrong_scale(rng, x), y)), case.case_id

    return modern_recipe(
        preset,
        NETWORK,
        lambda in_channels, labels: {
            "in_channels": in_channels,
            "out_channels": 1 + labels,
            "width": preset.width,
        },
        draw,
        prepare_settings={"mode": preset.mode},
        inference_settings={"neighbors": MRI.neighbors},
        softmax=True,
    )


def misscaled(rng: np.random.Generator, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Small errors of the scale: DWI channels are (value - 1) / 1.5, ADC channels value - 1."""
    gain = rng.normal(1, GAIN_SD, 2).astype(np.float32)
    half = len(x) // 2
    dwi, adc = x[:half] * np.float32(1.5) + 1, x[half:] + 1
    return np.concatenate([(dwi * gain[0] - 1) / np.float32(1.5), adc * gain[1] - 1])


def misscaled_any(rng: np.random.Generator, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same for mode ``any``: sequences, then as many planes that are 1 where a sequence is there; 0 stays 0."""
    half = len(x) // 2
    each = half // len(SEQUENCES)
    image, there = x[:half].reshape(len(SEQUENCES), each, *x.shape[1:]), x[half:]
    gain = rng.normal(1, GAIN_SD, (len(SEQUENCES), 1, 1, 1)).astype(np.float32)
    # What a value of 0 was before the sequence was scaled: DWI over its median and ADC in um2/ms have their 0 below.
    zero = np.array([ZERO_AT.get(role, 0.0) for role in SEQUENCES], np.float32).reshape(gain.shape)
    moved = ((image - zero) * gain + zero).reshape(half, *x.shape[1:]) * there
    return np.concatenate([moved, there])

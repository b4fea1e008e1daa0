"""Recipes of system ``noncontrast-ct``: patches of one CT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from StrokeSegLib.preprocess.ct_level import MEDIAN_HU
from StrokeSegLib.training.augment import contiguous, mirrored, quarter_turned, rescaled
from StrokeSegLib.training.crops import any_case, center_voxel, near_window, window_sample
from StrokeSegLib.training.paper_losses import squared_dice_loss, weighted_bce
from StrokeSegLib.training.presets.noncontrast_ct import BundledNoncontrastCt, PaperNoncontrastCt
from StrokeSegLib.training.recipes.base import Plan, Recipe
from StrokeSegLib.training.recipes.modern import modern_recipe
from StrokeSegLib.training.samplers import labeled_windows, uniform_windows
from StrokeSegLib.training.schedules import step_with_floor
from StrokeSegLib.training.source import Cases, Draw

NETWORK = "residual-se-unet3d"
#: Overlap of windows when a volume is read: the paper's quarter, and the half that is ours.
PAPER_OVERLAP, OVERLAP = 0.25, 0.5


def paper(preset: PaperNoncontrastCt) -> Recipe:
    """Dobshik et al.: labeled patches, Dice and weighted cross-entropy, Adam with a falling rate, no augmentation."""

    def network_settings(in_channels: int, labels: int) -> dict[str, Any]:
        return {
            "in_channels": in_channels,
            "out_channels": labels,
            "width": preset.width,
            "residual": preset.residual,
            "squeeze_excite": preset.squeeze_excite,
        }

    def loss(logits: Tensor, target: Tensor, facts: Mapping[str, float]) -> dict[str, Tensor]:
        truth = (target > 0.5).float()
        if not preset.weighted_loss:
            bce = nn.functional.binary_cross_entropy_with_logits(logits.float(), truth)
            return {"dice": squared_dice_loss(logits, truth), "bce": bce}
        fraction = facts["lesion_fraction"]
        bce = weighted_bce(logits, truth, fraction, normalize_weights=preset.normalize_weights)
        return {"dice": squared_dice_loss(logits, truth), "weighted_bce": bce}

    def learning_rate(step: int) -> float:
        return step_with_floor(
            step,
            preset.learning_rate,
            every=preset.decay_every,
            factor=preset.decay_factor,
            floor_fraction=preset.floor_fraction,
        )

    def optimizer(net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(net.parameters(), lr=preset.learning_rate, weight_decay=preset.weight_decay)

    return Recipe(
        preset=preset,
        network=NETWORK,
        network_settings=network_settings,
        plans=(Plan("network", _paper_draw(preset), preset.seed),),
        loss=loss,
        optimizer=optimizer,
        learning_rate=learning_rate,
        prepare_settings={"brain": preset.brain, "norm": preset.norm, "in_plane_mm": None, "min_slice_mm": 0.0},
        inference_settings={"window": list(preset.patch), "overlap": PAPER_OVERLAP, "blend": "constant"},
        count_facts=lesion_fraction,
    )


def lesion_fraction(cases: Cases) -> dict[str, float]:
    """Lesion voxels over all voxels of the training images, cropped to the brain's box."""
    sizes = [np.prod([s.stop - s.start for s in index.box]) for index in cases.index]
    lesions = [index.lesion_voxels for index in cases.index]
    return {"lesion_fraction": float(sum(lesions) / sum(sizes))}


def _paper_draw(preset: PaperNoncontrastCt) -> Draw:
    def draw(cases: Cases, rng: np.random.Generator) -> tuple[Any, Any, str]:
        n = any_case(cases, rng)
        case, box = cases[n], cases.index[n].box
        if preset.sampler == "labeled":
            lesion = case.target.max(axis=0)[box] > 127
            (start,) = labeled_windows(rng, lesion, case.brain[box], preset.patch, 1)
        else:
            (start,) = uniform_windows(rng, [s.stop - s.start for s in box], preset.patch, 1)
        # Beyond the box the volume goes on where a patch is larger: brain's background, 0, as the padding.
        starts = [int(s) + b.start for s, b in zip(start, box, strict=True)]
        return *contiguous(window_sample(case, starts, preset.patch)), case.case_id

    return draw


def bundled(preset: BundledNoncontrastCt) -> Recipe:
    """Flat patches around lesion or brain; mirror images, quarter turns now and then, small errors of the scale."""

    def network_settings(in_channels: int, labels: int) -> dict[str, Any]:
        return {
            "in_channels": in_channels,
            "out_channels": labels,
            "width": preset.width,
            "squeeze_excite": preset.squeeze_excite,
        }

    def draw(cases: Cases, rng: np.random.Generator) -> tuple[Any, Any, str]:
        n = any_case(cases, rng)
        case = cases[n]
        center = center_voxel(cases, n, rng, preset.lesion_chance)
        sample = window_sample(case, near_window(rng, case.brain.shape, center, preset.patch), preset.patch)
        x, y = quarter_turned(rng, mirrored(rng, sample, (-1,)), 0.1)
        return *contiguous((rescaled(rng, x, 0.05, 0.05), y)), case.case_id

    return modern_recipe(
        preset,
        NETWORK,
        network_settings,
        draw,
        prepare_settings={
            "norm": preset.norm,
            "in_plane_mm": preset.in_plane_mm,
            "tissue_hu": MEDIAN_HU,
            **({"other_side": True} if preset.other_side else {}),
        },
        inference_settings={"window": list(preset.patch), "overlap": OVERLAP},
    )

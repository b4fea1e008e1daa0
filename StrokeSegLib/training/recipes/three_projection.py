"""Recipes of system ``three-projection``: slices of one CT in three planes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from StrokeSegLib.networks.dpn92_transfer import load_dpn92_state, read_dpn92_state, set_encoder_frozen
from StrokeSegLib.networks.dpn92_unet import DPN92Encoder, DPN92UNet
from StrokeSegLib.preprocess.ct_level import MEDIAN_HU
from StrokeSegLib.systems.dpn92_constants import PAPER
from StrokeSegLib.training.augment import contiguous, mirrored, quarter_turned, rescaled, turned_and_scaled
from StrokeSegLib.training.crops import AXES, Sample, any_case, center_voxel, centered, slice_sample
from StrokeSegLib.training.dataset import TrainingCase
from StrokeSegLib.training.paper_losses import focal_loss
from StrokeSegLib.training.presets.three_projection import BundledThreeProjection, PaperThreeProjection
from StrokeSegLib.training.recipes.base import Plan, Recipe
from StrokeSegLib.training.recipes.modern import modern_recipe
from StrokeSegLib.training.samplers import stroke_slices
from StrokeSegLib.training.schedules import exponential
from StrokeSegLib.training.source import Cases, Draw

NETWORK = "dpn92-unet"
#: HU windows of the bundled model's channels: brain, early ischemia, blood.
WINDOWS_HU = [[0.0, 80.0], [15.0, 55.0], [-20.0, 180.0]]
#: Grid of the published coronal and sagittal networks.
PLANE_GRID = {"in_plane_mm": PAPER.plane_spacing_mm, "min_slice_mm": PAPER.plane_spacing_mm}


def paper(preset: PaperThreeProjection) -> Recipe:
    """Focal loss, RMSProp with a falling rate, half of the slices with stroke; a network for each plane and member."""
    # A frozen random encoder would be of no use.
    frozen_steps = preset.frozen_steps if preset.encoder_weights else 0
    members = {"axial": preset.axial_members, "coronal": preset.coronal_members, "sagittal": preset.sagittal_members}
    plans = []
    for plane, count in members.items():
        grid = {} if plane == "axial" else PLANE_GRID
        for member in range(count):
            seed = preset.seed + 1000 * AXES[plane] + member
            plans.append(Plan(f"{plane}-{member + 1}", _paper_draw(preset, plane), seed, grid))

    def loss(logits: Tensor, target: Tensor, facts: Mapping[str, float]) -> dict[str, Tensor]:
        return {"focal": focal_loss(logits, (target > 0.5).float(), gamma=preset.focal_gamma)}

    def optimizer(net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(net.parameters(), lr=preset.learning_rate)

    def begin(net: Any) -> list[str]:
        if not preset.encoder_weights:
            return []
        load_dpn92_state(net.encoder, Path(preset.encoder_weights))
        return [f"the encoder begins with weights that were given and is frozen for {frozen_steps} steps"]

    return Recipe(
        preset=preset,
        network=NETWORK,
        network_settings=lambda in_channels, labels: {
            "in_channels": in_channels,
            "out_channels": labels,
            "width": preset.width,
            **({"scse": True} if preset.scse else {}),
        },
        plans=tuple(plans),
        loss=loss,
        optimizer=optimizer,
        learning_rate=lambda step: exponential(step, preset.learning_rate, decay=preset.learning_rate_decay),
        prepare_settings={"slice_pixels": preset.slice_pixels, "in_plane_mm": None, "min_slice_mm": 0.0},
        inference_settings={"crop_to_brain": False},
        begin=begin,
        set_phase=lambda net, step: set_encoder_frozen(cast(DPN92UNet, net), step < frozen_steps),
    )


def check_encoder_weights(preset: PaperThreeProjection) -> None:
    """Refuses a file of weights before anything is prepared or trained.

    Raises:
        InputError: It does not fit the networks of the preset.
    """
    if preset.encoder_weights:
        with torch.device("meta"):
            encoder = DPN92Encoder(PAPER.input_channels, preset.width)
        read_dpn92_state(encoder, Path(preset.encoder_weights))


def _paper_draw(preset: PaperThreeProjection, plane: str) -> Draw:
    side = preset.slice_pixels if plane == "axial" else preset.plane_pixels

    def draw(cases: Cases, rng: np.random.Generator) -> tuple[Any, Any, str]:
        n, number = _stroke_slice(cases, plane, rng, preset.stroke_slice_chance)
        case = cases[n]
        x, y = even_slice(case, plane, number)
        middle = [size // 2 for size in x.shape[1:]]
        sample = mirrored(rng, centered((x, y), middle, (side, side)), (-1, -2), preset.flip_chance)
        sample = quarter_turned(rng, sample, 0.75)  # each of the four turns alike
        x, y = turned_and_scaled(rng, sample, preset.rotation_deg, (preset.min_scale, preset.max_scale))
        x = np.repeat(x, PAPER.input_channels, axis=0) if len(x) == 1 else x
        return *contiguous((x, y)), case.case_id

    return draw


def _stroke_slice(cases: Cases, plane: str, rng: np.random.Generator, chance: float) -> tuple[int, int]:
    """Case and number of a slice, drawn among the slices of all cases."""
    flags = [index.stroke_slices[AXES[plane]] for index in cases.index]
    (chosen,) = stroke_slices(rng, np.concatenate(flags), 1, stroke_chance=chance)
    ends = np.cumsum([len(f) for f in flags])
    n = int(np.searchsorted(ends, chosen, side="right"))
    return n, int(chosen - (ends[n] - len(flags[n])))


def even_slice(case: TrainingCase, plane: str, number: int) -> Sample:
    """A whole slice ``(C, H, W)`` with square pixels: coronal and sagittal ones are interpolated along k."""
    x, y = slice_sample(case, plane, number, 0)
    stretch = case.spacing_mm[2] / case.spacing_mm[0]
    if plane == "axial" or abs(stretch - 1) < 0.01:
        return x, y
    return _stretched(x, stretch), _stretched(y, stretch)


def _stretched(planes: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Rows of ``(C, H, W)`` interpolated linearly to ``factor`` times as many over the same extent."""
    rows = planes.shape[1]
    at = np.clip((np.arange(max(1, round(rows * factor))) + 0.5) / factor - 0.5, 0, rows - 1)
    low = np.minimum(at.astype(int), max(rows - 2, 0))
    part = (at - low)[:, None].astype(np.float32)
    stretched: NDArray[np.float32] = planes[:, low] * (1 - part) + planes[:, np.minimum(low + 1, rows - 1)] * part
    return stretched


def bundled(preset: BundledThreeProjection) -> Recipe:
    """One network for all planes; crops around lesion or brain, turned, scaled, with small errors of the scale."""

    def draw(cases: Cases, rng: np.random.Generator) -> tuple[Any, Any, str]:
        n = any_case(cases, rng)
        case = cases[n]
        # Thick slices leave only the axial plane, as in inference.
        planes = preset.planes if case.spacing_mm[2] <= PAPER.max_slice_mm else ("axial",)
        plane = planes[int(rng.integers(len(planes)))]
        center = center_voxel(cases, n, rng, preset.lesion_chance)
        x, y = even_slice(case, plane, int(center[AXES[plane]]))
        in_slice = np.delete(center, AXES[plane]).astype(float)
        if plane != "axial":
            in_slice[0] *= case.spacing_mm[2] / case.spacing_mm[0]
        away = rng.integers(-preset.crop // 3, preset.crop // 3, 2)
        sample = centered((x, y), (in_slice + away).astype(int), (preset.crop, preset.crop))
        x, y = quarter_turned(rng, mirrored(rng, sample, (-1,)), 0.1)
        return *contiguous((rescaled(rng, x, 0.05, 0.02), y)), case.case_id

    grid: dict[str, Any] = {
        "in_plane_mm": preset.spacing_mm,
        "min_slice_mm": preset.spacing_mm,
        "plane_spacing_mm": preset.spacing_mm,
    }
    grid |= {"tissue_hu": MEDIAN_HU, "marks_beside_bone": False}
    return modern_recipe(
        preset,
        NETWORK,
        lambda in_channels, labels: {
            "in_channels": in_channels,
            "out_channels": labels,
            "width": preset.width,
        },
        draw,
        prepare_settings={**grid, "windows_hu": WINDOWS_HU},
    )

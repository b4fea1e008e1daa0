"""What the training loop is compared with: MONAI as its tutorials use it. Single precision, channels first, no cache.

Every item reads its files and prepares its case; MONAI draws crops from it, several of one case, as its tutorials do;
one process; Adam; Dice and cross-entropy.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data.dataloader import DataLoader
from monai.data.dataset import Dataset
from monai.losses.dice import DiceCELoss, DiceLoss
from monai.transforms.compose import Compose
from monai.transforms.croppad.dictionary import RandCropByPosNegLabeld, SpatialPadd
from torch import Tensor, nn

from StrokeSegLib.case_table import Case
from StrokeSegLib.networks import build_network
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.dataset import TrainingCase, read_case
from StrokeSegLib.training.recipes import Recipe

#: Crops drawn from a case that was read, as in MONAI's tutorials.
CROPS_PER_CASE = 4
#: Part of the crops around a lesion, where the preset does not say.
LESION_CHANCE = 0.6


@dataclass(frozen=True)
class PlainStep:
    """One step: seconds that the loader took, seconds of network, loss and optimizer, and the loss."""

    data_s: float
    network_s: float
    loss: float


def plain_loader(cases: Sequence[Case], recipe: Recipe, batch_size: int) -> DataLoader:
    """Batches without end: ``image`` ``(B, C, *spatial)`` and ``label`` ``(B, L, *spatial)``, float32."""
    settings = {**recipe.prepare_settings, **recipe.plans[0].prepare_settings}
    system = SYSTEMS[recipe.preset.system]
    return crop_loader(cases, lambda case: read_case(case, system, settings), recipe, batch_size)


def crop_loader(
    cases: Sequence[Any], read: Callable[[Any], TrainingCase], recipe: Recipe, batch_size: int
) -> DataLoader:
    """The same for any cases and any way of reading one."""
    lesion_chance = getattr(recipe.preset, "lesion_chance", LESION_CHANCE)
    per_case = math.gcd(batch_size, CROPS_PER_CASE)

    def arrays(case: Any) -> dict[str, Tensor]:
        prepared = read(case)
        label = np.asarray(prepared.target, np.float32) / 255
        return {
            "image": torch.from_numpy(np.asarray(prepared.channels, np.float32)),
            "label": torch.from_numpy(label),
            "lesion": torch.from_numpy(label.max(axis=0, keepdims=True) > 0.5).float(),
        }

    keys, size = ("image", "label", "lesion"), crop_size(recipe)
    crops = RandCropByPosNegLabeld(keys, "lesion", size, pos=lesion_chance, neg=1 - lesion_chance, num_samples=per_case)
    data = Dataset(list(cases), Compose([arrays, SpatialPadd(keys, size), crops]))
    endless = torch.utils.data.RandomSampler(range(len(cases)), replacement=True, num_samples=10**9)
    return DataLoader(data, batch_size=batch_size // per_case, sampler=endless, num_workers=0)


def crop_size(recipe: Recipe) -> tuple[int, int, int]:
    """Of a sample, along k, j, i; slices with their neighbors are a few voxels thick."""
    preset = recipe.preset
    if hasattr(preset, "patch"):
        k, j, i = preset.patch
        return k, j, i
    side = preset.crop if hasattr(preset, "crop") else getattr(preset, "slice_pixels", 0)
    return 1 + 2 * int(recipe.inference_settings.get("neighbors", 0)), side, side


class PlainLoop:
    """A training that goes on where the last call of ``take`` stopped.

    Args:
        loader: See ``crop_loader``.
        recipe: For the network and its size; loss and optimizer are MONAI's and torch's usual ones.
    """

    def __init__(self, loader: DataLoader, recipe: Recipe) -> None:
        self._batches: Iterator[Mapping[str, Tensor]] = iter(loader)
        self._slices = crop_size(recipe)[0] if not hasattr(recipe.preset, "patch") else 0
        x, y = self._arrays(next(self._batches))
        settings = recipe.network_settings(x.shape[1], y.shape[1])
        torch.manual_seed(recipe.preset.seed)
        self.net = build_network(recipe.network, settings).train()
        self.sample, self.sample_truth = x, y
        self._softmax = settings["out_channels"] > y.shape[1]
        self._optimizer = torch.optim.Adam(self.net.parameters(), lr=recipe.preset.learning_rate)
        self._softmax_loss, self._dice = DiceCELoss(softmax=True), DiceLoss(sigmoid=True)

    def take(self, steps: int) -> list[PlainStep]:
        """Trains this many steps."""
        return [self._step() for _ in range(steps)]

    def _step(self) -> PlainStep:
        start = time.perf_counter()
        x, y = self._arrays(next(self._batches))
        read = time.perf_counter()
        self._optimizer.zero_grad()
        loss = self._loss(self.net(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        value = loss.item()
        return PlainStep(read - start, time.perf_counter() - read, value)

    def _loss(self, logits: Tensor, y: Tensor) -> Tensor:
        if self._softmax:
            both: Tensor = self._softmax_loss(logits, torch.cat([1 - y, y], dim=1))
            return both
        dice: Tensor = self._dice(logits, y)  # DiceCELoss would read two labels as classes that exclude each other
        return dice + nn.functional.binary_cross_entropy_with_logits(logits, y)

    def _arrays(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        x, y = (torch.as_tensor(batch[key]).float() for key in ("image", "label"))
        x, y = (each.as_tensor() if hasattr(each, "as_tensor") else each for each in (x, y))
        if self._slices:
            x, y = x.flatten(1, 2), y[:, :, self._slices // 2]
        return x.contiguous(), y.contiguous()

"""Losses for lesions that fill a hundredth of a slice or nothing at all."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def cross_entropies(logits: Tensor, target: Tensor, hard_fraction: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy against soft targets: its mean over all voxels, and over the hardest ``hard_fraction`` of them.

    The mean alone is all background and collapsed to "no lesion" in trials; the hardest voxels alone leave the whole
    background at the same probability of about 0.28, where nothing is among the hardest.

    Shape: logits ``(B, 2, H, W)``, target ``(B, H, W)`` in 0..1.
    """
    log_p = F.log_softmax(logits.float(), dim=1)
    loss = -(target * log_p[:, 1] + (1 - target) * log_p[:, 0])
    count = max(1, int(hard_fraction * loss.numel()))
    return loss.mean(), torch.topk(loss.flatten(), count, sorted=False).values.mean()


def batch_dice_loss(logits: Tensor, target: Tensor, eps: float = 20.0) -> Tensor:
    """1 - soft Dice of the lesion pooled over the whole batch, so that empty slices weigh by their false positives.

    Shape: as ``cross_entropies``. ``eps`` is in voxels.
    """
    p = torch.softmax(logits.float(), dim=1)[:, 1]
    return 1 - (2 * (p * target).sum() + eps) / (p.sum() + target.sum() + eps)


def lesion_dice_loss(logits: Tensor, target: Tensor, eps: float = 5.0) -> Tensor:
    """1 - soft Dice a crop, mean over the crops that hold a lesion: a small lesion weighs as much as a large one."""
    p = torch.softmax(logits.float(), dim=1)[:, 1]
    sums = [x.flatten(1).sum(1) for x in (p * target, p, target)]
    holds = sums[2] > 1
    if not holds.any():
        return p.sum() * 0.0
    dice = (2 * sums[0] + eps) / (sums[1] + sums[2] + eps)
    return 1 - dice[holds].mean()

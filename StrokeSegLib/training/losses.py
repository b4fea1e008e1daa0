"""Losses for lesions that fill a hundredth of an image or nothing at all.

Shape, for all: logits ``(B, 2, ...)`` with a softmax over background and lesion, and target ``(B, ...)``; or logits and
target ``(B, L, ...)``, a sigmoid a label. The target is in 0..1, soft at the edges. Two logits of a softmax are read as
the one of a sigmoid that they are, their difference.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def cross_entropies(logits: Tensor, target: Tensor, hard_fraction: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy against soft targets: its mean over all voxels, and over the hardest ``hard_fraction`` of them.

    The mean alone is all background and collapsed to "no lesion" in trials; the hardest voxels alone leave the whole
    background at the same probability of about 0.28, where nothing is among the hardest.
    """
    z, y = _a_label(logits, target)
    loss = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    count = max(1, int(hard_fraction * loss.numel()))
    return loss.mean(), torch.topk(loss.flatten(), count, sorted=False).values.mean()


def batch_dice_loss(logits: Tensor, target: Tensor, eps: float = 20.0) -> Tensor:
    """1 - soft Dice of each label pooled over the whole batch, so that empty samples weigh by their false positives.

    ``eps`` is in voxels.
    """
    z, y = _a_label(logits, target)
    p, y = torch.sigmoid(z).transpose(0, 1).flatten(1), y.transpose(0, 1).flatten(1)  # (L, voxels of the batch)
    return 1 - ((2 * (p * y).sum(1) + eps) / (p.sum(1) + y.sum(1) + eps)).mean()


def lesion_dice_loss(logits: Tensor, target: Tensor, eps: float = 5.0) -> Tensor:
    """1 - soft Dice a sample and label, mean over those with a lesion: a small one weighs as much as a large one."""
    z, y = _a_label(logits, target)
    p = torch.sigmoid(z)
    common, of_p, of_y = (x.flatten(2).sum(2) for x in (p * y, p, y))  # (B, L)
    holds = (of_y > 1).float()
    dice = (2 * common + eps) / (of_p + of_y + eps)
    # The weights, and not a selection, so that no value leaves the device to decide.
    return ((1 - dice) * holds).sum() / holds.sum().clamp(min=1)


def _a_label(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and target in float32, one plane a label."""
    if logits.dim() == target.dim() + 1:
        return (logits[:, 1:].float() - logits[:, :1].float()), target.float().unsqueeze(1)
    return logits.float(), target.float()

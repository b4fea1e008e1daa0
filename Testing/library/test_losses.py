"""Losses against hand arithmetic."""

from __future__ import annotations

import math

import pytest
import torch

from StrokeSegLib.training.losses import batch_dice_loss, cross_entropies, lesion_dice_loss


def logits_of(p: torch.Tensor) -> torch.Tensor:
    """Two-class logits whose softmax gives probability ``p`` of the lesion."""
    return torch.stack([torch.log(1 - p), torch.log(p)], dim=1)


def test_cross_entropies_are_the_mean_and_the_mean_of_the_hardest() -> None:
    p = torch.tensor([[[0.9, 0.5], [0.2, 0.1]]])
    y = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    each = [-math.log(0.9), -math.log(0.5), -math.log(0.8), -math.log(0.9)]
    mean, hardest = cross_entropies(logits_of(p), y, hard_fraction=0.25)
    assert mean.item() == pytest.approx(sum(each) / 4, rel=1e-5)
    assert hardest.item() == pytest.approx(-math.log(0.5), rel=1e-5)


def test_batch_dice_pools_the_crops() -> None:
    p = torch.full((2, 1, 2), 0.5)
    y = torch.tensor([[[1.0, 1.0]], [[0.0, 0.0]]])
    # overlap 1, sums 2 and 2: 1 - (2 * 1 + e) / (4 + e) with e = 20
    assert batch_dice_loss(logits_of(p), y).item() == pytest.approx(1 - 22 / 24, rel=1e-5)


def test_lesion_dice_leaves_out_crops_without_lesion() -> None:
    p = torch.full((2, 1, 2), 0.5)
    y = torch.tensor([[[1.0, 1.0]], [[0.0, 0.0]]])
    # first crop alone: overlap 1, sums 1 and 2: 1 - (2 + 5) / (3 + 5)
    assert lesion_dice_loss(logits_of(p), y).item() == pytest.approx(1 - 7 / 8, rel=1e-5)


def test_lesion_dice_of_a_batch_without_lesions_is_zero_and_has_a_gradient() -> None:
    logits = torch.zeros(1, 2, 2, 2, requires_grad=True)
    loss = lesion_dice_loss(logits, torch.zeros(1, 2, 2))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None

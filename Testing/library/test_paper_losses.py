"""The losses of the four papers against hand sums, against each other, and against MONAI's where it has the same."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from StrokeSegLib.errors import InputError
from StrokeSegLib.training.paper_losses import (
    dice_wbce_loss,
    focal_loss,
    soft_iou_loss,
    squared_dice_loss,
    two_class_cross_entropy,
    weighted_bce,
)

#: One sample of four voxels: two are lesion.
P = torch.tensor([0.9, 0.5, 0.2, 0.1]).reshape(1, 1, 1, 2, 2)
Y = torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(1, 1, 1, 2, 2)
#: The cross-entropy of each of them.
BCE = [-math.log(0.9), -math.log(0.5), -math.log(0.8), -math.log(0.9)]
#: 8 of 1000 voxels are lesion, as in the paper's data: 0.992 for a lesion voxel, 0.008 for the others.
FRACTION = 8 / 1000


def logits_of(p: Tensor) -> Tensor:
    return torch.logit(p)


def random_pair(seed: int, channels: int = 1) -> tuple[Tensor, Tensor]:
    """Logits and a hard target of three samples."""
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn((3, channels, 4, 5, 6), generator=random)
    return logits, (torch.rand(logits.shape, generator=random) < 0.3).float()


def test_soft_iou_is_one_minus_the_overlap_over_the_union() -> None:
    # Overlap 0.9 + 0.5; union 1.7 + 2 - 1.4.
    assert soft_iou_loss(logits_of(P), Y).item() == pytest.approx(1 - 1.4 / 2.3, abs=1e-4)


def test_soft_iou_is_a_mean_over_samples_not_pooled() -> None:
    p, y = torch.cat([P, torch.full_like(P, 0.5)]), torch.cat([Y, torch.ones_like(Y)])
    each = [1 - 1.4 / 2.3, 1 - 2 / 4]
    assert soft_iou_loss(logits_of(p), y).item() == pytest.approx(sum(each) / 2, abs=1e-4)
    assert (1.4 + 2) / (2.3 + 4) != pytest.approx(1 - sum(each) / 2, abs=1e-3)  # what pooling would give


def test_soft_iou_with_bce_adds_the_mean_cross_entropy() -> None:
    added = soft_iou_loss(logits_of(P), Y, with_bce=True) - soft_iou_loss(logits_of(P), Y)
    assert added.item() == pytest.approx(sum(BCE) / 4, rel=1e-5)


def test_an_empty_target_found_empty_costs_nothing_and_found_wrong_costs_one() -> None:
    empty = torch.zeros_like(Y)
    for loss in (soft_iou_loss, squared_dice_loss):
        assert loss(torch.full_like(P, -100.0), empty).item() == pytest.approx(0, abs=1e-6)
        assert loss(torch.full_like(P, 100.0), empty).item() == pytest.approx(1, abs=1e-4)


def test_squared_dice_has_squares_below_the_line() -> None:
    squares = 0.9**2 + 0.5**2 + 0.2**2 + 0.1**2
    assert squared_dice_loss(logits_of(P), Y).item() == pytest.approx(1 - 2 * 1.4 / (squares + 2), abs=1e-4)


def test_weighted_bce_is_the_plain_mean_of_the_weighted_voxels() -> None:
    # w = (N0 y + N1 (1 - y)) / N with N0 = 992, N1 = 8.
    by_hand = (0.992 * BCE[0] + 0.992 * BCE[1] + 0.008 * BCE[2] + 0.008 * BCE[3]) / 4
    assert weighted_bce(logits_of(P), Y, FRACTION).item() == pytest.approx(by_hand, rel=1e-5)


def test_normalized_weights_divide_by_their_sum() -> None:
    by_hand = (0.992 * (BCE[0] + BCE[1]) + 0.008 * (BCE[2] + BCE[3])) / (2 * 0.992 + 2 * 0.008)
    loss = weighted_bce(logits_of(P), Y, FRACTION, normalize_weights=True)
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


def test_normalized_weights_are_normalized_sample_by_sample() -> None:
    # The second sample has no lesion: its weights are all alike and leave the plain mean.
    p, y = torch.cat([P, P]), torch.cat([Y, torch.zeros_like(Y)])
    first = weighted_bce(logits_of(P), Y, FRACTION, normalize_weights=True).item()
    second = -(math.log(0.1) + math.log(0.5) + math.log(0.8) + math.log(0.9)) / 4
    both = weighted_bce(logits_of(p), y, FRACTION, normalize_weights=True)
    assert both.item() == pytest.approx((first + second) / 2, rel=1e-5)


def test_a_fraction_of_a_half_with_normalized_weights_is_plain_bce_for_the_ablation() -> None:
    logits, y = random_pair(0)
    plain = F.binary_cross_entropy_with_logits(logits, y)
    torch.testing.assert_close(weighted_bce(logits, y, 0.5, normalize_weights=True), plain)


def test_the_weights_of_the_papers_lesion_fraction_make_the_bce_sixty_times_smaller() -> None:
    # Where every voxel costs the same, the plain mean is E[w] = 2 * 0.992 * 0.008 of the unweighted one.
    y = torch.zeros(1, 1, 10, 10, 10)
    y.view(-1)[:8] = 1
    ratio = weighted_bce(torch.zeros_like(y), y, FRACTION).item() / math.log(2)
    assert ratio == pytest.approx(2 * 0.992 * 0.008, rel=1e-4)


def test_dice_wbce_is_the_sum_of_its_two_terms() -> None:
    logits, y = random_pair(1)
    for normalized in (False, True):
        terms = squared_dice_loss(logits, y) + weighted_bce(logits, y, FRACTION, normalize_weights=normalized)
        torch.testing.assert_close(dice_wbce_loss(logits, y, FRACTION, normalize_weights=normalized), terms)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_lesion_fraction_that_would_switch_off_a_class_is_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="lesion fraction"):
        weighted_bce(logits_of(P), Y, fraction)


def test_two_class_cross_entropy_is_the_mean_of_minus_log_of_the_true_class() -> None:
    logits = torch.cat([torch.log(1 - P), torch.log(P)], dim=1)
    assert two_class_cross_entropy(logits, Y).item() == pytest.approx(sum(BCE) / 4, rel=1e-5)


def test_two_class_cross_entropy_equals_torchs() -> None:
    logits, _ = random_pair(2, channels=2)
    _, y = random_pair(3)
    torch.testing.assert_close(two_class_cross_entropy(logits, y), F.cross_entropy(logits, y[:, 0].long()))


def test_focal_loss_lowers_what_is_nearly_right() -> None:
    # (1 - p_t)**2 times the cross-entropy, p_t the probability of the truth.
    by_hand = (0.1**2 * BCE[0] + 0.5**2 * BCE[1] + 0.2**2 * BCE[2] + 0.1**2 * BCE[3]) / 4
    assert focal_loss(logits_of(P), Y).item() == pytest.approx(by_hand, rel=1e-5)


def test_focal_loss_with_gamma_zero_is_bce() -> None:
    logits, y = random_pair(4, channels=2)
    torch.testing.assert_close(focal_loss(logits, y, gamma=0.0), F.binary_cross_entropy_with_logits(logits, y))


def test_alpha_weighs_lesion_and_one_minus_alpha_the_rest() -> None:
    by_hand = (0.25 * (0.1**2 * BCE[0] + 0.5**2 * BCE[1]) + 0.75 * (0.2**2 * BCE[2] + 0.1**2 * BCE[3])) / 4
    assert focal_loss(logits_of(P), Y, alpha=0.25).item() == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_loss_equals_monais(alpha: float | None) -> None:
    monai = pytest.importorskip("monai.losses")
    logits, y = random_pair(5, channels=2)
    torch.testing.assert_close(focal_loss(logits, y, alpha=alpha), monai.FocalLoss(gamma=2.0, alpha=alpha)(logits, y))


def test_squared_dice_and_soft_iou_equal_monais() -> None:
    monai = pytest.importorskip("monai.losses")
    logits, y = random_pair(6)
    squared = monai.DiceLoss(sigmoid=True, squared_pred=True, smooth_nr=1e-5, smooth_dr=1e-5)
    torch.testing.assert_close(squared_dice_loss(logits, y), squared(logits, y))
    # MONAI doubles both sides of the ratio, so its smoothing is twice ours.
    jaccard = monai.DiceLoss(sigmoid=True, jaccard=True, smooth_nr=2e-5, smooth_dr=2e-5)
    torch.testing.assert_close(soft_iou_loss(logits, y), jaccard(logits, y))


LOSSES = {
    "iou": soft_iou_loss,
    "iou+bce": lambda logits, y: soft_iou_loss(logits, y, with_bce=True),
    "dice+wbce": lambda logits, y: dice_wbce_loss(logits, y, FRACTION),
    "dice+wbce normalized": lambda logits, y: dice_wbce_loss(logits, y, FRACTION, normalize_weights=True),
    "cross-entropy": lambda logits, y: two_class_cross_entropy(torch.cat([-logits, logits], dim=1), y),
    "focal": focal_loss,
    "focal 0": lambda logits, y: focal_loss(logits, y, gamma=0.0),
    "focal 0.5": lambda logits, y: focal_loss(logits, y, gamma=0.5, alpha=0.25),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("truth", [[0.0, 1.0, 0.0, 1.0], [0.0] * 4, [1.0] * 4])
def test_loss_and_gradient_are_finite_where_the_probability_is_exactly_zero_and_one(name: str, truth: list) -> None:
    logits = torch.tensor([-1e4, -1e4, 1e4, 1e4]).reshape(1, 1, 2, 2).requires_grad_()
    assert torch.sigmoid(logits).unique().tolist() == [0.0, 1.0]
    loss = LOSSES[name](logits, torch.tensor(truth).reshape(1, 1, 2, 2))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_of_a_batch_is_the_mean_of_its_halves(name: str) -> None:
    # What makes two processes with half the batch each equal to one.
    logits, y = random_pair(7)
    logits, y = logits[:2], y[:2]
    halves = (LOSSES[name](logits[:1], y[:1]) + LOSSES[name](logits[1:], y[1:])) / 2
    torch.testing.assert_close(LOSSES[name](logits, y), halves)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_logits_and_whole_number_targets_give_a_float32_loss(name: str) -> None:
    logits, y = random_pair(8)
    loss = LOSSES[name](logits.bfloat16(), y.to(torch.uint8))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, LOSSES[name](logits, y), rtol=0.02, atol=0.01)


@pytest.mark.parametrize("name", LOSSES)
def test_a_target_of_another_shape_is_refused_not_broadcast(name: str) -> None:
    logits, y = random_pair(9)
    with pytest.raises(InputError, match="shape"):
        LOSSES[name](logits, y[:1])

"""The losses of the four papers, as printed where they can be, resolved where they contradict themselves.

All take logits, where probabilities of exactly 0 and 1 still have a gradient, and a target of 0 and 1 of any dtype, and
compute in float32. All are means over samples of equal size, never pooled over the batch, so that several processes
with a part of the batch each train as one with all of it.

Shape, where nothing else is said: logits and target ``(B, C, ...)``, a sigmoid a channel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from StrokeSegLib.errors import InputError

#: Added on both sides of an overlap ratio, voxels: a sample that is empty, and found empty, scores 1. Where it is not
#: found empty the ratio is all but flat, so that an empty sample teaches through the cross-entropy alone.
SMOOTH = 1e-5


def soft_iou_loss(logits: Tensor, target: Tensor, *, with_bce: bool = False) -> Tensor:
    """1 - soft IoU a sample and channel, mean of both; the loss of the CT perfusion system.

    Args:
        with_bce: Add the mean binary cross-entropy, which the paper's text names beside IoU.

    Returns:
        0-1 without the cross-entropy.
    """
    truth = _same_shape(logits, target)
    p = torch.sigmoid(logits.float())
    common = _sums(p * truth)
    iou = (common + SMOOTH) / (_sums(p) + _sums(truth) - common + SMOOTH)
    loss = 1 - iou.mean()
    return loss + F.binary_cross_entropy_with_logits(logits.float(), truth) if with_bce else loss


def dice_wbce_loss(
    logits: Tensor, target: Tensor, lesion_fraction: float, *, normalize_weights: bool = False
) -> Tensor:
    """Soft Dice loss with squared denominators plus weighted cross-entropy; the loss of the non-contrast CT system.

    Args:
        lesion_fraction: Lesion voxels over all voxels of the training images (cropped), between 0 and 1.
        normalize_weights: See ``weighted_bce``.

    Raises:
        InputError: The shapes differ, or the fraction is not between 0 and 1.
    """
    bce = weighted_bce(logits, target, lesion_fraction, normalize_weights=normalize_weights)
    return squared_dice_loss(logits, target) + bce


def squared_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """``1 - 2 sum(p y) / (sum(p^2) + sum(y^2))`` a sample and channel, mean of both, 0-1."""
    truth = _same_shape(logits, target)
    p = torch.sigmoid(logits.float())
    dice = (2 * _sums(p * truth) + SMOOTH) / (_sums(p * p) + _sums(truth * truth) + SMOOTH)
    return 1 - dice.mean()


def weighted_bce(logits: Tensor, target: Tensor, lesion_fraction: float, *, normalize_weights: bool = False) -> Tensor:
    """Binary cross-entropy where each class weighs as much as the other has voxels.

    ``w = (N0 y + N1 (1 - y)) / N`` with N0 background and N1 lesion voxels of N in the training images, and the mean of
    ``w * bce`` over voxels: their sum, as printed, would outweigh the Dice term a million times.

    Args:
        lesion_fraction: ``N1 / N``, between 0 and 1.
        normalize_weights: Divide by the sum of a sample's weights instead of its voxels. The plain mean (the paper's)
            is about ``1 / (2 * lesion_fraction)`` times smaller than an unweighted one. With a fraction of 0.5 this
            is the unweighted cross-entropy.

    Raises:
        InputError: The shapes differ, or the fraction is not between 0 and 1.
    """
    if not 0 < lesion_fraction < 1:
        raise InputError(
            f"lesion fraction of the training images is {lesion_fraction}, needed more than 0 and less than 1; "
            "train on cases that hold lesions, and give 0-1, not percent"
        )
    truth = _same_shape(logits, target)
    bce = F.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")
    weight = (1 - lesion_fraction) * truth + lesion_fraction * (1 - truth)
    if not normalize_weights:
        return (weight * bce).mean()
    return ((weight * bce).flatten(1).sum(1) / weight.flatten(1).sum(1)).mean()


def two_class_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of a softmax over background and lesion; the loss of the MRI system.

    Written as the binary cross-entropy of the difference of the two logits, which it equals.

    Shape: logits ``(B, 2, ...)``, target ``(B, 1, ...)``.
    """
    lesion = logits[:, 1:].float() - logits[:, :1].float()
    return F.binary_cross_entropy_with_logits(lesion, _same_shape(lesion, target))


def focal_loss(logits: Tensor, target: Tensor, *, gamma: float = 2.0, alpha: float | None = None) -> Tensor:
    """``(1 - p_t)^gamma`` times cross-entropy, ``p_t`` that of the truth; the loss of the three-projection system.

    Args:
        gamma: 0 or more; 0 is plain cross-entropy.
        alpha: Weight of lesion voxels, 0-1, the others weigh ``1 - alpha``. None: all weigh 1 (RetinaNet's 0.25 would
            favor the background here).
    """
    truth = _same_shape(logits, target)
    bce = F.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")
    # log(1 - p_t) from the logit: a power of 1 - p_t has no gradient at 0 where gamma < 1.
    log_miss = F.logsigmoid(-logits.float() * (2 * truth - 1))
    loss = torch.exp(gamma * log_miss) * bce
    if alpha is not None:
        loss = loss * (alpha * truth + (1 - alpha) * (1 - truth))
    return loss.mean()


def _sums(values: Tensor) -> Tensor:
    """Over the voxels of each sample and channel: ``(B, C, ...) -> (B, C)``."""
    return values.flatten(2).sum(2)


def _same_shape(logits: Tensor, target: Tensor) -> Tensor:
    """The target in float32; a target that would be broadcast is refused."""
    if logits.shape != target.shape:
        raise InputError(
            f"the loss got a target of shape {tuple(target.shape)} for {tuple(logits.shape)}; "
            "needed one shape; give the target the batch, channel and size of the network's output"
        )
    return target.float()

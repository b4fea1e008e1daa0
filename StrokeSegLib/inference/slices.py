"""2D networks: slices with their neighbors, cut to the box around the brain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.running import Counter, Members
from StrokeSegLib.inference.windows import batches, brain_box
from StrokeSegLib.io.box import Box, box_of

#: Slices that go through the network at once: enough to keep a CPU busy, little memory.
SLICES_PER_BATCH = 8
#: Voxels around the brain that the network also sees, so that its edge is no image border.
MARGIN_VOXELS = 12
#: A lesion may reach this far out of the brain mask in the plane, whose edge is uncertain by about as much, voxels.
BEYOND_MASK_VOXELS = 2

_IN_PLANE_CROSS = ndimage.generate_binary_structure(2, 1)[None]


def slice_box(brain: NDArray[np.bool_], divisor: int, *, crop: bool) -> Box:
    """What the network sees: the slices with brain, cut to a box around it or whole, sizes multiples of the divisor.

    Raises:
        InputError: There is no brain at all.
    """
    box = brain_box(brain, MARGIN_VOXELS, divisor)
    if box is None:
        raise InputError("no brain found in the images; needed a scan that shows the brain; check the inputs and roles")
    if crop:
        return box
    whole = brain_box(np.ones(brain.shape, bool), 0, divisor)
    assert whole is not None
    return box[0], whole[1], whole[2]


def fitting_neighbors(neighbors: int | None, of_system: int, channels: int, in_channels: int | None) -> int:
    """Neighbors of a slice that the network takes: the card's, or the system's unless that is too many for it."""
    if neighbors is not None:
        return neighbors
    return 0 if in_channels == channels else of_system


def run_slices(
    channels: NDArray[np.float32],
    brain: NDArray[np.bool_],
    members: Members,
    box: Box,
    neighbors: int,
    repeat: int,
    labels: int,
    counter: Counter,
) -> NDArray[np.float32]:
    """Probability of each label, ``(labels, K, J, I)``; 0 where there is no brain.

    Args:
        channels: ``(C, K, J, I)``; slices lie along the second axis.
        brain: ``(K, J, I)``.
        members: Each takes ``(B, C * (2 * neighbors + 1) * repeat, H, W)``.
        box: From ``slice_box``; may reach beyond the volume.
        neighbors: Slices on each side that the network sees besides its own.
        repeat: How often a lone plane is given, for networks made for red, green and blue.
        labels: How many.
        counter: Advanced by slices.
    """
    slices, rows, columns = box
    planes = range(slices.start, slices.stop)
    first = max(0, planes[0] - neighbors)
    arrays = members.arrays
    # The slices of the box and their neighbors, (C, K', H, W), where the network is.
    seen = arrays.put(_cut(channels[:, first : planes[-1] + neighbors + 1], rows, columns))
    last = seen.shape[1] - 1
    found = arrays.zeros((len(planes), labels, *seen.shape[2:]))
    for batch in batches(len(planes), 1 if members.rung.one_at_a_time else SLICES_PER_BATCH):
        stacks = []
        for n in batch:
            near = [min(max(planes[n] + step - first, 0), last) for step in range(-neighbors, neighbors + 1)]
            stack = seen[:, near].reshape(-1, *seen.shape[2:])  # the slices of one channel together
            repeated = [plane for plane in range(stack.shape[0]) for _ in range(repeat)]
            stacks.append(stack if repeat == 1 else stack[repeated])
        found[batch.start : batch.stop] = members.probability(arrays.stack(stacks))  # (B, labels, H, W)
        counter.advance(len(batch))
    result = np.zeros((labels, *brain.shape), np.float32)
    inside, cut = _overlap((rows, columns), brain.shape[1:])
    kept = np.moveaxis(arrays.take(found), 1, 0)[:, :, cut[0], cut[1]]
    within = (slices, inside[0], inside[1])
    np.multiply(kept, near_brain(brain)[within], out=result[:, *within])
    return result


def near_brain(brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The brain and a little around it in the plane: no stroke in scalp, eye or muscle, whatever they look like."""
    near: NDArray[np.bool_] = np.zeros_like(brain)
    box = box_of(brain)
    if box is not None:
        near[_wider(box, brain.shape)] = ndimage.binary_dilation(
            brain[_wider(box, brain.shape)], _IN_PLANE_CROSS, iterations=BEYOND_MASK_VOXELS
        )
    return near


def _wider(box: Box, shape: tuple[int, ...]) -> Box:
    """The box and what the mask in it may grow by, as far as the volume goes."""
    rows, columns = (
        slice(max(0, each.start - BEYOND_MASK_VOXELS), min(size, each.stop + BEYOND_MASK_VOXELS))
        for each, size in zip(box[1:], shape[1:], strict=True)
    )
    return box[0], rows, columns


def _cut(channels: NDArray[np.float32], rows: slice, columns: slice) -> NDArray[np.float32]:
    """``(C, K, J, I)`` cut to the box in the plane; beyond the volume lies background (each slice's minimum)."""
    inside, cut = _overlap((rows, columns), channels.shape[2:])
    result = np.empty((*channels.shape[:2], rows.stop - rows.start, columns.stop - columns.start), np.float32)
    if cut[0].stop - cut[0].start < result.shape[2] or cut[1].stop - cut[1].start < result.shape[3]:
        result[:] = channels.min(axis=(2, 3), keepdims=True)
    result[:, :, cut[0], cut[1]] = channels[:, :, inside[0], inside[1]]
    return result


def _overlap(box: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The part of a box that lies inside an array: as slices of the array, and as slices of the box."""
    inside = tuple(slice(max(0, b.start), min(n, b.stop)) for b, n in zip(box, shape, strict=True))
    cut = tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(inside, box, strict=True))
    return inside, cut

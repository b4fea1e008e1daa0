"""Inputs and a model in, a probability a label on the first input's own grid out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.inference.windows import batches, brain_box, slice_stack
from StrokeSegLib.models import ModelCard
from StrokeSegLib.preprocess.geometry import grid_of, resample
from StrokeSegLib.systems import System
from StrokeSegLib.systems.base import Prepared
from StrokeSegLib.volume import Volume

#: Called with (stage, done, total) as the work goes on.
Progress = Callable[[str, int, int], None]
#: Slices that go through the network at once: enough to keep a CPU busy, little memory.
SLICES_PER_BATCH = 8
#: Voxels around the brain that the network also sees, so that its edge is no image border.
MARGIN_VOXELS = 12
#: A lesion may reach this far out of the brain mask in the plane, whose edge is uncertain by about as much, voxels.
BEYOND_MASK_VOXELS = 2


_IN_PLANE_CROSS = ndimage.generate_binary_structure(2, 1)[None]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says.

    Attributes:
        probability: Label value -> float32 volume 0..1 on the first input's grid.
        brain: Boolean mask on the first input's grid.
        notes, warnings: From the preparation.
        seconds: By stage.
    """

    probability: dict[int, Volume]
    brain: Volume
    notes: dict[str, str]
    warnings: tuple[str, ...]
    seconds: dict[str, float]


def predict(
    inputs: Mapping[str, Volume], card: ModelCard, system: System, backend: Backend, progress: Progress
) -> Prediction:
    """Prepares the inputs, runs the network over the brain, brings the probabilities back to the first input's grid.

    Args:
        inputs: Role -> volume, all on the first one's grid.

    Raises:
        InputError: The inputs show no brain.
    """
    seconds: dict[str, float] = {}
    reference = next(iter(inputs.values()))

    started = time.perf_counter()
    progress("prepare", 0, 1)
    prepared = system.prepare(inputs)
    progress("prepare", 1, 1)
    seconds["preprocess"] = time.perf_counter() - started

    started = time.perf_counter()
    working = run_slices(prepared, card, system, backend, progress)
    seconds["network"] = time.perf_counter() - started

    started = time.perf_counter()
    progress("restore", 0, 1)
    on_grid = {
        value: restore(working[index], prepared, reference) for index, value in enumerate(system.labels, start=0)
    }
    brain = restore(prepared.brain.astype(np.float32), prepared, reference)
    progress("restore", 1, 1)
    seconds["restore"] = time.perf_counter() - started
    mask = brain.with_array(brain.array > 0.5)
    return Prediction(on_grid, mask, dict(prepared.notes), prepared.warnings, seconds)


def run_slices(
    prepared: Prepared, card: ModelCard, system: System, backend: Backend, progress: Progress
) -> NDArray[np.float32]:
    """Probability of each label on the working grid, ``(labels, K, J, I)``; 0 where there is no brain.

    Raises:
        InputError: There is no brain at all.
    """
    box = brain_box(prepared.brain, MARGIN_VOXELS, system.size_divisor)
    if box is None:
        raise InputError("no brain found in the images; needed a scan that shows the brain; check the inputs and roles")
    result = np.zeros((len(system.labels), *prepared.brain.shape), np.float32)
    slices, rows, columns = box
    planes = list(range(slices.start, slices.stop))
    inside, cut = _overlap((rows, columns), prepared.brain.shape[1:])
    for batch in batches(len(planes), SLICES_PER_BATCH):
        progress("network", batch.start, len(planes))
        stack = np.stack([_patch(prepared, planes[n], system.neighbors, rows, columns) for n in batch])
        p = _softmax(backend.run(stack) / np.float32(card.temperature))[:, 1:]  # (B, labels, H, W)
        for n, of_slice in zip(batch, p, strict=True):
            result[:, planes[n], inside[0], inside[1]] = of_slice[:, cut[0], cut[1]]
    progress("network", len(planes), len(planes))
    # No stroke in scalp, eye or muscle, whatever they look like.
    near = ndimage.binary_dilation(prepared.brain, _IN_PLANE_CROSS, iterations=BEYOND_MASK_VOXELS)
    return np.asarray(result * near, np.float32)


def restore(array: NDArray[np.float32], prepared: Prepared, reference: Volume) -> Volume:
    """An array on the working grid, linear, on the reference's grid."""
    grid = prepared.grid
    return resample(Volume(array, grid.spacing_mm, grid.origin, grid.direction), grid_of(reference))


def _patch(prepared: Prepared, k: int, neighbors: int, rows: slice, columns: slice) -> NDArray[np.float32]:
    """A slice and its neighbors cut to the box; beyond the volume lies background (each plane's minimum)."""
    stack = slice_stack(prepared.channels, k, neighbors)
    inside, cut = _overlap((rows, columns), stack.shape[1:])
    patch = np.empty((stack.shape[0], rows.stop - rows.start, columns.stop - columns.start), np.float32)
    patch[:] = stack.reshape(stack.shape[0], -1).min(axis=1)[:, None, None]
    patch[:, cut[0], cut[1]] = stack[:, inside[0], inside[1]]
    return patch


def _overlap(box: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The part of a box that lies inside an array: as slices of the array, and as slices of the box."""
    inside = tuple(slice(max(0, b.start), min(n, b.stop)) for b, n in zip(box, shape, strict=True))
    cut = tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(inside, box, strict=True))
    return inside, cut


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float32] = e / e.sum(axis=1, keepdims=True)
    return result

"""Inputs and a model in, a probability a label on the first input's own grid out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.inference.network import NetworkRun, run_networks
from StrokeSegLib.inference.planes import Projected
from StrokeSegLib.inference.projections import Classification
from StrokeSegLib.inference.restore import restore as restore_array
from StrokeSegLib.inference.restore import restore_labels, restore_mask
from StrokeSegLib.inference.running import Progress
from StrokeSegLib.inference.settings import inference_settings
from StrokeSegLib.inference.slices import MARGIN_VOXELS
from StrokeSegLib.models import ModelCard
from StrokeSegLib.postprocess import HEMORRHAGE
from StrokeSegLib.preprocess.geometry import Grid
from StrokeSegLib.systems import System
from StrokeSegLib.systems.base import Prepared, prepare_inputs
from StrokeSegLib.volume import Volume

__all__ = ["Prediction", "Progress", "predict"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the networks say.

    Attributes:
        probability: Label value -> float32 volume 0..1 on the first input's grid.
        brain: Boolean mask on the first input's grid.
        notes, warnings: From the preparation.
        seconds: By stage.
        run: How the networks ran.
        labels: The label map where the system makes it itself (three planes); None where thresholds make it.
        projected: What three planes say on their working grid, where the system has them.
    """

    probability: dict[int, Volume]
    brain: Volume
    notes: dict[str, str]
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    run: NetworkRun
    labels: Volume | None = None
    projected: Projected | None = None

    @property
    def classification(self) -> Classification | None:
        """Of the case, where the system has a classifier."""
        return None if self.projected is None else self.projected.classification


def predict(
    inputs: Mapping[str, Volume],
    card: ModelCard,
    system: System,
    backend: Backend | Mapping[str, Backend],
    progress: Progress,
    *,
    threshold: float | None = None,
) -> Prediction:
    """Prepares the inputs, runs the networks over the brain, brings the probabilities back to the first input's grid.

    Args:
        inputs: Role -> volume, all on the first one's grid.
        backend: The model's network, or all its networks by name.
        progress: Called with (stage, done, total).
        threshold: Of three planes, in place of each plane's k.

    Raises:
        InputError: The inputs show no brain; the card's settings do not fit the system.
    """
    seconds: dict[str, float] = {}
    reference = next(iter(inputs.values()))
    settings = inference_settings(system, card.inference_settings)
    if threshold is not None:
        k = dataclasses.replace(
            settings.projections,
            k_axial=threshold,
            k_coronal=threshold,
            k_sagittal=threshold,
            hemorrhagic_k=threshold,
        )
        settings = dataclasses.replace(settings, projections=k)
    backends = backend if isinstance(backend, Mapping) else {"network": backend}

    started = time.perf_counter()
    progress("prepare", 0, 1)
    prepared = prepare_inputs(system, inputs, card.prepare_settings)
    progress("prepare", 1, 1)
    seconds["preprocess"] = time.perf_counter() - started

    started = time.perf_counter()
    if system.way == "windows":
        prepared = cropped(prepared, 2)
    elif system.way == "projections" and settings.crop_to_brain:
        prepared = _cropped_planes(prepared, system.size_divisor)
    working, projected, run = run_networks(prepared, card, system, settings, backends, progress)
    seconds["network"] = time.perf_counter() - started

    started = time.perf_counter()
    progress("restore", 0, 1)
    on_grid = {value: restore(working[index], prepared, reference) for index, value in enumerate(system.labels)}
    brain = restore_mask(prepared.brain, prepared.grid, reference)
    labels = None if projected is None else _restored_labels(projected.labels, prepared, reference)
    progress("restore", 1, 1)
    seconds["restore"] = time.perf_counter() - started
    return Prediction(
        on_grid,
        brain,
        dict(prepared.notes),
        (*prepared.warnings, *(projected.warnings if projected else ())),
        seconds,
        run,
        labels,
        projected,
    )


def restore(array: NDArray[np.float32], prepared: Prepared, reference: Volume) -> Volume:
    """An array on the working grid, linear, on the reference's grid."""
    return restore_array(array, prepared.grid, reference)


def cropped(prepared: Prepared, margin: int) -> Prepared:
    """The case cut to the brain's box and ``margin`` voxels around it, which bounds the memory; itself without brain.

    Beyond the margin every probability is 0, so restoring from the box gives what restoring from the whole would.
    """
    if not prepared.brain.any():
        return prepared
    box = []
    for axis in range(3):
        hit = np.flatnonzero(prepared.brain.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(0, int(hit[0]) - margin), min(prepared.brain.shape[axis], int(hit[-1]) + 1 + margin)))
    brain = prepared.brain[tuple(box)]
    grid = prepared.grid
    first_mm = np.array([b.start for b in box[::-1]]) * np.array(grid.spacing_mm)
    x, y, z = np.array(grid.origin) + np.asarray(grid.direction) @ first_mm
    k, j, i = brain.shape
    smaller = Grid((i, j, k), grid.spacing_mm, (float(x), float(y), float(z)), grid.direction)
    return dataclasses.replace(prepared, channels=prepared.channels[:, *box], grid=smaller, brain=brain)


def _cropped_planes(prepared: Prepared, divisor: int) -> Prepared:
    """Both grids cut to the brain, with a margin so wide that the networks see nothing else than in the whole."""
    margin = MARGIN_VOXELS + divisor
    small = cropped(prepared, margin)
    if prepared.isotropic is None:
        return small
    return dataclasses.replace(small, isotropic=cropped(prepared.isotropic, margin))


def _restored_labels(labels: NDArray[np.uint8], prepared: Prepared, reference: Volume) -> Volume:
    """A label map on the reference's grid: each label linear, above a half; hemorrhage where two meet."""
    present = [value for value, part in enumerate(ndimage.find_objects(labels), start=1) if part is not None]
    order = sorted(present, key=lambda v: v == HEMORRHAGE)
    return restore_labels(labels, prepared.grid, reference, order)

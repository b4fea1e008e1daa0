"""Inputs and a model in, a probability a label on the first input's own grid out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.inference.planes import Projected, members_by_plane, run_planes
from StrokeSegLib.inference.projections import Classification
from StrokeSegLib.inference.running import Counter, Members, Progress
from StrokeSegLib.inference.settings import InferenceSettings, inference_settings
from StrokeSegLib.inference.slices import MARGIN_VOXELS, fitting_neighbors, run_slices, slice_box
from StrokeSegLib.inference.volumes import run_windows
from StrokeSegLib.models import ModelCard
from StrokeSegLib.postprocess import HEMORRHAGE
from StrokeSegLib.preprocess.geometry import Grid, grid_of, resample
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
        labels: The label map where the system makes it itself (three planes); None where thresholds make it.
        classification: Of the case, where the system has a classifier.
    """

    probability: dict[int, Volume]
    brain: Volume
    notes: dict[str, str]
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    labels: Volume | None = None
    classification: Classification | None = None


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
        k = dataclasses.replace(settings.projections, k_axial=threshold, k_coronal=threshold, k_sagittal=threshold)
        settings = dataclasses.replace(settings, projections=k)
    backends = backend if isinstance(backend, Mapping) else {"network": backend}

    started = time.perf_counter()
    progress("prepare", 0, 1)
    prepared = prepare_inputs(system, inputs, card.prepare_settings)
    progress("prepare", 1, 1)
    seconds["preprocess"] = time.perf_counter() - started

    started = time.perf_counter()
    projected: Projected | None = None
    if system.way == "projections":
        prepared = _cropped_planes(prepared, system.size_divisor) if settings.crop_to_brain else prepared
        projected = _run_planes(prepared, card, system, settings, backends, progress)
        working = projected.probability
    elif system.way == "windows":
        _repeat(card, system, prepared.channels.shape[0])
        prepared = cropped(prepared, 2)
        working = run_windows(
            prepared.channels,
            prepared.brain,
            Members(tuple(backends.values()), card.temperature, system.activation, settings.mirror),
            settings.window,
            settings.overlap,
            settings.blend,
            len(system.labels),
            progress,
        )
    else:
        working = _run_slices(prepared, card, system, settings, backends, progress)
    seconds["network"] = time.perf_counter() - started

    started = time.perf_counter()
    progress("restore", 0, 1)
    on_grid = {value: restore(working[index], prepared, reference) for index, value in enumerate(system.labels)}
    brain = restore(prepared.brain.astype(np.float32), prepared, reference)
    labels = None if projected is None else _restored_labels(projected.labels, prepared, reference)
    progress("restore", 1, 1)
    seconds["restore"] = time.perf_counter() - started
    return Prediction(
        on_grid,
        brain.with_array(brain.array > 0.5),
        dict(prepared.notes),
        (*prepared.warnings, *(projected.warnings if projected else ())),
        seconds,
        labels,
        projected.classification if projected else None,
    )


def restore(array: NDArray[np.float32], prepared: Prepared, reference: Volume) -> Volume:
    """An array on the working grid, linear, on the reference's grid."""
    grid = prepared.grid
    return resample(Volume(array, grid.spacing_mm, grid.origin, grid.direction), grid_of(reference))


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


def _run_slices(
    prepared: Prepared,
    card: ModelCard,
    system: System,
    settings: InferenceSettings,
    backends: Mapping[str, Backend],
    progress: Progress,
) -> NDArray[np.float32]:
    channels = prepared.channels.shape[0]
    neighbors = fitting_neighbors(settings.neighbors, system.neighbors, channels, card.settings.get("in_channels"))
    repeat = _repeat(card, system, channels * (2 * neighbors + 1))
    box = slice_box(prepared.brain, system.size_divisor, crop=settings.crop_to_brain)
    members = Members(tuple(backends.values()), card.temperature, system.activation, settings.mirror)
    counter = Counter(progress, box[0].stop - box[0].start)
    return run_slices(prepared.channels, prepared.brain, members, box, neighbors, repeat, len(system.labels), counter)


def _run_planes(
    prepared: Prepared,
    card: ModelCard,
    system: System,
    settings: InferenceSettings,
    backends: Mapping[str, Backend],
    progress: Progress,
) -> Projected:
    members = {
        plane: Members([backends[name] for name in names], card.temperature, system.activation, settings.mirror)
        for plane, names in members_by_plane(list(backends)).items()
    }
    if "axial" not in members:
        raise InputError(f"model {card.id} has no axial network, got {', '.join(backends)}; install the model again")
    return run_planes(
        prepared,
        members,
        system.size_divisor,
        _repeat(card, system, prepared.channels.shape[0]),
        settings.projections,
        progress,
        crop=settings.crop_to_brain,
    )


def _repeat(card: ModelCard, system: System, planes: int) -> int:
    """How often a lone plane is given to a network that takes several (red, green, blue).

    Raises:
        InputError: The network takes another number of planes than the settings give.
    """
    takes = int(card.settings.get("in_channels", planes))
    if planes not in (1, takes) or (system.way == "windows" and planes != takes):
        raise InputError(
            f"model {card.id}: its network takes {takes} planes, its prepare_settings and inference_settings give "
            f"{planes}; repair model.json"
        )
    return takes // planes


def _restored_labels(labels: NDArray[np.uint8], prepared: Prepared, reference: Volume) -> Volume:
    """A label map on the reference's grid: each label linear, above a half; hemorrhage where two meet."""
    result = np.zeros(reference.array.shape, np.uint8)
    for value in sorted({int(v) for v in np.unique(labels)} - {0}, key=lambda v: v == HEMORRHAGE):
        part = restore((labels == value).astype(np.float32), prepared, reference).array
        result[part > 0.5] = value
    return reference.with_array(result)

"""The three planes of one scan: each plane's networks over its slices, then fusion, labels and classifier (S4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.inference.projections import (
    ISCHEMIA,
    Classification,
    Fused,
    classify,
    fuse_projections,
    label_projections,
    planes_to_run,
)
from StrokeSegLib.inference.running import Counter, Members, Progress
from StrokeSegLib.inference.slices import run_slices, slice_box
from StrokeSegLib.postprocess import HEMORRHAGE
from StrokeSegLib.preprocess.geometry import Grid, resample
from StrokeSegLib.systems.base import Prepared
from StrokeSegLib.systems.dpn92_constants import DPN92Constants
from StrokeSegLib.volume import Volume

#: Axis of ``(K, J, I)`` along which the slices of a plane lie. Coronal slices are (k, i), sagittal ones (k, j).
AXES = {"axial": 0, "coronal": 1, "sagittal": 2}
#: Fused probability where a plane's probability equals its k.
AT_K = 0.5


@dataclass(frozen=True, eq=False)
class Projected:
    """What the three planes say together, on the axial working grid.

    Attributes:
        probability: ``(labels, K, J, I)``: the largest of the planes' probabilities, each bent so that its k becomes
            0.5. A voxel above 0.5 is a voxel where any plane exceeds its k.
        labels: uint8 ``(K, J, I)``, closed.
        classification: Of the case.
        warnings: Where not all planes could be read.
        vpred: By label, float32 ``(K, J, I)``; see ``projections.Fused``.
        voxel_ml: Of this grid, mL.
    """

    probability: NDArray[np.float32]
    labels: NDArray[np.uint8]
    classification: Classification
    warnings: tuple[str, ...]
    vpred: Mapping[int, NDArray[np.float32]]
    voxel_ml: float


def members_by_plane(names: Sequence[str]) -> dict[str, list[str]]:
    """The networks of each plane by their names: ``axial``, ``coronal-2``; another name serves all planes."""
    result: dict[str, list[str]] = {}
    for plane in AXES:
        own = [name for name in names if name.split("-", maxsplit=1)[0] == plane]
        shared = [name for name in names if name.split("-", maxsplit=1)[0] not in AXES]
        if own or shared:
            result[plane] = own + shared
    return result


def run_planes(
    prepared: Prepared,
    members: Mapping[str, Members],
    divisor: int,
    repeat: int,
    constants: DPN92Constants,
    progress: Progress,
    *,
    crop: bool,
) -> Projected:
    """Runs the planes that the scan and the model allow, and fuses them.

    Args:
        prepared: With its isotropic grid, or without where slices are too thick: then only the axial plane.
        members: Networks by plane; the axial plane is needed.
        divisor: Of the network's input size.
        repeat: How often a lone channel is given.
        constants: Of fusion and classifier.
        progress: Told of each batch of slices.
        crop: Whether the networks see the box around the brain, or whole slices.
    """
    planes = [plane for plane in AXES if plane in members and (plane == "axial" or prepared.isotropic is not None)]
    turned = {plane: _turned(prepared, plane) for plane in planes}
    boxes = {plane: slice_box(brain, divisor, crop=crop) for plane, (_, brain) in turned.items()}
    counter = Counter(progress, sum(box[0].stop - box[0].start for box in boxes.values()))
    p: dict[str, NDArray[np.float32]] = {}
    for plane, (channels, brain) in turned.items():
        found = run_slices(channels, brain, members[plane], boxes[plane], 0, repeat, 2, counter)
        p[plane] = _on_axial_grid(np.moveaxis(found, 1, AXES[plane] + 1), prepared, plane)
    by_label = [[p[plane][index] if plane in p else None for plane in AXES] for index in range(2)]
    k_by_label = (constants.k, constants.k_of_hemorrhage)
    fused = [_fuse(three, k) for three, k in zip(by_label, k_by_label, strict=True)]
    spacing_mm = prepared.grid.spacing_mm
    labels = label_projections(fused[0], fused[1], constants.closing_radius_mm, spacing_mm)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    vpred = {ISCHEMIA: fused[0].vpred, HEMORRHAGE: fused[1].vpred}
    classification = classify(vpred, voxel_volume_ml=voxel_ml, constants=constants)
    bent = np.stack([_bent_maximum(three, k) for three, k in zip(by_label, k_by_label, strict=True)])
    warnings = () if prepared.isotropic is not None else planes_to_run(spacing_mm[2], constants)[1]
    if constants.remove_denied > 0:
        labels, removed = _without_denied(labels, classification, voxel_ml, constants.min_volume_ml)
        warnings += removed
    return Projected(bent, labels, classification, warnings, vpred, voxel_ml)


def _without_denied(
    labels: NDArray[np.uint8], classification: Classification, voxel_ml: float, min_volume_ml: float
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The label map without classes that the classifier denies, and a warning for each of which much was marked."""
    warnings = []
    for value, name in ((ISCHEMIA, "ischemia"), (HEMORRHAGE, "hemorrhage")):
        marked_ml = float(np.count_nonzero(labels == value)) * voxel_ml
        if value in classification.found or marked_ml == 0:
            continue
        labels = np.where(labels == value, np.uint8(0), labels)
        if marked_ml < min_volume_ml:
            continue  # specks, which no class is made of
        warnings.append(f"{marked_ml:.1f} mL that look a little like {name} are not marked: too weak for this case")
    return labels, tuple(warnings)


def _turned(prepared: Prepared, plane: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Channels and brain with the plane's slices along the first spatial axis."""
    source = prepared if plane == "axial" or prepared.isotropic is None else prepared.isotropic
    return np.moveaxis(source.channels, AXES[plane] + 1, 1), np.moveaxis(source.brain, AXES[plane], 0)


def _on_axial_grid(p: NDArray[np.float32], prepared: Prepared, plane: str) -> NDArray[np.float32]:
    isotropic = prepared.isotropic
    if plane == "axial" or isotropic is None or _same(isotropic.grid, prepared.grid):
        return p
    grid = isotropic.grid
    of_label = [Volume(one, grid.spacing_mm, grid.origin, grid.direction) for one in p]
    return np.stack([resample(volume, prepared.grid).array for volume in of_label])


def _same(a: Grid, b: Grid) -> bool:
    return a.size_ijk == b.size_ijk and np.allclose(a.spacing_mm, b.spacing_mm) and np.allclose(a.origin, b.origin)


def _fuse(planes: Sequence[NDArray[np.float32] | None], k: tuple[float, float, float]) -> Fused:
    axial, coronal, sagittal = planes
    assert axial is not None
    return fuse_projections(axial, coronal, sagittal, k)


def _bent_maximum(planes: Sequence[NDArray[Any] | None], k: tuple[float, float, float]) -> NDArray[np.float32]:
    """The largest probability of the planes; each plane's 0..k becomes 0..0.5, and k..1 becomes 0.5..1."""
    result: NDArray[np.float32] | None = None
    for p, each in zip(planes, k, strict=True):
        if p is None:
            continue
        below = p * np.float32(AT_K / each)
        above = AT_K + (p - np.float32(each)) * np.float32((1 - AT_K) / max(1 - each, 1e-6))
        bent = np.where(p <= each, below, above).astype(np.float32)
        result = bent if result is None else np.maximum(result, bent)
    assert result is not None
    return result

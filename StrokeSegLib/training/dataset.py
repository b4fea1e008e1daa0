"""Cases as training reads them: the network's channels and the soft truth on the system's working grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.preprocess.geometry import Grid, onto_reference, resample
from StrokeSegLib.systems.base import System, prepare_inputs
from StrokeSegLib.volume import Volume


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """A prepared case; its arrays may be read-only and mapped from the disk.

    Attributes:
        case_id: As in the case table.
        channels: float16 ``(C, K, J, I)``, as ``System.prepare`` gives them.
        target: uint8 0..255 ``(L, K, J, I)``: part of each voxel that is lesion, one plane a label in the order of
            ``System.labels``; 255 is all of it.
        brain: Boolean ``(K, J, I)``.
        spacing_mm: Of the working grid, ``(i, j, k)``.
    """

    case_id: str
    channels: NDArray[np.float16]
    target: NDArray[np.uint8]
    brain: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]


def prepare_case(
    case_id: str,
    system: System,
    images: Mapping[str, Volume],
    truth: Volume | None,
    prepare_settings: Mapping[str, Any],
) -> TrainingCase:
    """Runs the system's own preparation, and brings the truth to the same grid.

    Args:
        case_id: For error messages and logs.
        images: Role -> volume, on any grids of one patient space. NaN and infinities count as 0, as in reading.
        truth: Label map; resampled by physical position. None for a case known to be healthy.
        prepare_settings: For ``System.prepare``.

    Raises:
        InputError: The images do not overlap, or the preparation refuses them; names the case.
    """
    roles = roles_taken(system, prepare_settings, images)
    try:
        if not roles:
            raise InputError(
                f"no image for {system.name}, needed {', '.join(sum(system.inputs_for(prepare_settings), ()))}"
            )
        finite = {role: _without_nan(images[role]) for role in roles}
        inputs = {role: onto_reference(finite[role], finite[roles[0]], role) for role in roles}
        prepared = prepare_inputs(system, inputs, prepare_settings)
    except InputError as error:
        raise InputError(f"case {case_id}: {error}") from error
    target = np.zeros((len(system.labels), *prepared.brain.shape), np.uint8)
    if truth is not None:
        for plane, label in zip(target, system.labels, strict=True):
            plane[...] = soft_mask(truth, label, prepared.grid)
    return TrainingCase(
        case_id,
        prepared.channels.astype(np.float16),
        target,
        np.asarray(prepared.brain, bool),
        prepared.grid.spacing_mm,
    )


def roles_taken(system: System, prepare_settings: Mapping[str, Any], there: Iterable[str]) -> tuple[str, ...]:
    """The roles that a preparation with these settings looks at and that are there, in the system's order."""
    required, optional = system.inputs_for(prepare_settings)
    given = set(there)
    return tuple(role for role in (*required, *optional) if role in given)


def soft_mask(truth: Volume, label: int, grid: Grid) -> NDArray[np.uint8]:
    """Part of each of the grid's voxels that carries the label, linear, 0..255; 0 outside the truth."""
    inside = truth.array == label
    if not inside.any():
        i, j, k = grid.size_ijk
        return np.zeros((k, j, i), np.uint8)
    part = resample(truth.with_array(inside.astype(np.float32)), grid).array
    return np.asarray(np.rint(part * 255).clip(0, 255), np.uint8)


def read_case(case: Case, system: System, prepare_settings: Mapping[str, Any]) -> TrainingCase:
    """Reads a case's files and prepares it.

    Raises:
        InputError: A file can not be read, the case has no truth, or the preparation refuses it.
    """
    if case.lesion is None:
        raise InputError(f"case {case.case_id} has no lesion mask: give one, an empty one if the case is healthy")
    roles = roles_taken(system, prepare_settings, case.images)
    images = {role: read_image(case.images[role]).volume for role in roles}
    return prepare_case(case.case_id, system, images, read_image(case.lesion).volume, prepare_settings)


def cached_cases(
    cases: Sequence[Case],
    system: System,
    prepare_settings: Mapping[str, Any],
    cache_dir: Path,
    progress: Callable[[str, int, int], None] | None = None,
) -> Sequence[TrainingCase]:
    """The cases as a lazy sequence: each is prepared when it is first asked for, and afterwards mapped from the disk.

    Nothing is held in memory. A case is prepared anew when one of its files, the settings, or the code that prepares
    it has changed. To prepare all at once, iterate over the sequence. MONAI's and torch's data loaders take it.

    Args:
        cache_dir: Made if missing; runs may share it. Entries of old settings stay; delete the folder at any time.
        progress: Called with ("prepare", done, total) each time that a case is seen for the first time.

    Raises:
        InputError: ``cache_dir`` can not be written; on access also as ``read_case``.
    """
    from StrokeSegLib.training.case_cache import CachedCases  # monai takes seconds to import

    return cast(Sequence[TrainingCase], CachedCases(cases, system, prepare_settings, cache_dir, progress))


def _without_nan(volume: Volume) -> Volume:
    if volume.array.dtype.kind != "f" or np.isfinite(volume.array).all():
        return volume
    return volume.with_array(np.nan_to_num(volume.array, nan=0.0, posinf=0.0, neginf=0.0))

"""Reads back what a run wrote: measurements, the mask (or the one a reader corrected), the scan where it still is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.volume import Volume

#: A reader's mask beside the model's own; it takes the place of ``lesion.nii.gz`` in a report.
CORRECTED = "corrected.nii.gz"
MASK = "lesion.nii.gz"
#: Volumes of the table are rounded to this.
_ROUNDED_ML = 0.0015


@dataclass(frozen=True, eq=False)
class CaseFiles:
    """One result folder.

    Attributes:
        folder: Where it is.
        measurements: The content of measurements.json, always of the model's own mask.
        labels: The mask that is reported.
        mask_sha256: SHA-256 of its file, which ties a report to it.
        corrected: Whether a reader drew it.
        image: The first input; None where it can not be read any more.
        uncertainty: 0-1 on the mask's grid, where the model has one.
    """

    folder: Path
    measurements: dict[str, Any]
    labels: Volume
    mask_sha256: str
    corrected: bool
    image: Volume | None
    uncertainty: Volume | None

    @property
    def first_input(self) -> str:
        """Path of the first input, as the user gave it."""
        return str(next(iter(self.measurements["inputs"].values()))["path"])


def read_case(result: Path, mask: Path | None = None) -> CaseFiles:
    """Reads a result folder.

    Args:
        result: As ``strokeseg segment`` writes it.
        mask: A reader's corrected mask; by default ``corrected.nii.gz`` of the folder, where it is.

    Raises:
        InputError: No result folder, damaged files, or a mask that is not of this case.
    """
    measurements = _measurements(result)
    own = read_image(result / MASK).volume
    _check_agreement(result, measurements, own)
    if mask is None and (result / CORRECTED).is_file():
        mask = result / CORRECTED
    labels = own
    if mask is not None:
        labels = read_image(mask).volume
        if not labels.same_grid(own):
            raise InputError(
                f"{mask} lies on another grid than {result / MASK}, the same grid is needed: export it anew"
            )
    found = np.unique(labels.array).tolist()
    known = [label["value"] for label in measurements["labels"]]
    if unknown := sorted(set(found) - {0, *known}):
        raise InputError(
            f"{mask or result / MASK} holds the values {unknown}, the model's labels are {known}: relabel it"
        )
    uncertainty = result / "uncertainty.nii.gz"
    return CaseFiles(
        result,
        measurements,
        labels.with_array(labels.array.astype(np.uint8)),
        hashlib.sha256((mask or result / MASK).read_bytes()).hexdigest(),
        mask is not None,
        _image(measurements, labels),
        read_image(uncertainty).volume if uncertainty.is_file() else None,
    )


def _measurements(result: Path) -> dict[str, Any]:
    path = result / "measurements.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        needed = {"model", "version", "sha256", "inputs", "labels", "lesions", "total_volume_ml"} - set(content)
    except FileNotFoundError as error:
        raise InputError(
            f"{result} holds no measurements.json, a result folder of strokeseg segment is needed: check the path"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged or can not be read: run strokeseg segment again") from error
    if needed or not content["inputs"]:
        raise InputError(f"{path} misses {', '.join(sorted(needed)) or 'inputs'}: run strokeseg segment again")
    return content


def _check_agreement(result: Path, measurements: dict[str, Any], labels: Volume) -> None:
    """Numbers of one mask must not be printed under the outline of another."""
    for label in measurements["labels"]:
        here_ml = float(np.count_nonzero(labels.array == label["value"])) * labels.voxel_volume_ml
        if abs(here_ml - label["volume_ml"]) > _ROUNDED_ML:
            raise InputError(
                f"{result / MASK} holds {here_ml:.3f} mL of {label['name']}, measurements.json says "
                f"{label['volume_ml']:.3f}: it was changed after the run; name a corrected mask {CORRECTED} instead"
            )


def _image(measurements: dict[str, Any], labels: Volume) -> Volume | None:
    """The first input, if it is still there and still the same grid."""
    try:
        image = read_image(next(iter(measurements["inputs"].values()))["path"]).volume
    except InputError:
        return None
    return image if image.same_grid(labels) else None

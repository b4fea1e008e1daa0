"""One time point: a label map, the scan that it was drawn on, and what the result says about itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.volume import Volume

LABELS, MEASUREMENTS = "lesion.nii.gz", "measurements.json"
_CURE = "give a result folder of strokeseg segment, or a label map and its image (--before-image, --after-image)"


@dataclass(frozen=True, eq=False)
class TimePoint:
    """What was found at one time.

    Attributes:
        labels: Label map (1 ischemic lesion or core, 2 hemorrhage, 3 penumbra) on its own grid.
        image: The scan.
        role: What the scan is (``ct``, ``dwi``, ...); None where a bare label map was given.
        model: Model and version; None for a bare label map.
    """

    labels: Volume
    image: Volume
    role: str | None = None
    model: str | None = None


def read_time_point(source: Path, image: Path | None = None) -> TimePoint:
    """Reads a result folder, or a label map with its image.

    Args:
        source: A folder that ``strokeseg segment`` wrote, or the file of a label map.
        image: The scan; by default the first input that measurements.json names.

    Raises:
        InputError: A file is missing or cannot be read, or the label map and the image lie apart.
    """
    measurements: dict[str, Any] = {}
    labels_file = source
    if source.is_dir():
        labels_file = source / LABELS
        measurements = _measurements(source)
    inputs: dict[str, dict[str, Any]] = measurements.get("inputs", {})
    role = next(iter(inputs), None)
    named = image or (Path(inputs[role]["path"]) if role and inputs[role].get("path") else None)
    if named is None:
        raise InputError(f"{source} names no image to register: {_CURE}")
    labels = read_image(labels_file).volume
    if labels.array.dtype.kind == "f" and (labels.array % 1).any():
        raise InputError(f"{labels_file} is no label map (it has fractions), needed are values 0 to 3: {_CURE}")
    try:
        scan = read_image(named).volume
    except InputError as error:
        if image is not None:
            raise
        raise InputError(
            f"the image of {source} can not be read ({error}); name it with --before-image or --after-image"
        ) from error
    model = f"{measurements['model']} {measurements['version']}" if measurements else None
    return TimePoint(labels.with_array(labels.array.astype("uint8")), scan, role, model)


def _measurements(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MEASUREMENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is no result folder ({MEASUREMENTS} can not be read): {_CURE}") from error
    if not isinstance(found, dict) or not isinstance(found.get("inputs"), dict) or "model" not in found:
        raise InputError(f"{folder / MEASUREMENTS} does not say which images were segmented: {_CURE}")
    return found

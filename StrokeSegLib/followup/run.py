"""``strokeseg followup``: two time points of one patient, into one folder.

Volumes are measured on each scan's own grid; registration only tells which lesion is which. Where it fails, volumes
and hematoma expansion still stand, and lesions are not matched.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from StrokeSegLib import __version__
from StrokeSegLib.callbacks import Progress
from StrokeSegLib.followup.expansion import hematoma_expansion
from StrokeSegLib.followup.matching import match_lesions
from StrokeSegLib.followup.time_point import TimePoint
from StrokeSegLib.preprocess.geometry import grid_of, resample
from StrokeSegLib.preprocess.register import RigidRegistration, register_rigid, resample_moved
from StrokeSegLib.report.followup_page import followup_page
from StrokeSegLib.report.followup_picture import draw_followup
from StrokeSegLib.report.overlay import LABEL_NAMES
from StrokeSegLib.result_folder import staged_results
from StrokeSegLib.volume import Volume

PAGE, SUMMARY, PICTURE = "followup.html", "followup.json", "followup.png"
#: Value of hemorrhage in every label map.
HEMORRHAGE = 2


def follow_up(
    before: TimePoint, after: TimePoint, out: Path, *, force: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Compares two time points and writes followup.json, followup.html and followup.png.

    Args:
        before, after: The two, of one patient.
        out: Result folder; it appears when all is done.
        force: Replace results that are already there.
        progress: Called with (stage, done, total); it may raise to cancel, and then nothing is written.

    Returns:
        The content of followup.json.

    Raises:
        InputError: A scan shows no head, or ``out`` cannot be written.
    """
    report: Progress = progress or (lambda stage, done, total: None)
    with staged_results(out, force=force) as folder:
        found = register_rigid(before.image, after.image, report)
        report("compare", 0, 1)
        summary = _summary(before, after, found)
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        report("compare", 1, 1)
        report("write", 0, 1)
        picture = None
        if found.quality != "failed":
            _draw(before, after, found, folder / PICTURE)
            picture = (folder / PICTURE).read_bytes()
        (folder / PAGE).write_text(followup_page(summary, picture), encoding="utf-8")
        report("write", 1, 1)
    return summary


def _summary(before: TimePoint, after: TimePoint, found: RigidRegistration) -> dict[str, Any]:
    values = sorted({int(value) for one in (before, after) for value in np.unique(one.labels.array)} - {0})
    matched = found.quality != "failed"
    volumes = {value: (_volume_ml(before.labels, value), _volume_ml(after.labels, value)) for value in values}
    hemorrhage = hematoma_expansion(*volumes[HEMORRHAGE]) if HEMORRHAGE in volumes else None
    center = before.image.ijk_to_lps((np.array(before.image.size_ijk) - 1) / 2)
    return {
        "strokeseg": __version__,
        "before": {"role": before.role, "model": before.model},
        "after": {"role": after.role, "model": after.model},
        "registration": {
            "quality": found.quality,
            "inverse_error_mm": round(found.inverse_error_mm, 3),
            "head_overlap": round(found.head_overlap, 4),
            "coverage": round(found.coverage, 4),
            "turned_deg": round(found.angle_deg, 3),
            "moved_mm": round(float(np.linalg.norm(found.to_moving(center) - center)), 3),
            "rotation": found.rotation.tolist(),
            "offset_mm": found.offset_mm.tolist(),
        },
        "labels": [
            {
                "value": value,
                "name": LABEL_NAMES.get(value, f"label {value}"),
                "before_ml": old,
                "after_ml": new,
                "change_ml": new - old,
                "change_percent": 100 * (new - old) / old if old else None,
            }
            for value, (old, new) in volumes.items()
        ],
        "lesions": [asdict(one) for one in match_lesions(before.labels, after.labels, found)] if matched else None,
        "hematoma_expansion": None if hemorrhage is None else asdict(hemorrhage),
        "warnings": _warnings(before, after, found),
    }


def _volume_ml(labels: Volume, value: int) -> float:
    return float(np.count_nonzero(labels.array == value)) * labels.voxel_volume_ml


def _warnings(before: TimePoint, after: TimePoint, found: RigidRegistration) -> list[str]:
    told = []
    how = (
        f"the two ways differ by {found.inverse_error_mm:.1f} mm, the heads overlap by {found.head_overlap:.0%}, "
        f"{found.coverage:.0%} of the head is on both scans"
    )
    if found.quality == "failed":
        told.append(f"The scans could not be registered ({how}): lesions are not matched; are both of one patient?")
    if found.quality == "doubtful":
        told.append(f"The registration is doubtful ({how}): look at the picture before believing which lesion is which")
    if before.role != after.role and None not in (before.role, after.role):
        told.append(
            f"The scans differ in kind ({before.role} and {after.role}): a lesion looks larger on one than on the other"
        )
    if before.model != after.model and None not in (before.model, after.model):
        told.append(f"Two models drew the lesions ({before.model}; {after.model}): part of the change may be theirs")
    return told


def _draw(before: TimePoint, after: TimePoint, found: RigidRegistration, path: Path) -> None:
    """Both time points on the grid of the first label map, for looking only."""
    grid = grid_of(before.labels)
    image = before.image
    if not image.same_grid(before.labels):
        image = resample(image, grid, outside=float(np.nanmin(image.array)))
    moved = resample_moved(after.image, found, grid)
    draw_followup(image, moved, before.labels, resample_moved(after.labels, found, grid, labels=True), path)

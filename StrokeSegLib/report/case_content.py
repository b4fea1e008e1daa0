"""What the report of a case says: one plain dictionary, written as report.json and shown by the page and the PDF."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from scipy import ndimage

from StrokeSegLib.measure import CONNECTIVITY_26, Lesion, measure_lesions
from StrokeSegLib.preprocess.brain import foreground
from StrokeSegLib.report.case_files import CaseFiles
from StrokeSegLib.report.lesion_parts import means_inside, number_lesions
from StrokeSegLib.report.measurements import perfusion_measures
from StrokeSegLib.report.overlay import CT_AIR_HU
from StrokeSegLib.systems.ct_perfusion import CORE, PENUMBRA
from StrokeSegLib.volume import Volume

RESEARCH_USE = "Research use, not a medical device"
#: DICOM's words for how a segmentation came about.
AUTOMATIC, SEMIAUTOMATIC = "AUTOMATIC", "SEMIAUTOMATIC"


@dataclass(frozen=True)
class Signature:
    """Who accepted the result, and when.

    Attributes:
        reader: As the reader writes the own name.
        signed_at: With its time zone.
    """

    reader: str
    signed_at: datetime


def build_content(
    case: CaseFiles, signature: Signature | None, patient: Mapping[str, str] | None, written_at: datetime
) -> dict[str, Any]:
    """The content of report.json, of plain JSON types.

    No path stands in it: a path chosen by a user may hold a name. Without ``patient`` nothing in it tells whose scan
    it is.

    Args:
        case: The result folder.
        signature: None for a result that no reader accepted.
        patient: Words -> text of the patient's fields, where they were asked for.
        written_at: Now.
    """
    found = case.measurements
    lesions = _lesions(case)
    names = {label["value"]: label["name"] for label in found["labels"]}
    volumes_ml = {value: float(np.count_nonzero(case.labels.array == value)) * _voxel_ml(case) for value in names}
    content: dict[str, Any] = {
        "title": "Stroke lesion report",
        "use": RESEARCH_USE,
        "written_at": written_at.isoformat(timespec="seconds"),
        "signature": None if signature is None else _signature(signature),
        "algorithm_type": SEMIAUTOMATIC if case.corrected or signature else AUTOMATIC,
        "mask": "corrected by a reader" if case.corrected else "as the model made it",
        "mask_sha256": case.mask_sha256,
        "model": {key: found.get(key) for key in ("model", "version", "system", "sha256")},
        "strokeseg": found.get("software", {}).get("strokeseg", "of unknown version"),
        "inputs": [
            {
                "role": role,
                "shape": one["shape"],
                "spacing_mm": one["spacing_mm"],
                "read": role not in found.get("inputs_not_read", []),
            }
            for role, one in found["inputs"].items()
        ],
        "labels": [
            {
                "value": value,
                "name": name,
                "volume_ml": round(volumes_ml[value], 3),
                "lesion_count": sum(lesion["label"] == value for lesion in lesions),
            }
            for value, name in names.items()
        ],
        "lesions": [{**lesion, "name": names[lesion["label"]]} for lesion in lesions],
        "total_volume_ml": round(sum(volumes_ml.values()), 3),
        "classification": found.get("classification"),
        "perfusion": _perfusion(found, volumes_ml),
        "uncertainty": found.get("uncertainty"),
        "needs_review": {
            "flag": bool(found.get("needs_review", {}).get("flag")),
            "reasons": [_without_paths(text, found) for text in found.get("needs_review", {}).get("reasons", [])],
        },
        "warnings": [_without_paths(text, found) for text in found.get("warnings", [])],
        "device": found.get("device"),
        "backend": found.get("backend"),
    }
    return {**content, "patient": dict(patient)} if patient is not None else content


def _signature(signature: Signature) -> dict[str, str]:
    return {"reader": signature.reader, "signed_at": signature.signed_at.isoformat(timespec="seconds")}


def _voxel_ml(case: CaseFiles) -> float:
    return case.labels.voxel_volume_ml


def _lesions(case: CaseFiles) -> list[dict[str, Any]]:
    """The lesion table: the model's own, or measured anew on a corrected mask."""
    lesions = _measured(case) if case.corrected else [dict(lesion) for lesion in case.measurements["lesions"]]
    if case.uncertainty is not None and case.uncertainty.same_grid(case.labels):
        numbers, of_label = number_lesions(case.labels)
        means = means_inside(case.uncertainty, numbers, len(of_label))
        for lesion, mean in zip(lesions, means, strict=True):
            lesion["uncertainty"] = round(mean, 3)
    return [{"number": number, **lesion} for number, lesion in enumerate(lesions, start=1)]


def _measured(case: CaseFiles) -> list[dict[str, Any]]:
    """A corrected mask has no probability of its own. Sides are told by the head; without the scan they are not."""
    head = None if case.image is None else _head(case.image)
    return [_row(lesion, told=head is not None) for lesion in measure_lesions(case.labels, brain=head)]


def _row(lesion: Lesion, *, told: bool) -> dict[str, Any]:
    row = asdict(lesion)
    return {
        **row,
        "volume_ml": round(lesion.volume_ml, 3),
        "centroid_ras_mm": [round(c, 1) + 0.0 for c in lesion.centroid_ras_mm],
        "max_diameter_mm": round(lesion.max_diameter_mm, 1),
        "side": lesion.side if told else None,
        "mean_probability": None,
    }


def _head(image: Volume) -> Volume | None:
    """The head, whose mirror plane is the brain's; None where the scan shows none."""
    values = image.array.astype(np.float32)
    inside = values > CT_AIR_HU if np.percentile(values, 5) < CT_AIR_HU else foreground(values)
    parts, count = ndimage.label(ndimage.binary_opening(inside, np.ones((1, 3, 3), bool)), CONNECTIVITY_26)
    if count == 0:
        return None
    return image.with_array(parts == 1 + int(np.bincount(parts.ravel())[1:].argmax()))


def _perfusion(found: Mapping[str, Any], volumes_ml: Mapping[int, float]) -> dict[str, float | None] | None:
    if "perfusion" not in found:
        return None
    return perfusion_measures(volumes_ml.get(CORE, 0.0), volumes_ml.get(PENUMBRA, 0.0))


def _without_paths(text: str, found: Mapping[str, Any]) -> str:
    """A sentence with the inputs' paths, and what lies below them, replaced by their roles."""
    inputs = [(str(one["path"]), role) for role, one in found["inputs"].items()]
    for path, role in sorted(inputs, key=lambda one: -len(one[0])):
        for name in dict.fromkeys((path, path.rpartition("#")[0])):
            if name:
                text = text.replace(f"{role}: {name}", name)
                text = re.sub(re.escape(name) + r"(?:[/\\][^\s:,;]*)?", f"the {role} input", text)
    return text

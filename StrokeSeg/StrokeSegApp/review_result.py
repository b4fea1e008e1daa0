"""A result that is shown in the scene becomes a study of one case, to be corrected, decided on, signed and reported."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp import result_nodes
from StrokeSegApp.review_case import labelsOf
from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.review import correct, create_study

CASE_ID = "case-1"
PATIENT_ID = "patient-1"


def canBegin(folder: str, segmentation: Any) -> bool:
    """Whether a study of this result could be made in this folder: a new or an empty one."""
    if not folder or segmentation is None or result_nodes.asFound(segmentation) is None:
        return False
    path = Path(folder)
    try:
        return path.parent.is_dir() and (not path.exists() or (path.is_dir() and not any(path.iterdir())))
    except OSError:
        return False


def studyOfResult(folder: str, reader: str, segmentation: Any) -> str:
    """Make a study whose one case is a result in the scene; what the reader has changed already is the first version.

    Args:
        folder: New or empty.
        reader: Pseudonym of the reader.
        segmentation: The result's node, see ``result_nodes``.

    Returns:
        The case's name.

    Raises:
        InputError: The segmented images are in no file, or lie elsewhere than in their files; or it cannot be written.
    """
    found = result_nodes.asFound(segmentation)
    if found is None:
        raise InputError(
            _("'{segmentation}' is no result of StrokeSeg: press Apply first").format(
                segmentation=segmentation.GetName()
            )
        )
    measurements = found[1]
    labels = result_nodes.foundLabels(segmentation)
    images = {role: _file(role, entry["path"]) for role, entry in measurements["inputs"].items()}
    if not any(read_image(str(path)).volume.same_grid(labels) for path in images.values()):
        raise InputError(
            _(
                "the images were moved by a transform after they were loaded: harden it, save the images and"
                " segment those"
            )
        )
    with tempfile.TemporaryDirectory(prefix="StrokeSeg-") as temporary:
        result = Path(temporary) / CASE_ID
        result.mkdir()
        _writeResult(result, segmentation, labels, measurements)
        study = create_study(folder, [Case(CASE_ID, PATIENT_ID, images)], Path(temporary), copy=True)
    now = labelsOf(segmentation, labels)
    if (now.array != labels.array).any():
        correct(study, reader, CASE_ID, now)
    return CASE_ID


def _file(role: str, source: str) -> Path:
    """The file or DICOM folder (``FOLDER#SERIES_UID``) of an input."""
    for text in (source, source.rpartition("#")[0]):
        if text and Path(text).is_absolute() and Path(text).exists():
            return Path(source)
    raise InputError(
        _("the {role} that was segmented is in no file, and a study names files: save and load it, press Apply").format(
            role=role.upper()
        )
    )


def _writeResult(folder: Path, segmentation: Any, labels: Any, measurements: dict[str, Any]) -> None:
    """As ``strokeseg segment`` writes a result."""
    names = {label["value"]: label["name"] for label in measurements["labels"]}
    write_image(labels, folder / "lesion.nii.gz")
    for value, probability in result_nodes.probabilities(segmentation).items():
        suffix = "" if len(names) == 1 else f"-{names[value].replace(' ', '-')}"
        write_image(probability, folder / f"probability{suffix}.nii.gz")
    uncertainty = result_nodes.uncertainty(segmentation)
    if uncertainty is not None:
        write_image(uncertainty, folder / "uncertainty.nii.gz")
    (folder / "measurements.json").write_text(json.dumps(measurements, indent=2) + "\n", encoding="utf-8")

"""What DICOM says about a volume node: from its attributes, the subject hierarchy and Slicer's DICOM database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer

from StrokeSegLib.io import Series

#: Attributes of volume nodes that this module loaded from DICOM itself; free of anything that names the patient.
MODALITY_ATTRIBUTE = "DICOM.Modality"
DESCRIPTION_ATTRIBUTE = "DICOM.SeriesDescription"
B_VALUE_ATTRIBUTE = "DICOM.DiffusionBValue"
IMAGE_TYPE_ATTRIBUTE = "DICOM.ImageType"
CONTRAST_ATTRIBUTE = "DICOM.ContrastBolusAgent"
#: The same by DICOM tag, for files that Slicer's DICOM database knows.
_TAGS = {
    MODALITY_ATTRIBUTE: "0008,0060",
    DESCRIPTION_ATTRIBUTE: "0008,103e",
    B_VALUE_ATTRIBUTE: "0018,9087",
    IMAGE_TYPE_ATTRIBUTE: "0008,0008",
    CONTRAST_ATTRIBUTE: "0018,0010",
}
INSTANCES_ATTRIBUTE = "DICOM.instanceUIDs"


@dataclass(frozen=True)
class VolumeFacts:
    """A volume's name and what DICOM says of it; empty strings for what is not known.

    Attributes:
        name: As in Slicer.
        modality: DICOM's word, such as ``CT`` or ``MR``.
        description: Series description.
        b_value: Diffusion b-value, s/mm2, None where unknown.
        imageType: DICOM's image type, such as ``DERIVED\\PRIMARY\\ADC``.
        contrast: What was given before the scan, empty where nothing was.
    """

    name: str
    modality: str = ""
    description: str = ""
    b_value: float | None = None
    imageType: str = ""
    contrast: str = ""


def factsOf(node: Any) -> VolumeFacts:
    """The facts of a volume node."""
    found = {name: _value(node, name) for name in _TAGS}
    return VolumeFacts(
        node.GetName(),
        found[MODALITY_ATTRIBUTE],
        found[DESCRIPTION_ATTRIBUTE],
        _number(found[B_VALUE_ATTRIBUTE]),
        found[IMAGE_TYPE_ATTRIBUTE],
        _agent(found[CONTRAST_ATTRIBUTE]),
    )


def factsOfSeries(series: Series) -> VolumeFacts:
    """The facts of a series in a folder; it has no other name than its description."""
    return VolumeFacts(
        "",
        series.modality,
        series.description,
        _number(series.b_value),
        series.image_type,
        _agent(series.contrast),
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _agent(text: str) -> str:
    return "" if text.strip().lower() in ("no", "none") else text


def dicomUids(node: Any) -> str:
    """The series of a volume that Slicer's DICOM module loaded and its images, by their UIDs; empty for any other."""
    names = slicer.vtkMRMLSubjectHierarchyConstants
    listed = node.GetAttribute(INSTANCES_ATTRIBUTE) or _uid(node, names.GetDICOMInstanceUIDName())
    images = [uid for uid in listed.split() if uid != "Unknown"]
    if not images:
        return ""
    series = _uid(node, names.GetDICOMUIDName())
    what = f"DICOM series {series}" if series else "DICOM images"
    return f"{what} ({len(images)} image{'s' if len(images) > 1 else ''}, the first {images[0]})"


def _uid(node: Any, kind: str) -> str:
    hierarchy, item = _itemOf(node)
    return hierarchy.GetItemUID(item, kind) if item else ""


def _itemOf(node: Any) -> tuple[Any, int]:
    """The subject hierarchy and the node's item in it, 0 where it has none."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    return hierarchy, hierarchy.GetItemByDataNode(node) if hierarchy else 0


def _value(node: Any, attribute: str) -> str:
    """The node's own attribute, that of its item in the subject hierarchy, or the tag of its first file."""
    own = node.GetAttribute(attribute)
    if own:
        return own
    hierarchy, item = _itemOf(node)
    known = hierarchy.GetItemAttribute(item, attribute) if item else ""
    if known:
        return known
    instances = (node.GetAttribute(INSTANCES_ATTRIBUTE) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not instances or database is None:
        return ""
    return database.instanceValue(instances[0], _TAGS[attribute])

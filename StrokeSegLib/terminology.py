"""What a label is called in SNOMED CT, as Slicer writes it, and its color."""

from __future__ import annotations

from typing import NamedTuple

from StrokeSegLib.errors import InputError

_CATEGORY = "SCT^49755003^Morphologically Altered Structure"
_REGION = "Anatomic codes - DICOM master list~SCT^12738006^Brain~^^"
_DICOM_LIST = "Segmentation category and type - DICOM master list"
_OWN_LIST = "Segmentation category and type - StrokeSeg"
#: Label value -> (context, type code, color). 1 ischemic lesion or core, 2 hemorrhage, 3 penumbra. No code for infarct
#: is in DICOM's lists, so that the lesion is coded as a lesion of the brain and named in words.
_LABELS = {
    1: (_OWN_LIST, "SCT^52988006^Lesion", (230, 80, 40)),
    2: (_DICOM_LIST, "SCT^50960005^Hemorrhage", (188, 65, 28)),
    3: (_OWN_LIST, "SCT^52988006^Lesion", (240, 200, 60)),
}


class Code(NamedTuple):
    """A code of DICOM: its value, the scheme it is from (SCT is SNOMED CT) and what it means."""

    value: str
    scheme: str
    meaning: str


_SIDES = {"left": Code("7771000", "SCT", "Left"), "right": Code("24028007", "SCT", "Right")}
_SCANS = {
    "CT": Code("77477000", "SCT", "Computed Tomography X-Ray"),
    "MR": Code("113091000", "SCT", "Magnetic resonance imaging"),
    "OT": Code("363679005", "SCT", "Imaging procedure"),
}


def terminology_entry(label: int) -> str:
    """Slicer's terminology string of a label value.

    Raises:
        InputError: The value is none of ours.
    """
    context, kind, _ = _entry(label)
    return f"{context}~{_CATEGORY}~{kind}~^^~{_REGION}"


def color_rgb(label: int) -> tuple[int, int, int]:
    """Display color of a label value, 0-255.

    Raises:
        InputError: The value is none of ours.
    """
    return _entry(label)[2]


def label_codes(label: int) -> tuple[Code, Code, Code]:
    """What a label value is, for DICOM: property category, property type, and the region of the body.

    Raises:
        InputError: The value is none of ours.
    """
    _, kind, _ = _entry(label)
    return _code(_CATEGORY), _code(kind), _code(_REGION.split("~")[1])


def side_code(side: str | None) -> Code | None:
    """Laterality of "left" and "right"; None for the midline and for what is not known."""
    return _SIDES.get(side or "")


def scan_code(modality: str) -> Code:
    """The procedure that a report is about, by DICOM's word for the modality."""
    return _SCANS.get(modality, _SCANS["OT"])


def _code(text: str) -> Code:
    scheme, value, meaning = text.split("^")
    return Code(value, scheme, meaning)


def _entry(label: int) -> tuple[str, str, tuple[int, int, int]]:
    if label not in _LABELS:
        raise InputError(f"unknown label value {label}; known: 1 ischemic lesion, 2 hemorrhage, 3 penumbra")
    return _LABELS[label]

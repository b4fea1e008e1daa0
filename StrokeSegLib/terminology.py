"""What a label is called in SNOMED CT, as Slicer writes it, and its color."""

from __future__ import annotations

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


def _entry(label: int) -> tuple[str, str, tuple[int, int, int]]:
    if label not in _LABELS:
        raise InputError(f"unknown label value {label}; known: 1 ischemic lesion, 2 hemorrhage, 3 penumbra")
    return _LABELS[label]

"""DICOM SEG and SR of one report, written as files that name the same study, patient and lesions."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from StrokeSegLib.errors import InputError
from StrokeSegLib.report.dicom_seg import dicom_seg
from StrokeSegLib.report.dicom_sr import dicom_sr
from StrokeSegLib.report.source_series import SourceSeries, quiet_dicom
from StrokeSegLib.volume import Volume

SEG_NAME, SR_NAME = "lesion-seg.dcm", "measurements-sr.dcm"
#: Attributes that must be present in what refers to a study, empty where the study does not have them.
_MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_SEXES = ("M", "F", "O", "")
UNICODE = "ISO_IR 192"


def dicom_results(labels: Volume, content: Mapping[str, Any], series: SourceSeries) -> dict[str, Any]:
    """File name -> DICOM object, to be written with its ``save_as``.

    Raises:
        InputError: highdicom is not installed, or the source's headers hold what DICOM does not allow.
    """
    source = SourceSeries([_whole(image) for image in series.images])
    with quiet_dicom():
        try:
            segmentation = dicom_seg(labels, content, source)
            report = dicom_sr(content, source, segmentation)
        except InputError:
            raise
        except (AttributeError, TypeError, ValueError) as error:
            # What highdicom says may hold the value, which may be the patient's: it is not passed on.
            raise InputError(
                f"the headers of the source series miss something that DICOM needs, or hold a value that it does not "
                f"allow ({type(error).__name__} in highdicom): check an image with dciodvfy and use the original series"
            ) from None
    return {SEG_NAME: segmentation, SR_NAME: report}


def _whole(header: Any) -> Any:
    """A copy of a header as DICOM wants it: in Unicode, with what must be present, if only empty."""
    with quiet_dicom():
        header = deepcopy(header)
        header.decode()
    header.SpecificCharacterSet = UNICODE
    for key in _MAY_BE_EMPTY:
        if key not in header:
            setattr(header, key, "")
    if header.PatientSex not in _SEXES:
        header.PatientSex = ""
    if header.get("PatientIdentityRemoved") == "YES" and not (
        header.get("DeidentificationMethod") or header.get("DeidentificationMethodCodeSequence")
    ):
        header.DeidentificationMethod = "not stated"
    return header

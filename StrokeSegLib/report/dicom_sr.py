"""DICOM SR: the measurements as a report of template TID 1500, which names the segments they were taken on.

A group a lesion (TID 1411: volume in mL, largest diameter in mm, tracking identifier, side) and a group a label
(TID 1501: total volume), which is there with 0 mL too where nothing was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from StrokeSegLib.report.dicom_seg import (
    MANUFACTURER,
    coded,
    lesion_name,
    model_name,
    person_name,
    tracking_uid,
)
from StrokeSegLib.report.optional import needed
from StrokeSegLib.report.source_series import SourceSeries
from StrokeSegLib.terminology import Code, label_codes, scan_code, side_code

SERIES_NUMBER = 8002
VOLUME = Code("118565006", "SCT", "Volume")
DIAMETER = Code("81827009", "SCT", "Diameter")
MAXIMUM = Code("56851009", "SCT", "Maximum")
TOTAL = Code("255619001", "SCT", "Total")
VOXEL_SUM = Code("126030", "DCM", "Sum of segmented voxel volumes")
ML = Code("mL", "UCUM", "milliliter")
MM = Code("mm", "UCUM", "millimeter")
TITLE = Code("126000", "DCM", "Imaging Measurement Report")
AI = Code("123110", "DCM", "Artificial Intelligence")
PERSON, DEVICE = Code("121006", "DCM", "Person"), Code("121007", "DCM", "Device")
#: DICOM wants an organization beside who verified; a study may not name one.
NO_ORGANIZATION = "not stated"


def dicom_sr(content: Mapping[str, Any], series: SourceSeries, segmentation: Any) -> Any:
    """The measurement report.

    Args:
        content: As ``build_content`` makes it.
        series: The images that were segmented.
        segmentation: As ``dicom_seg`` makes it of the same two.

    Returns:
        A ``highdicom.sr.ComprehensiveSR``, verified by the reader where there is a signature.

    Raises:
        InputError: highdicom is not installed.
    """
    hd = needed("highdicom", "DICOM SR")
    sr = needed("highdicom.sr", "DICOM SR")
    model, signature = content["model"], content["signature"]
    algorithm = sr.AlgorithmIdentification(
        name=model_name(content),
        version=str(model["version"]),
        parameters=[f"weights SHA-256 {model['sha256']}"],
        family=coded(hd, AI),
        manufacturer=MANUFACTURER,
    )
    groups = [_lesion(hd, sr, content, one, series, segmentation, algorithm) for one in content["lesions"]]
    groups += [_total(hd, sr, one, algorithm) for one in content["labels"]]
    report = sr.MeasurementReport(
        observation_context=_observers(hd, sr, content),
        procedure_reported=coded(hd, scan_code(str(series.first.Modality))),
        imaging_measurements=groups,
        title=coded(hd, TITLE),
        referenced_images=series.images,
    )
    document = sr.ComprehensiveSR(
        evidence=[*series.images, segmentation],
        content=report,
        series_instance_uid=hd.UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=signature is not None,
        is_verified=signature is not None,
        verifying_observer_name=person_name(signature["reader"]) if signature else None,
        verifying_organization=_organization(series) if signature else None,
        series_description="StrokeSeg measurements",
    )
    if signature is not None:
        verified = document.VerifyingObserverSequence[0]
        verified.VerificationDateTime = _dicom_time(signature["signed_at"])
        if "VerifyingObserverIdentificationCodeSequence" not in verified:
            verified.VerifyingObserverIdentificationCodeSequence = []
    return document


def _organization(series: SourceSeries) -> str:
    return str(getattr(series.first, "InstitutionName", "") or NO_ORGANIZATION)


def _dicom_time(iso: str) -> str:
    return datetime.fromisoformat(iso).strftime("%Y%m%d%H%M%S%z")


def _observers(hd: Any, sr: Any, content: Mapping[str, Any]) -> Any:
    """The program, and the reader where one signed."""
    device = sr.ObserverContext(
        observer_type=coded(hd, DEVICE),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=tracking_uid(hd, content, 0), name=model_name(content), manufacturer_name=MANUFACTURER,
            model_name=str(content["model"]["version"]),
        ),
    )  # fmt: skip
    person = None
    if content["signature"] is not None:
        person = sr.ObserverContext(
            observer_type=coded(hd, PERSON),
            observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(
                name=person_name(content["signature"]["reader"])
            ),
        )
    return sr.ObservationContext(observer_person_context=person, observer_device_context=device)


def _lesion(
    hd: Any,
    sr: Any,
    content: Mapping[str, Any],
    lesion: Mapping[str, Any],
    series: SourceSeries,
    segmentation: Any,
    algorithm: Any,
) -> Any:
    category, kind, region = label_codes(lesion["label"])
    side = side_code(lesion["side"])
    number = int(lesion["number"])
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=tracking_uid(hd, content, number), identifier=lesion_name(lesion)
        ),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=number,
            source_series=sr.SourceSeriesForSegmentation(series.series_uid),
        ),
        finding_type=coded(hd, kind),
        finding_category=coded(hd, category),
        algorithm_id=algorithm,
        finding_sites=[sr.FindingSite(coded(hd, region), laterality=None if side is None else coded(hd, side))],
        measurements=_measurements(hd, sr, lesion),
    )


def _measurements(hd: Any, sr: Any, lesion: Mapping[str, Any]) -> Sequence[Any]:
    return [
        sr.Measurement(
            name=coded(hd, VOLUME), value=float(lesion["volume_ml"]), unit=coded(hd, ML), method=coded(hd, VOXEL_SUM)
        ),
        sr.Measurement(
            name=coded(hd, DIAMETER),
            value=float(lesion["max_diameter_mm"]),
            unit=coded(hd, MM),
            derivation=coded(hd, MAXIMUM),
        ),
    ]


def _total(hd: Any, sr: Any, label: Mapping[str, Any], algorithm: Any) -> Any:
    """All lesions of one label together."""
    category, kind, region = label_codes(label["value"])
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=hd.UID(), identifier=f"{label['name']}, all lesions"),
        finding_type=coded(hd, kind),
        finding_category=coded(hd, category),
        algorithm_id=algorithm,
        finding_sites=[sr.FindingSite(coded(hd, region))],
        measurements=[
            sr.Measurement(
                name=coded(hd, VOLUME),
                value=float(label["volume_ml"]),
                unit=coded(hd, ML),
                method=coded(hd, VOXEL_SUM),
                derivation=coded(hd, TOTAL),
            )
        ],
    )

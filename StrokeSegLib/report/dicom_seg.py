"""DICOM SEG: the lesions as a segmentation object in the study they were found in.

One segment a lesion, with the tracking identifier that the measurements (dicom_sr.py) carry too. Its frames lie on the
mask's own grid, in the frame of reference of the scan. Where that grid is the scan's, each frame names the image it was
drawn on, pixel by pixel. A tilted or uneven series was resampled before it was segmented: all its images are named as
the sources of the whole, and an image is named for a frame only where the frame lies in its plane, with "spatial
locations preserved: no" where the pixels do not fall on each other. The mask is never resampled back: it stays what was
measured, voxel by voxel.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np

from StrokeSegLib.report.lesion_parts import number_lesions
from StrokeSegLib.report.optional import needed
from StrokeSegLib.report.source_series import SourceSeries
from StrokeSegLib.terminology import Code, color_rgb, label_codes
from StrokeSegLib.volume import Volume

MANUFACTURER = "StrokeSeg"
SERIES_NUMBER = 8001


def dicom_seg(labels: Volume, content: Mapping[str, Any], series: SourceSeries) -> Any:
    """The segmentation object.

    Args:
        labels: The reported mask.
        content: As ``build_content`` makes it.
        series: The images that were segmented.

    Returns:
        A ``highdicom.seg.Segmentation``, to be written with its ``save_as``.

    Raises:
        InputError: highdicom is not installed.
    """
    hd = needed("highdicom", "DICOM SEG")
    needed("highdicom.seg", "DICOM SEG")
    numbers, of_label = number_lesions(labels)
    segments = _segments(hd, content, of_label)
    # Array axes are (k, j, i) here and there; highdicom's matrix has them as columns in that order.
    affine = np.eye(4)
    affine[:3, :3] = (labels.direction * labels.spacing_mm)[:, ::-1]
    affine[:3, 3] = labels.origin
    grid = hd.Volume(
        numbers.astype(np.uint16 if len(segments) > 255 else np.uint8), affine, coordinate_system="PATIENT",
        frame_of_reference_uid=series.first.FrameOfReferenceUID,
    )  # fmt: skip
    signature = content["signature"]
    segmentation = hd.seg.Segmentation(
        source_images=series.images,
        pixel_array=grid,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=hd.UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=model_name(content),
        software_versions=str(content["strokeseg"]),
        device_serial_number=str(content["model"]["version"]),
        content_label="STROKE_LESIONS",
        content_description="Stroke lesions. Research use, not a medical device",
        content_creator_name=person_name(signature["reader"]) if signature else None,
        series_description="StrokeSeg lesions",
    )
    # Taken from the images by highdicom, where the spacing of slices may be another or none.
    measures = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SliceThickness = measures.SpacingBetweenSlices = round(labels.spacing_mm[2], 6)
    return segmentation


def tracking_uid(hd: Any, content: Mapping[str, Any], number: int) -> Any:
    """The same for the same lesion of the same mask, whenever and however often it is written."""
    return hd.UID.from_uuid(str(uuid.uuid5(uuid.NAMESPACE_OID, f"{content['mask_sha256']} lesion {number}")))


def model_name(content: Mapping[str, Any]) -> str:
    return f"StrokeSeg {content['model']['model']}"[:64]


def person_name(reader: str) -> str:
    """A reader's name as DICOM writes it: ``Family^Given`` is kept, other text is marked as one part."""
    name = " ".join(reader.replace("\\", " ").replace("=", " ").split())[:63]
    return name if "^" in name else f"{name}^"


def coded(hd: Any, code: Code) -> Any:
    return hd.sr.CodedConcept(code.value, code.scheme, code.meaning)


def lesion_name(lesion: Mapping[str, Any]) -> str:
    return f"{lesion['name']} {lesion['number']}"[:64]


def _segments(hd: Any, content: Mapping[str, Any], of_label: list[int]) -> list[Any]:
    """One a lesion; without any lesion one empty one a label, which says that it was looked for."""
    needed("highdicom.sr", "DICOM SEG")
    if of_label:
        named = [(value, lesion_name(content["lesions"][n])) for n, value in enumerate(of_label)]
    else:
        named = [(label["value"], f"{label['name']}: none found") for label in content["labels"]]
    model = content["model"]
    algorithm = hd.AlgorithmIdentificationSequence(
        name=model_name(content),
        family=coded(hd, Code("123110", "DCM", "Artificial Intelligence")),
        version=str(model["version"]),
        source=MANUFACTURER,
        parameters={"weights SHA-256": str(model["sha256"])},
    )
    segments = []
    for number, (value, name) in enumerate(named, start=1):
        category, kind, region = label_codes(value)
        segments.append(
            hd.seg.SegmentDescription(
                segment_number=number,
                segment_label=name,
                segmented_property_category=coded(hd, category),
                segmented_property_type=coded(hd, kind),
                algorithm_type=content["algorithm_type"],
                algorithm_identification=algorithm,
                tracking_uid=tracking_uid(hd, content, number),
                tracking_id=name,
                anatomic_regions=[coded(hd, region)],
                display_color=hd.color.CIELabColor.from_rgb(*color_rgb(value)),
            )
        )
    return segments

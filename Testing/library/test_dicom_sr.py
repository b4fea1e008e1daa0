"""DICOM SR: the numbers of report.json as a TID 1500 report, read back with highdicom, judged by dciodvfy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from report_phantoms import SHA256, head_series, small_result, write_result
from test_dicom_seg import assert_valid, write_dicom

from StrokeSegLib.io import read_image

hd = pytest.importorskip("highdicom", reason="DICOM results need highdicom")

LESION, HEMORRHAGE, VOLUME, DIAMETER = "52988006", "50960005", "118565006", "81827009"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """SEG and SR of two lesions, signed."""
    result = small_result(tmp_path_factory.mktemp("signed"))
    return write_dicom(result, "--reader", "Smith^Anna", "--signed-at", "2030-01-31T14:05:00+01:00")


def report_of(path: Path) -> Any:
    return hd.sr.srread(path).content


def measured(group: Any) -> dict[str, tuple[float, str]]:
    """Code of a measurement -> value and unit."""
    return {m.name.value: (m.value, m.unit.value) for m in group.get_measurements()}


def test_each_lesion_has_a_group_with_volume_and_diameter(signed: tuple[Path, Path]) -> None:
    """4 x 5 x 6 voxels of 4 x 2 x 0.5 mm are 0.48 mL; from corner to corner (12, 8, 2.5) mm."""
    groups = report_of(signed[1]).get_volumetric_roi_measurement_groups()
    assert [g.finding_type.value for g in groups] == [LESION, HEMORRHAGE]
    ischemic = measured(groups[0])
    assert ischemic[VOLUME] == (pytest.approx(0.48), "mL")
    assert ischemic[DIAMETER] == (pytest.approx(np.sqrt(12**2 + 8**2 + 2.5**2), abs=0.05), "mm")
    assert measured(groups[1])[VOLUME] == (pytest.approx(0.032), "mL")  # 2 x 2 x 2 voxels
    for group in groups:
        site = group.finding_sites[0]
        assert (site.value.value, site.value.scheme_designator) == ("12738006", "SCT")


def test_the_side_of_each_lesion_is_that_of_the_table(signed: tuple[Path, Path]) -> None:
    table = json.loads((signed[1].parent / "report.json").read_text())["lesions"]
    groups = report_of(signed[1]).get_volumetric_roi_measurement_groups()
    codes = {"left": "7771000", "right": "24028007"}
    assert {one["side"] for one in table} <= {"left", "right"}
    assert [g.finding_sites[0].laterality.value for g in groups] == [codes[one["side"]] for one in table]


def test_a_group_and_its_segment_carry_one_tracking_uid(signed: tuple[Path, Path]) -> None:
    seg = pydicom.dcmread(signed[0])
    groups = report_of(signed[1]).get_volumetric_roi_measurement_groups()
    for group, segment in zip(groups, seg.SegmentSequence, strict=True):
        assert str(group.tracking_uid) == segment.TrackingUID
        reference = group.referenced_segment
        assert reference.referenced_sop_instance_uid == seg.SOPInstanceUID
        assert list(reference.referenced_segment_numbers) == [segment.SegmentNumber]
        scan = pydicom.dcmread(signed[0].parents[2] / "scan" / "01.dcm")
        assert reference.source_series_for_segmentation.value == scan.SeriesInstanceUID


def test_the_same_mask_keeps_its_tracking_uids_and_gets_new_documents(tmp_path: Path) -> None:
    result = small_result(tmp_path)
    found = []
    for _ in range(2):
        seg, sr = (pydicom.dcmread(path) for path in write_dicom(result))
        found.append((seg.SOPInstanceUID, sr.SOPInstanceUID, [s.TrackingUID for s in seg.SegmentSequence]))
    assert found[0][2] == found[1][2]
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


def test_the_totals_are_there_too(signed: tuple[Path, Path]) -> None:
    groups = report_of(signed[1]).get_image_measurement_groups()
    assert [(g.finding_type.value, measured(g)[VOLUME][0]) for g in groups] == [
        (LESION, pytest.approx(0.48)),
        (HEMORRHAGE, pytest.approx(0.032)),
    ]


def test_model_version_and_hash_are_named(signed: tuple[Path, Path]) -> None:
    texts = [item.value for item in pydicom.dcmread(signed[1]).iterall() if item.keyword == "TextValue"]
    for words in ("StrokeSeg noncontrast-ct", "0.1.0", f"weights SHA-256 {SHA256}"):
        assert texts.count(words) >= 4  # two lesions, two totals


def test_the_reader_and_the_time_are_the_verification(signed: tuple[Path, Path]) -> None:
    item = pydicom.dcmread(signed[1])
    assert (item.VerificationFlag, item.CompletionFlag) == ("VERIFIED", "COMPLETE")
    verified = item.VerifyingObserverSequence[0]
    assert verified.VerifyingObserverName == "Smith^Anna"
    assert verified.VerificationDateTime == "20300131140500+0100"
    assert_valid(signed[1])
    assert_valid(signed[0])


def test_without_a_reader_it_is_unverified(tmp_path: Path) -> None:
    _, path = write_dicom(small_result(tmp_path))
    item = pydicom.dcmread(path)
    assert item.VerificationFlag == "UNVERIFIED"
    assert "VerifyingObserverSequence" not in item
    assert_valid(path)


def test_the_images_of_the_scan_and_the_segmentation_are_its_evidence(signed: tuple[Path, Path]) -> None:
    item, seg = pydicom.dcmread(signed[1]), pydicom.dcmread(signed[0])
    named = {
        str(one.ReferencedSOPInstanceUID)
        for key in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in item.get(key, [])
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    images = {str(pydicom.dcmread(p).SOPInstanceUID) for p in (signed[0].parents[2] / "scan").iterdir()}
    assert named == {*images, str(seg.SOPInstanceUID)}


def test_no_lesion_is_measured_as_nothing(tmp_path: Path) -> None:
    source = head_series(tmp_path / "scan", [0.0, 4.0, 8.0])
    grid = read_image(source).volume
    result = write_result(tmp_path / "result", source, grid.with_array(np.zeros(grid.array.shape, np.uint8)))
    content = report_of(write_dicom(result)[1])
    assert content.get_volumetric_roi_measurement_groups() == []
    assert [measured(g)[VOLUME] for g in content.get_image_measurement_groups()] == [(0.0, "mL"), (0.0, "mL")]

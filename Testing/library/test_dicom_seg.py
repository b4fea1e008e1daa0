"""DICOM SEG: read back with pydicom and highdicom, judged by dciodvfy, the same mask voxel by voxel."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_phantoms import LEANING, two_b_values
from report_phantoms import SHA256, head_series, small_result, two_lesions, write_result

from StrokeSegLib.cli import main
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.report.source_series import read_source
from StrokeSegLib.volume import Volume

hd = pytest.importorskip("highdicom", reason="DICOM results need highdicom")


def write_dicom(result: Path, *words: str) -> tuple[Path, Path]:
    """SEG and SR of a result folder."""
    assert main(["report", "--result", str(result), "--dicom", "--force", *words]) == 0
    return result / "report" / "lesion-seg.dcm", result / "report" / "measurements-sr.dcm"


def assert_valid(path: Path) -> None:
    """No error in dciodvfy's eyes."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not here (Debian: apt-get install dicom3tools)")
    run = subprocess.run([program, str(path)], check=False, capture_output=True, timeout=120)
    said = run.stderr.decode("utf-8", "replace")
    assert [line for line in said.splitlines() if line.startswith(("Error", "Abort"))] == []
    assert any(line.strip() in ("Segmentation", "ComprehensiveSR") for line in said.splitlines()), said


def mask_of(path: Path, grid: Volume) -> np.ndarray:
    """The label map of a SEG on a grid, each frame put where its own position says."""
    seg = hd.seg.segread(path)
    values = {n: label_value(seg, n) for n in seg.segment_numbers}
    labels = np.zeros(grid.array.shape, np.uint8)
    pixels = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for frame, item in zip(pixels, seg.PerFrameFunctionalGroupsSequence, strict=True):
        number = int(item.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        place = grid.lps_to_ijk([float(v) for v in item.PlanePositionSequence[0].ImagePositionPatient])
        assert place[:2] == pytest.approx([0, 0], abs=1e-3)
        assert place[2] == pytest.approx(round(place[2]), abs=1e-3)
        labels[round(place[2])][frame > 0] = values[number]
    shared = seg.SharedFunctionalGroupsSequence[0]
    axes = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    assert axes == pytest.approx(grid.direction[:, :2].T, abs=1e-6)
    measures = shared.PixelMeasuresSequence[0]
    assert [float(v) for v in measures.PixelSpacing][::-1] == pytest.approx(grid.spacing_mm[:2], rel=1e-6)
    return labels


def label_value(seg: Any, number: int) -> int:
    return {"52988006": 1, "50960005": 2}[seg.get_segment_description(number).segmented_property_type.value]


def sources_of(seg: Any) -> list[list[Any]]:
    """Per frame the images it names as its source."""
    return [
        [source for derivation in frame.get("DerivationImageSequence", []) for source in derivation.SourceImageSequence]
        for frame in seg.PerFrameFunctionalGroupsSequence
    ]


def test_a_regular_series_gives_the_same_mask_and_names_the_image_of_each_frame(tmp_path: Path) -> None:
    result = small_result(tmp_path)
    path, _ = write_dicom(result)
    labels = read_image(result / "lesion.nii.gz").volume
    assert np.array_equal(mask_of(path, labels), labels.array)
    seg = pydicom.dcmread(path)
    images = {str(i.SOPInstanceUID): i for i in map(pydicom.dcmread, (tmp_path / "scan").iterdir())}
    for frame, sources in zip(seg.PerFrameFunctionalGroupsSequence, sources_of(seg), strict=True):
        assert len(sources) == 1
        assert sources[0].SpatialLocationsPreserved == "YES"
        here, there = frame.PlanePositionSequence[0], images[sources[0].ReferencedSOPInstanceUID]
        assert here.ImagePositionPatient == pytest.approx(there.ImagePositionPatient, abs=1e-4)
    named = {str(i.ReferencedSOPInstanceUID) for i in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named == set(images)


def test_a_segment_says_what_it_is_and_what_found_it(tmp_path: Path) -> None:
    path, _ = write_dicom(small_result(tmp_path))
    segments = pydicom.dcmread(path).SegmentSequence
    assert [s.SegmentLabel for s in segments] == ["ischemic lesion 1", "hemorrhage 2"]
    assert [s.SegmentedPropertyTypeCodeSequence[0].CodeValue for s in segments] == ["52988006", "50960005"]
    for segment in segments:
        assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator == "SCT"
        assert segment.AnatomicRegionSequence[0].CodeValue == "12738006"
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("StrokeSeg noncontrast-ct", "0.1.0")
        assert SHA256 in algorithm.AlgorithmParameters
    assert len({s.TrackingUID for s in segments}) == 2


def test_the_object_belongs_to_the_study_and_patient_of_the_scan(tmp_path: Path) -> None:
    path, sr_path = write_dicom(small_result(tmp_path))
    image = pydicom.dcmread(tmp_path / "scan" / "01.dcm")
    for item in (pydicom.dcmread(path), pydicom.dcmread(sr_path)):
        for key in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "AccessionNumber", "StudyDate"):
            assert item[key].value == image[key].value, key
    assert pydicom.dcmread(path).FrameOfReferenceUID == image.FrameOfReferenceUID


def test_a_name_in_any_script_is_carried_over_whole(tmp_path: Path) -> None:
    fields = {"SpecificCharacterSet": "ISO_IR 144", "PatientName": "Иванова^Анна", "PatientID": "1"}
    source = head_series(tmp_path / "scan", [0.0, 4.0, 8.0, 12.0, 16.0, 20.0], fields=fields)
    result = write_result(tmp_path / "result", source, two_lesions(read_image(source).volume))
    for path in write_dicom(result, "--reader", "Müller 山田"):
        assert pydicom.dcmread(path).PatientName == "Иванова^Анна"
        assert_valid(path)
    assert pydicom.dcmread(path).VerifyingObserverSequence[0].VerifyingObserverName == "Müller 山田^"


@pytest.mark.parametrize("way", ["reader", "corrected"])
def test_a_reader_makes_it_semiautomatic(tmp_path: Path, way: str) -> None:
    result = small_result(tmp_path)
    labels = read_image(result / "lesion.nii.gz").volume
    expected = labels.array.copy()
    if way == "corrected":
        expected[5, 30, 30] = 2
        write_image(labels.with_array(expected), result / "corrected.nii.gz")
    path, _ = write_dicom(result, *(["--reader", "Jo"] if way == "reader" else []))
    assert {s.SegmentAlgorithmType for s in pydicom.dcmread(path).SegmentSequence} == {"SEMIAUTOMATIC"}
    assert np.array_equal(mask_of(path, labels), expected)


def test_no_lesion_is_a_valid_answer(tmp_path: Path) -> None:
    source = head_series(tmp_path / "scan", [0.0, 4.0, 8.0])
    grid = read_image(source).volume
    result = write_result(tmp_path / "result", source, grid.with_array(np.zeros(grid.array.shape, np.uint8)))
    path, sr_path = write_dicom(result)
    assert not pydicom.dcmread(path).pixel_array.any()
    assert [s.SegmentLabel for s in pydicom.dcmread(path).SegmentSequence] == [
        "ischemic lesion: none found",
        "hemorrhage: none found",
    ]
    assert_valid(path)
    assert_valid(sr_path)


@pytest.mark.parametrize(
    ("heights", "leaning"),
    [([4.0 * n for n in range(8)], True), ([0, 1.1, 5, 9, 13, 20, 27, 31], False), ([0, 1.1, 5, 9, 13, 20, 27], True)],
    ids=["tilted", "uneven", "both"],
)
def test_a_resampled_series_gives_the_same_mask_on_its_own_grid(
    tmp_path: Path, heights: list[float], leaning: bool
) -> None:
    axes = LEANING if leaning else (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    source = head_series(tmp_path / "scan", heights, axes)
    result = write_result(tmp_path / "result", source, two_lesions(read_image(source).volume))
    path, sr_path = write_dicom(result)
    labels = read_image(result / "lesion.nii.gz").volume
    assert np.array_equal(mask_of(path, labels), labels.array)
    seg = pydicom.dcmread(path)
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(heights)
    images = {str(i.SOPInstanceUID): i for i in map(pydicom.dcmread, source.iterdir())}
    for frame, sources in zip(seg.PerFrameFunctionalGroupsSequence, sources_of(seg), strict=True):
        here = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        for one in sources:
            shift = labels.direction.T @ (here - images[one.ReferencedSOPInstanceUID].ImagePositionPatient)
            assert abs(shift[2]) < 0.05  # in one plane
            assert (one.SpatialLocationsPreserved == "YES") == bool(np.abs(shift).max() < 0.01)
    assert_valid(path)
    assert_valid(sr_path)


def test_highdicom_reads_the_mask_back_as_a_volume(tmp_path: Path) -> None:
    result = small_result(tmp_path)
    path, _ = write_dicom(result)
    labels = read_image(result / "lesion.nii.gz").volume
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    kji = np.argwhere(volume.array)
    places = volume.map_indices_to_reference(kji)
    ijk = np.rint(labels.lps_to_ijk(places)).astype(int)
    assert sorted(map(tuple, ijk[:, ::-1].tolist())) == sorted(map(tuple, np.argwhere(labels.array).tolist()))


def test_a_scan_that_was_converted_to_nifti_is_given_back_to_its_dicom_series(tmp_path: Path) -> None:
    """As dcm2niix writes it: rows from the last to the first, so that the grid is left-handed."""
    source = head_series(tmp_path / "scan", [4.0 * n for n in range(8)])
    scan = read_image(source).volume
    direction = scan.direction * [1, -1, 1]
    flipped = Volume(scan.array[:, ::-1], scan.spacing_mm, tuple(scan.ijk_to_lps([0, 39, 0])), direction)
    write_image(flipped, tmp_path / "scan.nii.gz")
    grid = read_image(tmp_path / "scan.nii.gz").volume
    result = write_result(tmp_path / "result", tmp_path / "scan.nii.gz", two_lesions(grid))
    path, sr_path = write_dicom(result, "--source", str(source))
    labels = read_image(result / "lesion.nii.gz").volume
    assert np.array_equal(mask_of(path, labels), labels.array)
    assert_valid(path)
    assert_valid(sr_path)


@pytest.mark.data
def test_the_round_trip_on_a_real_tilted_series(data: Path, tmp_path: Path) -> None:
    source = data / "cases" / "ct-dicom-tilted"
    reading = read_image(source)
    labels = np.zeros(reading.volume.array.shape, np.uint8)
    k, j, i = np.indices(labels.shape)
    labels[((k - 18) * 4.0) ** 2 + ((j - 360) * 0.49) ** 2 + ((i - 320) * 0.49) ** 2 < 15**2] = 1
    labels[20:22, 250:260, 200:212] = 2
    result = write_result(tmp_path / "result", source, reading.volume.with_array(labels), reading.warnings)
    path, sr_path = write_dicom(result)
    assert np.array_equal(mask_of(path, reading.volume), labels)
    assert_valid(path)
    assert_valid(sr_path)


def test_files_are_valid(tmp_path: Path) -> None:
    for path in write_dicom(small_result(tmp_path), "--reader", "Smith^Anna", "--signed-at", "2030-01-31T14:05+01:00"):
        assert_valid(path)


def test_the_source_of_one_b_value_is_its_images_alone(tmp_path: Path) -> None:
    two_b_values(tmp_path)
    source = read_source(f"{tmp_path}#1.2.3:b1000")
    assert source.series_uid == "1.2.3"
    assert [image.DiffusionBValue for image in source.images] == [1000.0] * 3


# --- refused ----------------------------------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["report", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_another_scan_than_the_segmented_one_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = small_result(tmp_path)
    other = head_series(tmp_path / "other", [4.0 * n + 30 for n in range(8)])
    said = refused(capsys, "--result", str(result), "--dicom", "--source", str(other))
    assert "is not the scan that was segmented" in said
    assert not (result / "report").exists()


def test_without_the_dicom_series_it_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = small_result(tmp_path)
    (tmp_path / "scan").rename(tmp_path / "moved")
    assert "--source" in refused(capsys, "--result", str(result), "--dicom")
    path, _ = write_dicom(result, "--source", str(tmp_path / "moved"))
    assert pydicom.dcmread(path).PatientID == "ID-7319-X"


def test_without_highdicom_it_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = small_result(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    assert "pip install 'strokeseg[report]'" in refused(capsys, "--result", str(result), "--dicom")
    assert not (result / "report").exists()


def test_a_value_that_dicom_does_not_allow_is_told_without_quoting_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = small_result(tmp_path)
    path = tmp_path / "scan" / "01.dcm"
    path.write_bytes(path.read_bytes().replace(b"20210704", b"PRIVACY!"))
    said = refused(capsys, "--result", str(result), "--dicom")
    assert "dciodvfy" in said
    assert "PRIVACY" not in said

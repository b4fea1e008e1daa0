"""Image files written: whole or not at all, and segmentations as Slicer reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from io_phantoms import phantom

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import Segment, read_image, write_image, write_segmentation
from StrokeSegLib.volume import Volume


def test_a_mask_is_written_as_bytes(tmp_path: Path) -> None:
    write_image(Volume(np.ones((2, 3, 4), bool)), tmp_path / "mask.nii.gz")
    assert nib.load(tmp_path / "mask.nii.gz").get_data_dtype() == np.uint8


def test_what_can_not_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    for path, word in ((tmp_path / "a.png", "suffix"), (tmp_path / "no" / "a.nii.gz", "does not exist")):
        with pytest.raises(InputError, match=word):
            write_image(phantom(), path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("limit", [0, 400, 30_000])
def test_a_full_disk_is_told_and_leaves_no_half_file(tmp_path: Path, name: str, limit: int) -> None:
    script = (
        "import resource, sys, numpy as np\n"
        "from StrokeSegLib.errors import InputError\n"
        "from StrokeSegLib.io import write_image\n"
        "from StrokeSegLib.volume import Volume\n"
        "noise = Volume(np.random.default_rng(0).random((10, 40, 50), np.float32))\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "try:\n    write_image(noise, sys.argv[1])\n"
        "except InputError as error:\n    sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / name)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"disk full while writing into {tmp_path}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


LESION = Segment(
    1,
    "Ischemic lesion",
    (230, 100, 51),
    "Stroke~SCT^49755003^Morphology~SCT^52988006^Lesion~^^~~^^~^^",
    "StrokeSeg mri 1.0",
)
BLEED = Segment(
    2,
    "Hemorrhage",
    (255, 0, 0),
    "Stroke~SCT^49755003^Morphology~SCT^50960005^Hemorrhage~^^~~^^~^^",
    "StrokeSeg mri 1.0",
)


def test_a_segmentation_carries_what_slicer_reads(tmp_path: Path) -> None:
    labels = phantom("u1").with_array((np.arange(120).reshape(6, 5, 4) % 3).astype(np.int16))
    write_segmentation(labels, tmp_path / "lesion.seg.nrrd", [LESION, BLEED])
    image = sitk.ReadImage(tmp_path / "lesion.seg.nrrd")
    found = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith("Segment")}
    assert image.GetPixelID() == sitk.sitkUInt8
    assert found["Segment0_ID"] == "Segment_1"
    assert found["Segment1_Name"] == "Hemorrhage"
    assert found["Segment0_Color"] == "0.901961 0.392157 0.2"
    assert found["Segment1_LabelValue"] == "2"
    assert found["Segment0_Layer"] == found["Segment1_Layer"] == "0"
    assert found["Segment0_Extent"] == "0 3 0 4 0 5"
    assert f"TerminologyEntry:{LESION.terminology}|" in found["Segment0_Tags"]
    assert "DICOM.SegmentAlgorithmType:AUTOMATIC|" in found["Segment0_Tags"]
    assert "DICOM.SegmentAlgorithmName:StrokeSeg mri 1.0|" in found["Segment0_Tags"]
    assert found["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert found["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"
    assert b"space: left-posterior-superior" in (tmp_path / "lesion.seg.nrrd").read_bytes()[:400]
    back = read_image(tmp_path / "lesion.seg.nrrd").volume
    assert back.same_grid(labels)
    assert np.array_equal(back.array, labels.array)


def test_a_name_can_not_break_the_header_of_a_segmentation(tmp_path: Path) -> None:
    odd = Segment(1, "two\nlines", (0, 0, 0), "a|b", "c")
    write_segmentation(phantom("u1").with_array(np.ones((6, 5, 4), np.uint8)), tmp_path / "a.seg.nrrd", [odd])
    image = sitk.ReadImage(tmp_path / "a.seg.nrrd")
    assert image.GetMetaData("Segment0_Name") == "two lines"
    assert image.GetMetaData("Segment0_Tags").endswith("TerminologyEntry:a/b|")


def test_a_label_without_a_segment_and_a_wrong_name_are_refused(tmp_path: Path) -> None:
    labels = phantom("u1").with_array(np.full((6, 5, 4), 2, np.uint8))
    with pytest.raises(InputError, match=r"labels \[2\] have no segment"):
        write_segmentation(labels, tmp_path / "a.seg.nrrd", [LESION])
    with pytest.raises(InputError, match=r"seg\.nrrd"):
        write_segmentation(labels, tmp_path / "a.nrrd", [LESION, BLEED])

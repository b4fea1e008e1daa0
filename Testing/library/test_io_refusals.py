"""Image files that are none, or broken, or of another kind: one clear line for each."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from io_phantoms import nifti_bytes, one_line, saved

from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.volume import Volume


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    one_line(tmp_path / "none.nii.gz", "does not exist", "check the path")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.dcm"])
def test_text_and_empty_files_with_an_image_name_are_refused(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    one_line(saved(tmp_path, b"dear doctor,\nhere is the scan\n", name))
    one_line(saved(tmp_path, b"", name), "empty")
    assert capfd.readouterr() == ("", "")


def test_other_files_are_refused_by_what_is_needed(tmp_path: Path) -> None:
    one_line(saved(tmp_path, b"\x89PNG\r\n\x1a\n", "a.png"), ".png", ".nii.gz", "DICOM")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("part", [0.5, 0.999, 0.01])
def test_a_file_cut_short_is_refused_and_nothing_is_printed(
    tmp_path: Path, name: str, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 1000, (8, 20, 30)).astype(np.int16)
    write_image(Volume(noise), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * part)])
    one_line(tmp_path / name)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_damaged_compressed_voxels_are_refused(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).integers(0, 1000, (8, 20, 30)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(noise), tmp_path / name, useCompression=True)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / name).write_bytes(content)
    one_line(tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_a_header_that_promises_more_than_any_disk_is_refused_without_trying(tmp_path: Path) -> None:
    one_line(saved(tmp_path, nifti_bytes(dim=(30000, 30000, 30000))), "cut short")
    one_line(saved(tmp_path, gzip.compress(nifti_bytes(dim=(30000, 30000, 30000))), "a.nii.gz"), "cut short")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (nifti_bytes(dim=(2, 0, 4), qform=(0,) * 6), ["size [2, 0, 4]"]),
        (nifti_bytes(sform=np.zeros((3, 4))), ["singular", "qform"]),
        (nifti_bytes(sform=np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]])), ["singular"]),
        (nifti_bytes(sform=np.array([[np.nan, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])), ["singular"]),
        (nifti_bytes(pixdim=(1, 0, 1, 1, 0, 0, 0, 0), qform=(0,) * 6), ["voxel sizes", "positive"]),
        (nifti_bytes(pixdim=(1, -1, 1, 1, 0, 0, 0, 0), qform=(0,) * 6), ["voxel sizes", "positive"]),
        (nifti_bytes(qform=(0.9, 0.9, 0, 0, 0, 0)), ["rotation"]),
        (nifti_bytes(qform=(0, 0, 0, np.nan, 0, 0)), ["rotation"]),
        (nifti_bytes(np.zeros((4, 3, 2, 3), "u1")[..., 0], datatype=128), ["RGB"]),
        (nifti_bytes(np.zeros((3, 1, 4, 3, 2), "f4"), datatype=16), ["3 numbers a voxel"]),
        (nifti_bytes(np.zeros((4, 3, 2), "c8"), datatype=32), ["complex"]),
    ],
    ids="size-0 sform-0 singular nan spacing-0 spacing-negative quaternion offset rgb vector complex".split(),
)
def test_a_header_that_is_no_scalar_grid_is_refused(tmp_path: Path, content: bytes, words: list[str]) -> None:
    one_line(saved(tmp_path, content), *words)


def text_header(**fields: str) -> bytes:
    """A .mha of 2 x 2 x 2 zeros."""
    header = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "0 0 0", "ElementSpacing": "1 1 1", "DimSize": "2 2 2",
        "ElementType": "MET_SHORT",
    } | fields  # fmt: skip
    return "".join(f"{k} = {v}\n" for k, v in header.items()).encode() + b"ElementDataFile = LOCAL\n" + bytes(16)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "singular"),
        ({"TransformMatrix": "1 0 0 0.3 1 0 0 0 1"}, "right angles"),
        ({"ElementSpacing": "1 1 0"}, "voxel size"),
        ({"DimSize": "2 2 0"}, "at least one voxel"),
        ({"DimSize": "2 2 1", "ElementNumberOfChannels": "2"}, "2 numbers a voxel"),
        ({"DimSize": "2 2 x"}, "header"),
    ],
)
def test_a_mha_header_that_is_no_scalar_grid_is_refused(tmp_path: Path, fields: dict[str, str], word: str) -> None:
    one_line(saved(tmp_path, text_header(**fields), "a.mha"), word)


@pytest.mark.parametrize("axes", ["(1,0,0) (1,0,0) (0,0,1)", "(0,0,0) (0,1,0) (0,0,1)", "(nan,0,0) (0,1,0) (0,0,1)"])
def test_a_nrrd_header_that_is_no_grid_is_refused(tmp_path: Path, axes: str) -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nendian: little\nencoding: raw\n"
        "space: left-posterior-superior\nspace origin: (0,0,0)\nkinds: domain domain domain\n"
        f"space directions: {axes}\n\n"
    )
    one_line(saved(tmp_path, header.encode() + bytes(16), "a.nrrd"))


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha"])
def test_nothing_but_nan_is_refused(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.full((2, 3, 4), np.nan, np.float32)), tmp_path / name)
    one_line(tmp_path / name, "all 24 voxels")


@pytest.mark.parametrize("name", ["dwi.nii.gz", "dwi.nii", "dwi.mha"])
def test_four_dimensions_are_refused_with_a_cure_that_works(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    b0, b1000 = np.full((3, 4, 5), 300, np.int16), np.full((3, 4, 5), 90, np.int16)
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(b0), sitk.GetImageFromArray(b1000)]), tmp_path / name)
    message = one_line(tmp_path / name, "2 volumes", "volume 0 (highest mean, 300) is likely the b0", "b1000")
    command = message[message.index("python -c ") :].replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert np.array_equal(read_image(tmp_path / "volume1.nii.gz").volume.array, b1000)


def test_color_is_refused(tmp_path: Path) -> None:
    color = sitk.GetImageFromArray(np.zeros((2, 3, 4, 3), np.uint8), isVector=True)
    for name in ("a.nii.gz", "a.nrrd", "a.mha"):
        sitk.WriteImage(color, tmp_path / name)
        one_line(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, nifti_bytes())
    path.chmod(0)
    one_line(path, "permission")


def test_a_series_can_not_be_asked_of_a_file(tmp_path: Path) -> None:
    one_line(f"{saved(tmp_path, nifti_bytes())}#1.2.3", "is a file", "#1.2.3")


def test_a_number_sign_in_a_file_name_is_part_of_the_name(tmp_path: Path) -> None:
    assert read_image(saved(tmp_path, nifti_bytes(), "scan#2.nii")).volume.array.max() == 23

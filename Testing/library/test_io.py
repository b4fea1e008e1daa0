"""Image files in and out: true positions and values for every kind of file, one clear line for every bad one."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import Segment, read_image, write_image, write_segmentation
from StrokeSegLib.volume import Volume

LPS = np.diag([-1.0, -1.0, 1.0])


def turned(degrees: float = 25.0) -> np.ndarray:
    """An oblique right-handed rotation about (1, 2, 3)."""
    axis = np.array([1.0, 2.0, 3.0]) / np.sqrt(14)
    cross = np.cross(np.eye(3), axis)
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def phantom(dtype: str = "i2", direction: np.ndarray | None = None) -> Volume:
    """4 x 5 x 6 voxels (i, j, k), every value different."""
    array = np.arange(120, dtype=dtype).reshape(6, 5, 4)
    return Volume(array, (0.9, 1.1, 5.0), (-31.25, 17.5, 8.125), turned() if direction is None else direction)


LEFT_HANDED = turned() @ np.diag([1.0, 1.0, -1.0])


def nifti_bytes(
    array: np.ndarray | None = None,
    *,
    dim: tuple[int, ...] | None = None,
    datatype: int = 4,
    pixdim: tuple[float, ...] = (1, 2, 2, 3, 0, 0, 0, 0),
    qform: tuple[float, ...] | None = None,
    sform: np.ndarray | None = None,
    scale: tuple[float, float] = (0.0, 0.0),
    units: int = 2,
    order: str = "<",
) -> bytes:
    """A NIfTI-1 file, field by field as the standard lays it out; array is (k, j, i), qform is (b, c, d, x, y, z)."""
    array = np.arange(24, dtype="i2").reshape(4, 3, 2) if array is None else array
    size = dim or array.shape[::-1]
    header = bytearray(352)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, len(size), *size, *[1] * (7 - len(size)))
    struct.pack_into(order + "hh", header, 70, datatype, 8 * array.dtype.itemsize)
    struct.pack_into(order + "8f", header, 76, *pixdim)
    struct.pack_into(order + "fff", header, 108, 352, *scale)
    header[123] = units
    struct.pack_into(order + "hh", header, 252, int(qform is not None), int(sform is not None))
    struct.pack_into(order + "6f", header, 256, *(qform or (0,) * 6))
    struct.pack_into(order + "12f", header, 280, *(np.zeros(12) if sform is None else np.ravel(sform)))
    header[344:348] = b"n+1\0"
    return bytes(header) + array.astype(array.dtype.newbyteorder(order)).tobytes()


def saved(folder: Path, content: bytes, name: str = "image.nii") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def one_line(path: Path | str, *words: str) -> str:
    """The error for a bad file: one line that names the file and holds the words."""
    with pytest.raises(InputError) as caught:
        read_image(path)
    message = str(caught.value)
    assert "\n" not in message
    assert Path(str(path).split("#")[0]).name in message
    assert "itk" not in message.lower().replace("simpleitk", "").replace(str(path).lower(), "")
    for word in words:
        assert word in message, message
    return message


# --- reading what is good ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [np.eye(3), LPS, turned(), LEFT_HANDED], ids=["lps", "ras", "oblique", "left"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_a_volume_comes_back_from_every_format_as_it_was(tmp_path: Path, name: str, direction: np.ndarray) -> None:
    volume = phantom(direction=direction)
    write_image(volume, tmp_path / name)
    reading = read_image(tmp_path / name)
    back = reading.volume
    assert back.array.dtype == np.int16
    assert np.array_equal(back.array, volume.array)
    corners = [(0, 0, 0), (3, 4, 5), (3, 0, 0), (0, 4, 0), (0, 0, 5)]
    assert back.ijk_to_lps(corners) == pytest.approx(volume.ijk_to_lps(corners), abs=1e-4)
    assert np.linalg.det(back.direction) == pytest.approx(np.linalg.det(direction), abs=1e-6)
    assert reading.warnings == ()
    assert reading.modality is None


@pytest.mark.parametrize("direction", [turned(), LEFT_HANDED], ids=["oblique", "left"])
def test_a_written_nifti_has_both_forms_and_nibabel_sees_the_same_places(tmp_path: Path, direction: np.ndarray) -> None:
    volume = phantom(direction=direction)
    write_image(volume, tmp_path / "a.nii.gz")
    image = nib.load(tmp_path / "a.nii.gz")
    assert int(image.header["sform_code"]) > 0
    assert int(image.header["qform_code"]) > 0
    for affine in (image.get_sform(), image.get_qform()):
        assert affine[:3] @ [3, 2, 4, 1] == pytest.approx(volume.ijk_to_ras([3, 2, 4]), abs=1e-4)
    assert np.asarray(image.dataobj)[3, 2, 4] == volume.array[4, 2, 3]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("handed", [1, -1])
def test_a_qform_places_voxels_where_nibabel_does(tmp_path: Path, order: str, handed: int) -> None:
    content = nifti_bytes(pixdim=(handed, 0.5, 2, 3, 0, 0, 0, 0), qform=(0.1, -0.3, 0.5, 10, -20, 30), order=order)
    path = saved(tmp_path, content)
    volume, image = read_image(path).volume, nib.load(path)
    assert volume.ijk_to_ras([1, 2, 3]) == pytest.approx(image.affine[:3] @ [1, 2, 3, 1], abs=1e-5)
    assert volume.array[3, 2, 1] == np.asarray(image.dataobj)[1, 2, 3] == 23
    assert np.sign(np.linalg.det(volume.direction)) == handed  # flipping both x and y keeps the hand


def test_nifti_2_is_read_as_nibabel_writes_it(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turned() * [1, 2, 3], (5, 6, 7)
    nib.save(nib.Nifti2Image(np.arange(24, dtype="u2").reshape(2, 3, 4), affine), tmp_path / "two.nii.gz")
    volume = read_image(tmp_path / "two.nii.gz").volume
    assert volume.array.dtype == np.uint16
    assert volume.array[3, 2, 1] == 23
    assert volume.ijk_to_ras([1, 2, 3]) == pytest.approx(affine[:3] @ [1, 2, 3, 1], abs=1e-6)


def test_a_file_in_meters_is_placed_in_mm(tmp_path: Path) -> None:
    sform = np.c_[np.diag([0.002, 0.002, 0.003]), [0.01, 0, 0]]
    volume = read_image(saved(tmp_path, nifti_bytes(sform=sform, units=1))).volume
    assert volume.spacing_mm == pytest.approx((2, 2, 3))
    assert volume.origin == pytest.approx((-10, 0, 0))


def test_forms_that_disagree_are_told_and_the_sform_is_used(tmp_path: Path) -> None:
    sform = np.c_[np.diag([2.0, 2, 3]), [0, 0, 40]]
    reading = read_image(saved(tmp_path, nifti_bytes(sform=sform, qform=(0, 0, 0, 0, 0, 37))))
    assert reading.volume.origin == pytest.approx((0, 0, 40))
    assert "differ by 3.0 mm" in reading.warnings[0]


def test_a_sheared_sform_gives_way_to_the_qform(tmp_path: Path) -> None:
    sform = np.array([[2, 0.5, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0]])
    reading = read_image(saved(tmp_path, nifti_bytes(sform=sform, qform=(0, 0, 0, 1, 2, 3))))
    assert reading.volume.ijk_to_ras([0, 0, 0]) == pytest.approx((1, 2, 3))
    assert "sheared" in reading.warnings[0]
    one_line(saved(tmp_path, nifti_bytes(sform=sform)), "right angles", "resample")


def test_a_nifti_without_orientation_is_read_with_a_warning(tmp_path: Path) -> None:
    reading = read_image(saved(tmp_path, nifti_bytes()))
    assert reading.volume.spacing_mm == (2, 2, 3)
    assert "left and right are a guess" in reading.warnings[0]


def test_gzip_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    assert read_image(saved(tmp_path, nifti_bytes(), "plain.nii.gz")).volume.array.max() == 23
    assert read_image(saved(tmp_path, gzip.compress(nifti_bytes()), "zipped.nii")).volume.array.max() == 23


def test_the_rescale_of_a_nifti_is_applied(tmp_path: Path) -> None:
    volume = read_image(saved(tmp_path, nifti_bytes(scale=(0.5, -1000)))).volume
    assert volume.array.dtype == np.float32
    assert volume.array[0, 0, 1] == -999.5
    assert volume.array[3, 2, 1] == -988.5
    assert read_image(saved(tmp_path, nifti_bytes(scale=(1, 0)))).volume.array.dtype == np.int16
    assert read_image(saved(tmp_path, nifti_bytes(scale=(float("nan"), 0)))).volume.array.dtype == np.int16


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_doubles_become_single_floats(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.full((2, 3, 4), 0.1)), tmp_path / name)
    assert read_image(tmp_path / name).volume.array.dtype == np.float32


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"])
def test_a_single_slice_keeps_its_thickness_and_place(tmp_path: Path, name: str) -> None:
    volume = Volume(np.ones((1, 3, 4), np.float32), (1, 1, 5), (1, 2, 3), turned())
    write_image(volume, tmp_path / name)
    back = read_image(tmp_path / name).volume
    assert back.array.shape == (1, 3, 4)
    assert back.spacing_mm == pytest.approx((1, 1, 5))
    assert back.same_grid(volume)


@pytest.mark.parametrize("name", ["flat.nii", "flat.nrrd", "flat.mha"])
def test_a_two_dimensional_image_is_a_volume_of_one_slice(tmp_path: Path, name: str) -> None:
    image = sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4))
    image.SetSpacing((0.5, 2))
    sitk.WriteImage(image, tmp_path / name)
    volume = read_image(tmp_path / name).volume
    assert volume.array.shape == (1, 3, 4)
    assert volume.spacing_mm == (0.5, 2, 1)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_a_fourth_axis_of_one_is_dropped(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(np.ones((2, 3, 4), np.int16))]), tmp_path / name)
    assert read_image(tmp_path / name).volume.array.shape == (2, 3, 4)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha"])
def test_some_nan_and_infinities_become_zero_with_their_count(tmp_path: Path, name: str) -> None:
    array = np.ones((4, 5, 5), np.float32)
    array[0, 0, :2], array[3, 1, 1] = np.nan, np.inf
    sitk.WriteImage(sitk.GetImageFromArray(array), tmp_path / name)
    reading = read_image(tmp_path / name)
    assert reading.volume.array.sum() == 97
    assert "3 voxels (3%)" in reading.warnings[-1]


@pytest.mark.data
def test_sequences_of_one_patient_keep_their_own_grids(data: Path) -> None:
    case = data / "cases" / "dwi-adc-flair-mha"
    dwi, flair = read_image(case / "dwi.mha").volume, read_image(case / "flair.mha").volume
    assert dwi.spacing_mm == pytest.approx((1.797, 1.797, 4.8), abs=0.001)
    assert flair.spacing_mm == pytest.approx((0.859, 0.859, 6.0), abs=0.001)


@pytest.mark.data
@pytest.mark.parametrize(
    "case", ["dwi-adc-isles22-0001/dwi.nii.gz", "dwi-adc-isles22-0003/adc.nii.gz", "t2-chronic/T2.nii"]
)
def test_real_nifti_files_are_placed_where_nibabel_places_them(data: Path, case: str) -> None:
    volume, image = read_image(data / "cases" / case).volume, nib.load(data / "cases" / case)
    i, j, k = (n - 1 for n in image.shape)
    assert volume.ijk_to_ras([i, j, k]) == pytest.approx(image.affine[:3] @ [i, j, k, 1], abs=1e-3)
    assert np.allclose(volume.array.T, np.asarray(image.dataobj), rtol=1e-6)


# --- reading what is bad ----------------------------------------------------------------------------------------------


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


# --- writing ----------------------------------------------------------------------------------------------------------


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


# --- memory -----------------------------------------------------------------------------------------------------------


def test_reading_a_volume_needs_little_more_memory_than_the_volume(tmp_path: Path) -> None:
    """64 MB of int16 (a quarter of 512 x 512 x 500), zipped: the peak stays under three times that."""
    array = np.zeros((128, 512, 512), np.int16)
    array[::7] = 40
    write_image(Volume(array), tmp_path / "big.nii.gz")
    script = (
        "import sys, resource; from StrokeSegLib.io import read_image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "read_image(sys.argv[1])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "big.nii.gz")], capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 3 * array.nbytes

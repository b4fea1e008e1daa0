"""Case tables: what is written comes back, what is wrong is said with its line, and all bad cases are found at once."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from StrokeSegLib.case_table import Case, check_cases, read_case_table, write_case_table
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import write_image
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.volume import Volume

#: A pair that needs both, whatever else the bundled system takes.
MRI = replace(SYSTEMS["mri"], required=("dwi", "adc"), optional=(), minimum_inputs=2, choose_inputs=None)
SHAPE = (4, 6, 8)


def table(folder: Path, text: str | bytes, name: str = "cases.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def fails(path: Path, *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        read_case_table(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(path), *parts):
        assert part in message


def test_paths_are_relative_to_the_table(tmp_path: Path) -> None:
    text = "case_id,patient_id,dwi,adc,lesion,split\na,p1,img/a.nii.gz,/data/adc.nii.gz,,train\nb,p2,b.nii,,m.nii,\n"
    one, two = read_case_table(table(tmp_path, text))
    assert one == Case("a", "p1", {"dwi": tmp_path / "img/a.nii.gz", "adc": Path("/data/adc.nii.gz")}, None, "train")
    assert two == Case("b", "p2", {"dwi": tmp_path / "b.nii"}, tmp_path / "m.nii", None)


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfcase_id;patient_id;dwi\r\na;p1;a.nii\r\n;;\r\n\r\n",  # Excel, most of Europe
        b"sep=;\r\ncase_id;patient_id;dwi\r\na;p1;a.nii\r\n",
        "case_id\tpatient_id\tdwi\r\na\tp1\ta.nii\r\n".encode("utf-16"),  # Excel, "Unicode text"
        b'"Case_ID","Patient_ID", DWI ,,\n"a",p1, a.nii ,,\n',
        b"case_id,patient_id,dwi\ra,p1,a.nii\r",  # old Macintosh
    ],
)
def test_excels_ways_of_writing_are_read(tmp_path: Path, text: bytes) -> None:
    assert read_case_table(table(tmp_path, text)) == (Case("a", "p1", {"dwi": tmp_path / "a.nii"}),)


def test_wrong_headers_are_said(tmp_path: Path) -> None:
    fails(table(tmp_path, "case_id,dwi\na,a.nii\n"), "line 1", "the column patient_id is missing")
    fails(table(tmp_path, "case_id,patient_id,dwi,age\n"), "line 1", "no column is called age", "tmax")
    fails(table(tmp_path, "case_id,patient_id,dwi,dwi\n"), "dwi comes twice")
    fails(table(tmp_path, "case_id,patient_id,lesion\n"), "a column for a role is needed")
    fails(table(tmp_path, "\n\ncase_id,patient_id,flare\na,p,x\n"), "line 3", "flare")
    fails(table(tmp_path, ""), "is empty")
    fails(table(tmp_path, "case_id,patient_id,dwi\n"), "no cases")


def test_all_wrong_lines_are_said_at_once_with_their_numbers(tmp_path: Path) -> None:
    text = (
        "case_id,patient_id,dwi,split\n"
        "a,p1,a.nii,train\n"
        "A,p1,b.nii,train\n"  # the same folder on Windows and macOS
        ",p2,c.nii,\n"
        "d,,d.nii,\n"
        "e,p3,,\n"
        "f/g,p3,f.nii,\n"
        "h,p4,h.nii,validation\n"
        "i,p4,i.nii,train,too,much\n"
    )
    fails(
        table(tmp_path, text),
        "line 3: case_id 'A' is already on line 2",
        "line 4: case_id is empty",
        "line 5: patient_id is empty",
        "line 6: no image",
        "line 7: case_id 'f/g' can not be a folder's name",
        "line 8: split is 'validation', needed train, val, test",
        "line 9 has 6 cells, the header 4",
    )


def test_a_file_that_is_no_table_is_said(tmp_path: Path) -> None:
    fails(tmp_path / "absent.csv", "can not be read", "check the path")
    fails(table(tmp_path, b"PK\x03\x04rest"), "Excel workbook", "CSV UTF-8")
    fails(table(tmp_path, b"case_id,patient_id,dwi\nM\xfcller,p,a.nii\n"), "line 2 is not UTF-8", "0xfc")
    fails(table(tmp_path, b"case_id,patient_id,dwi\n\0\n"), "binary")
    fails(table(tmp_path, 'case_id,patient_id,dwi\na,p,"a.nii\nb,p,b.nii\n'), "line 3", "quotes")


def test_what_is_written_comes_back_and_survives_a_move(tmp_path: Path) -> None:
    cases = (
        Case("a", "p,1", {"dwi": tmp_path / "set/images/a b.nii.gz"}, tmp_path / "truth/a.nii.gz", "val"),
        Case("b", 'p"2', {"adc": tmp_path / "set/b.nii", "dwi": tmp_path / "set/c.nii"}),
    )
    path = tmp_path / "set" / "cases.csv"
    write_case_table(cases, path)
    assert path.read_text().splitlines()[0] == "case_id,patient_id,dwi,adc,lesion,split"
    assert "images/a b.nii.gz" in path.read_text()
    assert str(tmp_path) not in path.read_text()
    assert [
        replace(c, images=_normal(c.images), lesion=c.lesion and _plain(c.lesion)) for c in read_case_table(path)
    ] == [*cases]
    (tmp_path / "set").rename(tmp_path / "moved")
    assert read_case_table(tmp_path / "moved" / "cases.csv")[1].images["dwi"] == tmp_path / "moved/c.nii"
    assert sorted(p.name for p in (tmp_path / "moved").iterdir()) == ["cases.csv"]


def _plain(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _normal(images: object) -> dict[str, Path]:
    return {role: _plain(path) for role, path in dict(images).items()}  # type: ignore[call-overload]


NAMES = st.text("abcdefgh0123456789-_ä", min_size=1, max_size=8)


@given(st.lists(st.tuples(NAMES, NAMES, st.sampled_from([None, "train", "val", "test"])), min_size=1, max_size=6))
def test_any_table_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("t")
    by_id = {name.casefold(): (name, patient, split) for name, patient, split in rows}
    cases = tuple(Case(n, p, {"ct": folder / f"{n}.nii"}, folder / f"{n}.nii", s) for n, p, s in by_id.values())
    write_case_table(cases, folder / "cases.csv")
    assert read_case_table(folder / "cases.csv") == cases


def test_cases_that_would_not_come_back_are_not_written(tmp_path: Path) -> None:
    image = {"dwi": tmp_path / "a.nii"}
    with pytest.raises(InputError, match="a: its case_id comes twice") as caught:
        write_case_table(
            [Case("a", "p", image), Case("a", "p", image), Case("b", "", {"pet": tmp_path})], tmp_path / "t"
        )
    assert "b: patient_id is empty" in str(caught.value)
    assert "b: no role is called pet" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can not be written"):
        write_case_table([Case("a", "p", image)], tmp_path / "file" / "cases.csv")


# Checks of the files behind a table.


def save(path: Path, array: np.ndarray, origin: float = 0.0, spacing: float = 2.0) -> Path:
    write_image(Volume(array, (spacing, spacing, spacing), (origin, 0.0, 0.0)), path)
    return path


def good_case(folder: Path, name: str, value: int = 1) -> Case:
    images = {role: save(folder / f"{name}-{role}.nii.gz", np.ones(SHAPE, np.int16)) for role in ("dwi", "adc")}
    mask = np.zeros(SHAPE, np.uint8)
    mask[1, 2, 3] = value
    return Case(name, f"p-{name}", images, save(folder / f"{name}-lesion.nii.gz", mask))


def test_good_cases_pass_without_a_note(tmp_path: Path) -> None:
    told = []
    cases = [good_case(tmp_path, name) for name in "ab"]
    assert check_cases(cases, MRI, progress=lambda *words: told.append(words)) == ()
    assert told == [("check", 0, 2), ("check", 1, 2), ("check", 2, 2)]


def test_every_bad_case_is_in_one_error(tmp_path: Path) -> None:
    cases = {
        name: good_case(tmp_path, name) for name in ("fine", "gone", "grid", "shift", "value", "role", "truth", "far")
    }
    cases["gone"].images["adc"].unlink()
    save(cases["grid"].lesion, np.ones((4, 6, 7), np.uint8))
    save(cases["shift"].lesion, np.ones(SHAPE, np.uint8), origin=1.0)  # half a voxel: the same shape, another place
    save(cases["value"].lesion, np.full(SHAPE, 255, np.uint8))
    cases["role"] = replace(cases["role"], images={"dwi": cases["role"].images["dwi"]})
    cases["truth"] = replace(cases["truth"], lesion=None)
    save(cases["far"].images["adc"], np.ones(SHAPE, np.int16), origin=500.0)
    with pytest.raises(InputError) as caught:
        check_cases(tuple(cases.values()), MRI)
    message = str(caught.value)
    for part in (
        "7 of 8 cases can not be used for mri",
        f"gone: adc: {cases['gone'].images['adc']} does not exist",
        "grid: the mask (7x6x4 of 2x2x2 mm) is on the grid of none of the images (dwi 8x6x4",
        "shift: the mask (8x6x4 of 2x2x2 mm) is on the grid of none of the images "
        "(dwi 8x6x4 of 2x2x2 mm, up to 1 mm away",
        "value: the mask holds 255, needed 0 and 1 ischemic lesion",
        "role: has no adc, which mri requires",
        "truth: has no lesion mask",
        "far: adc does not overlap dwi in space",
    ):
        assert part in message
    assert "fine" not in message
    assert "\n" not in message


def test_images_on_other_grids_are_handled_and_noted(tmp_path: Path) -> None:
    cases = [good_case(tmp_path, name) for name in "ab"]
    for case in cases:
        save(case.images["adc"], np.ones((8, 12, 16), np.int16), spacing=1.0)
    (note,) = check_cases(cases, MRI)
    assert note == "adc lies on another grid than dwi and is resampled by physical position in 2 case(s): a, b"
    # A mask that was drawn on the other image is as good.
    save(cases[0].lesion, np.ones((8, 12, 16), np.uint8), spacing=1.0)
    check_cases(cases, MRI)
    # And so is one that was drawn on an image that this system does not read.
    flair = save(tmp_path / "flair.nii.gz", np.ones((5, 5, 5), np.int16), spacing=2.5)
    save(cases[0].lesion, np.ones((5, 5, 5), np.uint8), spacing=2.5)
    check_cases([replace(cases[0], images={**cases[0].images, "flair": flair}), cases[1]], MRI)


def test_empty_masks_mean_healthy_unless_all_are(tmp_path: Path) -> None:
    cases = [good_case(tmp_path, name, value) for name, value in (("a", 0), ("b", 1), ("c", 0))]
    assert check_cases(cases, MRI) == ("2 of 3 cases have an empty mask and count as healthy: a, c",)
    with pytest.raises(InputError, match="all masks are empty, some with a lesion are needed"):
        check_cases([cases[0], cases[2]], MRI)


def test_a_system_of_which_any_input_will_do_counts_them(tmp_path: Path) -> None:
    case = good_case(tmp_path, "a")
    any_two = replace(MRI, required=(), optional=("flair", "dwi", "adc"), minimum_inputs=2)
    assert check_cases([case], any_two) == ()
    with pytest.raises(InputError, match="a: has adc of flair, dwi, adc, at least 2 needed"):
        check_cases([replace(case, images={"adc": case.images["adc"]})], any_two)


def test_the_settings_say_which_inputs_are_needed(tmp_path: Path) -> None:
    case = good_case(tmp_path, "a")
    assert check_cases([case], SYSTEMS["mri"], {"mode": "any"}) == ()
    with pytest.raises(InputError, match="a: has no flair, which mri requires"):
        check_cases([case], SYSTEMS["mri"], {"mode": "single", "sequence": "flair"})


def test_fractions_in_a_mask_are_refused(tmp_path: Path) -> None:
    case = good_case(tmp_path, "a")
    save(case.lesion, np.full(SHAPE, 0.5, np.float32))
    with pytest.raises(InputError, match=r"the mask holds 0\.5, needed 0 and 1"):
        check_cases([case], MRI)
    save(case.lesion, np.ones(SHAPE, np.float32))  # whole numbers stored as floats are fine
    check_cases([case], MRI)


def test_a_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    cases = [replace(good_case(tmp_path, n), patient_id="p", split=s) for n, s in (("a", "train"), ("b", "val"))]
    with pytest.raises(InputError, match="patient p is in train and val, every patient belongs to one split"):
        check_cases(cases, MRI)
    check_cases([replace(case, split="train") for case in cases], MRI)


def test_without_truth_only_where_none_is_needed(tmp_path: Path) -> None:
    case = replace(good_case(tmp_path, "a"), lesion=None)
    assert check_cases([case], MRI, need_lesion=False) == ()
    with pytest.raises(InputError, match="no lesion mask"):
        check_cases([case], MRI)


def test_a_damaged_or_4d_image_is_said_in_the_readers_words(tmp_path: Path) -> None:
    one, two = good_case(tmp_path, "a"), good_case(tmp_path, "b")
    one.images["dwi"].write_bytes(b"no image at all")
    series = sitk.GetImageFromArray(np.ones((3, *SHAPE), np.int16), isVector=False)
    sitk.WriteImage(series, str(two.images["dwi"]))
    with pytest.raises(InputError) as caught:
        check_cases([one, two], MRI)
    assert f"a: dwi: {one.images['dwi']} " in str(caught.value)
    assert "holds 3 volumes" in str(caught.value)


def test_hundreds_of_cases_take_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = save(tmp_path / "image.nii.gz", rng.integers(0, 999, (30, 128, 128)).astype(np.int16))
    mask = np.zeros((30, 128, 128), np.uint8)
    mask[10:14, 40:60, 40:60] = 1
    lesion = save(tmp_path / "lesion.nii.gz", mask)
    cases = [Case(f"c{n}", f"p{n}", {"dwi": image, "adc": image}, lesion) for n in range(200)]
    started_s = time.process_time()  # of this process alone, whatever else the machine does
    check_cases(cases, MRI)
    assert time.process_time() - started_s < 10


def test_truth_of_another_kind_is_background_to_a_system(tmp_path: Path) -> None:
    """A set of generated CTs with infarcts (1) and blood (2) trains a system of infarcts."""
    from StrokeSegLib.systems import SYSTEMS
    from StrokeSegLib.training.dataset import prepare_case

    rng = np.random.default_rng(0)
    hu = np.full((4, 32, 32), -1000.0, np.float32)
    hu[:, 4:28, 4:28] = 1000.0
    hu[:, 7:25, 7:25] = rng.normal(32, 3, (4, 18, 18))
    mask = np.zeros(hu.shape, np.uint8)
    mask[:, 8:12, 8:12], mask[:, 18:22, 18:22] = 1, 2
    spacing = (6.0, 6.0, 6.0)
    for name, array in (("ct", hu), ("truth", mask)):
        write_image(Volume(array, spacing), tmp_path / f"{name}.nii.gz")
    case = Case("a", "a", {"ct": tmp_path / "ct.nii.gz"}, tmp_path / "truth.nii.gz", None)
    check_cases([case], SYSTEMS["noncontrast-ct"])
    prepared = prepare_case(
        "a", SYSTEMS["noncontrast-ct"], {"ct": Volume(hu, spacing)}, Volume(mask, spacing), {"in_plane_mm": 6.0}
    )
    assert prepared.target.shape[0] == 1
    assert (prepared.target > 127).sum() == (mask == 1).sum()

"""Readers of public layouts, on generated folders of the real shape with tiny images in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from StrokeSegLib.case_table import Case, check_cases, read_case_table
from StrokeSegLib.cli import main
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import write_image
from StrokeSegLib.readers import (
    LAYOUTS,
    detect_layout,
    read_bids,
    read_isles2015,
    read_isles2018,
    read_isles2022,
    read_layout,
    read_nnunet,
    with_patients,
)
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.volume import Volume


def image(path: Path, *, lesion: bool = False, spacing: float = 2.0, size: int = 6) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros((3, size, size), np.uint8)
    array[1, 2, 2] = 1
    whole = array if lesion else np.full(array.shape, 100, np.int16)
    write_image(Volume(whole, (spacing, spacing, 4.0)), path)
    return path


def siss(folder: Path, numbers: tuple[int, ...] = (1, 2, 28)) -> Path:
    serial = 70600
    for number in numbers:
        for kind in ("MR_DWI", "MR_Flair", "MR_T1", "MR_T2", "OT"):
            serial += 1
            name = f"VSD.Brain.XX.O.{kind}.{serial}"
            image(folder / str(number) / name / f"{name}.nii", lesion=kind == "OT")
    (folder / "License.txt").write_text("")
    return folder


def perfusion(folder: Path, spacing_of: dict[int, float]) -> Path:
    serial = 345560
    for number, spacing in spacing_of.items():
        for kind in ("CT", "CT_4DPWI", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax", "OT"):
            serial += 1
            name = f"SMIR.Brain.XX.O.{kind}.{serial}"
            image(folder / f"case_{number}" / name / f"{name}.nii", lesion=kind == "OT", spacing=spacing)
    return folder


def strokecases(folder: Path, count: int = 2) -> Path:
    for n in range(1, count + 1):
        name = f"sub-strokecase{n:04d}"
        stem = f"{name}_ses-0001"
        image(folder / name / "ses-0001" / "dwi" / f"{stem}_dwi.nii.gz")
        image(folder / name / "ses-0001" / "dwi" / f"{stem}_adc.nii.gz")
        image(folder / name / "ses-0001" / "anat" / f"{stem}_FLAIR.nii.gz", spacing=1.0, size=12)
        (folder / name / "ses-0001" / "anat" / f"{stem}_FLAIR.json").write_text("{}")
        image(folder / "derivatives" / name / "ses-0001" / f"{stem}_msk.nii.gz", lesion=True)
    return folder


def nnunet(folder: Path, facts: dict[str, object] | None = None) -> Path:
    for name in ("stroke_001", "stroke_002"):
        for channel in (0, 1):
            image(folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz")
        image(folder / "labelsTr" / f"{name}.nii.gz", lesion=True)
    given = facts or {"channel_names": {"0": "DWI", "1": "ADC"}, "labels": {"background": 0, "lesion": 1}}
    (folder / "dataset.json").write_text(json.dumps({"numTraining": 2, "file_ending": ".nii.gz", **given}))
    return folder


def ids(cases: tuple[Case, ...]) -> list[tuple[str, str]]:
    return [(case.case_id, case.patient_id) for case in cases]


def test_isles_2015(tmp_path: Path) -> None:
    cases = read_isles2015(siss(tmp_path / "SISS2015_Training"))
    assert ids(cases) == [("siss-01", "siss-01"), ("siss-02", "siss-02"), ("siss-28", "siss-28")]
    assert list(cases[0].images) == ["dwi", "flair", "t1", "t2"]
    assert cases[0].images["flair"].name == "VSD.Brain.XX.O.MR_Flair.70602.nii"
    assert cases[0].lesion is not None
    assert cases[0].lesion.name == "VSD.Brain.XX.O.OT.70605.nii"
    assert read_isles2015(tmp_path) == cases  # the folder above will do
    check_cases(cases, SYSTEMS["mri"], {"mode": "any"})


def test_isles_2015_test_cases_have_no_truth_and_missing_files_are_all_named(tmp_path: Path) -> None:
    folder = siss(tmp_path, (1, 2))
    for file in (folder / "1").glob("*OT*/*"):
        file.unlink()
    assert [case.lesion is None for case in read_isles2015(folder)] == [True, False]
    next((folder / "1").glob("*T1*/*")).unlink()
    again = next((folder / "2").glob("*DWI*/*"))
    again.with_name("VSD.Brain.XX.O.MR_DWI.99999.nii").write_bytes(again.read_bytes())
    with pytest.raises(InputError, match="1 has no file of kind MR_T1; 2 has several files of kind MR_DWI"):
        read_isles2015(folder)


def test_isles_2018_takes_the_patients_from_the_challenges_list(tmp_path: Path) -> None:
    cases = read_isles2018(perfusion(tmp_path / "TRAINING", {2: 0.9, 1: 0.8, 10: 0.9, 60: 1.0, 61: 1.0}))
    assert [case.case_id for case in cases] == ["case-001", "case-002", "case-010", "case-060", "case-061"]
    assert list(cases[0].images) == ["ct", "cbf", "cbv", "mtt", "tmax"]
    assert all("4DPWI" not in path.name for path in cases[0].images.values())
    check_cases(cases, SYSTEMS["ct-perfusion"])
    # Without the list: 60 and 61 follow each other and have the same pixels; 1 and 2 have not, 2 and 10 do not follow.
    assert len({case.patient_id for case in cases}) == 4
    assert cases[3].patient_id == cases[4].patient_id
    listed = tmp_path / "list.csv"
    listed.write_text("case;patient\ncase_1;1_A\n2;1_B\ncase-010;7\n60;39_A\n61;39 B\n")
    assert [p for _, p in ids(with_patients(cases, listed))] == ["1", "1", "7", "39", "39"]


def test_a_list_of_patients_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    cases = (Case("case-001", "x", {}), Case("case-002", "y", {}))
    listed = tmp_path / "list.csv"
    listed.write_text("case_1,1_A\n")
    with pytest.raises(InputError, match="names no patient for case-002"):
        with_patients(cases, listed)
    listed.write_text("case_1,1_A\ncase_2\n")
    with pytest.raises(InputError, match="line 2 has the cells"):
        with_patients(cases, listed)
    listed.write_text("case_1,1_A\n1,2\n")
    with pytest.raises(InputError, match="line 2: case 1 is already of patient 1"):
        with_patients(cases, listed)
    with pytest.raises(InputError, match="can not be read"):
        with_patients(cases, tmp_path / "absent.csv")


def test_isles_2022(tmp_path: Path) -> None:
    cases = read_isles2022(strokecases(tmp_path / "ISLES-2022"))
    assert ids(cases) == [("strokecase0001", "strokecase0001"), ("strokecase0002", "strokecase0002")]
    assert set(cases[0].images) == {"dwi", "adc", "flair"}
    assert cases[0].lesion is not None
    assert cases[0].lesion.name == "sub-strokecase0001_ses-0001_msk.nii.gz"
    assert read_isles2022(tmp_path) == cases
    check_cases(cases, SYSTEMS["mri"])
    next((tmp_path / "ISLES-2022").glob("sub-*2/*/dwi/*_dwi*")).unlink()
    with pytest.raises(InputError, match="sub-strokecase0002_ses-0001 has no dwi"):
        read_isles2022(tmp_path)


def test_bids(tmp_path: Path) -> None:
    raw = tmp_path / "raw_data"
    image(raw / "sub-01" / "ses-a" / "anat" / "sub-01_ses-a_T1w.nii.gz")
    image(raw / "sub-01" / "ses-b" / "anat" / "sub-01_ses-b_acq-tse_T2w.nii")
    image(raw / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz")
    image(raw / "sub-03" / "func" / "sub-03_bold.nii.gz")
    masks = tmp_path / "derivatives" / "lesions"
    image(masks / "sub-01" / "ses-b" / "anat" / "sub-01_ses-b_label-L_desc-lesion_mask.nii.gz", lesion=True)
    image(masks / "sub-01" / "ses-b" / "anat" / "sub-01_ses-b_desc-brain_mask.nii.gz", lesion=True)
    image(masks / "sub-01" / "ses-b" / "anat" / "sub-01_ses-b_label-CSF_mask.nii.gz", lesion=True)
    cases = read_bids(tmp_path)
    assert ids(cases) == [("sub-01_ses-a", "sub-01"), ("sub-01_ses-b", "sub-01"), ("sub-02", "sub-02")]
    assert [list(case.images) for case in cases] == [["t1"], ["t2"], ["flair"]]
    assert cases[0].lesion is None
    assert cases[1].lesion is not None
    assert "desc-lesion" in cases[1].lesion.name
    image(raw / "sub-02" / "anat" / "sub-02_run-2_FLAIR.nii.gz")
    with pytest.raises(InputError, match="sub-02 has 2 files for flair"):
        read_bids(tmp_path)


def test_bids_without_an_image_that_is_known(tmp_path: Path) -> None:
    image(tmp_path / "sub-03" / "func" / "sub-03_bold.nii.gz")
    with pytest.raises(InputError, match="holds no image that ends in _dwi"):
        read_bids(tmp_path)


def test_nnunet(tmp_path: Path) -> None:
    cases = read_nnunet(nnunet(tmp_path / "Dataset001_STROKE"))
    assert ids(cases) == [("stroke_001", "stroke_001"), ("stroke_002", "stroke_002")]
    assert {role: path.name for role, path in cases[0].images.items()} == {
        "dwi": "stroke_001_0000.nii.gz",
        "adc": "stroke_001_0001.nii.gz",
    }
    check_cases(cases, SYSTEMS["mri"])
    # Version 1 of the format: other names, and labels turned round.
    one = {"modality": {"0": "T1w", "1": "FLAIR"}, "labels": {"0": "background", "1": "stroke"}}
    assert list(read_nnunet(nnunet(tmp_path / "Task01_STROKE", one))[0].images) == ["t1", "flair"]


def test_an_nnunet_folder_that_means_something_else_is_refused(tmp_path: Path) -> None:
    def fails(words: str, **facts: object) -> None:
        with pytest.raises(InputError, match=words):
            read_nnunet(nnunet(tmp_path, facts or None))

    roles = {"0": "DWI", "1": "ADC"}
    fails("calls channel 1 'noNorm', needed one role", channel_names={"0": "DWI", "1": "noNorm"})
    fails("calls channel 1 'dwi', needed one role", channel_names={"0": "DWI", "1": "dwi"})
    fails("has no channel_names", labels={"background": 0})
    fails("label 'hemorrhage' the value 1", channel_names=roles, labels={"background": 0, "hemorrhage": 1})
    fails("label 'lesion' the value 4", channel_names=roles, labels={"background": 0, "lesion": 4})
    (tmp_path / "imagesTr" / "stroke_001_0001.nii.gz").unlink()
    (tmp_path / "labelsTr" / "stroke_002.nii.gz").unlink()
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": roles}))
    with pytest.raises(InputError, match=r"stroke_001 has no adc; stroke_002 has no labelsTr/stroke_002\.nii\.gz"):
        read_nnunet(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match="can not be read as JSON"):
        read_nnunet(tmp_path)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("layouts")
    image(root / "bids" / "sub-1" / "anat" / "sub-1_T1w.nii.gz")
    return {
        "isles2015": siss(root / "SISS2015_Training", (1, 2)),
        "isles2018": perfusion(root / "TRAINING", {1: 0.8}),
        "isles2022": strokecases(root / "ISLES-2022", 1),
        "nnunet": nnunet(root / "Dataset001"),
        "bids": root / "bids",
    }


def test_each_layout_is_known_by_its_folder(folders: dict[str, Path]) -> None:
    assert set(folders) == set(LAYOUTS)
    assert {name: detect_layout(folder) for name, folder in folders.items()} == {name: name for name in folders}


@pytest.mark.parametrize("asked", sorted(LAYOUTS))
def test_a_folder_of_another_layout_is_told_which_it_looks_like(folders: dict[str, Path], asked: str) -> None:
    for name, folder in folders.items():
        if name == asked or (name, asked) == ("isles2022", "bids"):  # ISLES 2022 is BIDS
            assert read_layout(folder, asked)[1]
            continue
        with pytest.raises(InputError, match=f"is no folder of layout {asked}, it looks like {name}"):
            read_layout(folder, asked)


def test_the_command_writes_a_table(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "cases.csv"
    assert main(["cases", str(folders["isles2015"]), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "2 cases of 2 patients from a folder of layout isles2015" in said.err
    cases = read_case_table(out)
    assert [case.case_id for case in cases] == ["siss-01", "siss-02"]
    assert all(path.is_file() for case in cases for path in (*case.images.values(), case.lesion) if path)
    assert main(["cases", str(folders["isles2015"]), "--out", str(out)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["cases", str(folders["isles2015"]), "--layout", "isles2015", "--out", str(out), "--force"]) == 0


def test_the_command_refuses_what_it_can_not_read(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cases.csv"
    for words, message in (
        ([str(tmp_path)], "has none of the layouts isles2015, isles2018"),
        ([str(tmp_path / "absent")], "is no folder"),
        ([str(folders["bids"]), "--layout", "kits"], "there is no layout 'kits'"),
        ([str(folders["bids"]), "--layout", "nnunet"], "it looks like bids"),
    ):
        assert main(["cases", *words, "--out", str(out)]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

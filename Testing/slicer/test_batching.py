"""Many cases: a table or a folder becomes cases, the command gets words that it knows, its summary becomes rows."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import generate_uid
from StrokeSegApp import batching
from StrokeSegApp.batching import BatchRun, Row
from StrokeSegApp.exporting import ExportRun
from StrokeSegApp.worker_client import RunError
from test_loading import writeSeries, writeTwoBValues

from StrokeSegLib.case_table import Case, read_case_table, write_case_table
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.models import find_model
from StrokeSegLib.volume import Volume

COMMAND = [sys.executable, str(Path(__file__).parent / "stand_in" / "user_command.py")]


def image(path):
    array = np.full((6, 8, 8), 100, np.int16)
    array[2:4, 3:5, 3:5] = 400
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(Volume(array, (2.0, 2.0, 3.0)), path)
    return path


@pytest.fixture
def cases(tmp_path):
    """Three cases; the image of the second is gone."""
    made = [
        Case(name, name, {role: image(tmp_path / name / f"{role}.nii.gz") for role in ("dwi", "adc")})
        for name in ("a", "b", "c")
    ]
    for path in made[1].images.values():
        path.unlink()
    return made


def ended(run, seconds=30.0):
    until = time.monotonic() + seconds
    while not run.poll():
        assert time.monotonic() < until
        time.sleep(0.02)
    return run


def test_a_case_table_gives_its_cases_with_absolute_paths(cases, tmp_path, monkeypatch):
    write_case_table(cases, tmp_path / "cases.csv")
    monkeypatch.chdir(tmp_path)
    read = batching.readCases(Path("cases.csv"))
    assert [case.case_id for case in read] == ["a", "b", "c"]
    assert read[0].images["dwi"].samefile(cases[0].images["dwi"])
    assert all(path.is_absolute() for case in read for path in case.images.values())


def test_a_folder_with_a_folder_of_images_a_case_is_read_by_the_names(tmp_path):
    image(tmp_path / "set" / "Müller 1" / "patient DWI b1000.nii.gz")
    image(tmp_path / "set" / "Müller 1" / "patient ADC.nrrd")
    image(tmp_path / "set" / "two" / "dwi.mha")
    image(tmp_path / "set" / "two" / "dwi b0.nii.gz")
    (tmp_path / "set" / "two" / "notes.txt").write_text("dwi")
    (tmp_path / "set" / "no images").mkdir()
    read = batching.readCases(tmp_path / "set")
    assert {case.case_id: sorted(case.images) for case in read} == {"Müller 1": ["adc", "dwi"], "two": ["dwi"]}


def test_one_folder_of_images_is_one_case(tmp_path):
    image(tmp_path / "one" / "dwi.nii.gz")
    assert [case.case_id for case in batching.readCases(tmp_path / "one")] == ["one"]


def exam(folder):
    """An examination as a scanner sends it: DWI of two b-values in one series, its ADC, and what is no input."""
    study = generate_uid()
    uids = {
        "dwi": writeTwoBValues(folder / "DICOM" / "5", StudyInstanceUID=study),
        "adc": writeSeries(folder / "DICOM" / "6", "ep2d_diff_ADC", StudyInstanceUID=study),
    }
    writeSeries(folder / "DICOM" / "7", "ep2d_diff_FA", StudyInstanceUID=study)
    for number in (8, 9):
        writeSeries(folder / "DICOM" / str(number), "t2_tse", StudyInstanceUID=study)
    return {"dwi": f"{uids['dwi']}:b1000", "adc": uids["adc"]}


def test_a_folder_with_a_folder_of_dicom_files_a_case_is_read_by_its_series(tmp_path):
    wanted = {name: exam(tmp_path / "set" / name) for name in ("Müller", "two")}
    (tmp_path / "set" / "notes").mkdir()
    (tmp_path / "set" / "notes" / "a.txt").write_text("DICOM")
    image(tmp_path / "set" / "three" / "dwi.nii.gz")
    read = batching.readCases(tmp_path / "set", ("dwi", "adc"))
    assert [case.case_id for case in read] == ["Müller", "three", "two"]
    for case in (read[0], read[2]):
        folder = tmp_path / "set" / case.case_id
        assert case.images == {role: Path(f"{folder}#{uid}") for role, uid in wanted[case.case_id].items()}
        assert all(read_image(str(path)).volume.array.shape == (4, 5, 6) for path in case.images.values())
    write_case_table(read, tmp_path / "cases.csv")
    assert [dict(case.images) for case in read_case_table(tmp_path / "cases.csv")] == [
        {role: path.parent.resolve() / path.name for role, path in case.images.items()} for case in read
    ]


@pytest.mark.parametrize("inside", ["", "DICOM"])
def test_the_folder_of_one_examination_is_one_case_though_each_series_has_a_folder(tmp_path, inside):
    wanted = exam(tmp_path / "p1")
    (case,) = batching.readCases(tmp_path / "p1" / inside, ("dwi", "adc"))
    assert {role: path.name.rpartition("#")[2] for role, path in case.images.items()} == wanted


def test_two_dicom_series_for_a_role_are_refused_with_their_names(tmp_path):
    for name in ("a", "b"):
        writeSeries(tmp_path / "set" / "p" / name, f"head {name}", modality="CT")
    with pytest.raises(InputError, match=r"several series for ct: .*\(head a\).*\(head b\); take the others out"):
        batching.readCases(tmp_path / "set")


def test_a_public_layout_is_known_by_itself(tmp_path):
    folder = tmp_path / "nnunet"
    image(folder / "imagesTr" / "p1_0000.nii.gz")
    image(folder / "labelsTr" / "p1.nii.gz")
    (folder / "dataset.json").write_text('{"channel_names": {"0": "DWI"}, "labels": {"background": 0, "lesion": 1}}')
    assert [case.case_id for case in batching.readCases(folder)] == ["p1"]


def test_a_folder_that_says_nothing_and_one_with_two_images_for_a_role_are_refused_with_the_cure(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="case table"):
        batching.readCases(tmp_path / "empty")
    for name in ("dwi.nii.gz", "dwi 2.nii.gz"):
        image(tmp_path / "set" / "p" / name)
    with pytest.raises(InputError, match="two images for dwi"):
        batching.readCases(tmp_path / "set")


def test_the_words_are_those_that_the_commands_know(cases, tmp_path, monkeypatch):
    """Read by the real command line's own parser."""
    import argparse

    from StrokeSegApp import command_run

    from StrokeSegLib.cli import batch, export

    started = []

    class Child:
        def __init__(self, words, folder, environment):
            started.append(words)

        def kill(self, graceS=0.0):
            pass

    monkeypatch.setattr(command_run, "ChildProcess", Child)
    BatchRun(cases, find_model("mri"), tmp_path / "out", resume=True, command=["strokeseg"]).cancel()
    ExportRun(tmp_path / "run", "our-mri", command=["strokeseg"]).cancel()
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    batch.add_parser(commands)
    export.add_parser(commands)
    read = parser.parse_args(started[0][1:])
    assert (read.model, read.out, read.resume) == ("mri", tmp_path / "out", True)
    read = parser.parse_args(started[1][1:])
    assert (read.model, read.format, read.id) == (str(tmp_path / "run"), "model", "our-mri")


def test_a_batch_runs_to_its_end_has_a_row_a_case_and_leaves_nothing_but_its_results(cases, tmp_path):
    run = ended(BatchRun(cases, find_model("mri"), tmp_path / "out", command=COMMAND))
    assert run.progress.stage == "cases"
    assert (run.progress.done, run.progress.total) == (3, 3)
    run.finish()
    rows = batching.mergedRows(cases, batching.readSummary(tmp_path / "out"))
    assert [(row.caseId, row.status) for row in rows] == [("a", "done"), ("b", "failed"), ("c", "done")]
    assert rows[0].volumes_ml == {"ischemic lesion": pytest.approx(8 * 12 / 1000, abs=1e-3)}  # 8 voxels of 12 mm3
    assert rows[0].seconds == 1.5
    assert "check the path" in rows[1].error
    assert not run.folder.exists()


def test_a_batch_on_another_one_is_refused_without_resume_and_goes_on_with_it(cases, tmp_path):
    ended(BatchRun(cases[:1], find_model("mri"), tmp_path / "out", command=COMMAND)).finish()
    with pytest.raises(InputError, match="already holds a batch"):
        ended(BatchRun(cases, find_model("mri"), tmp_path / "out", command=COMMAND)).finish()
    ended(BatchRun(cases, find_model("mri"), tmp_path / "out", resume=True, command=COMMAND)).finish()
    assert [row.status for row in batching.readSummary(tmp_path / "out")] == ["done", "failed", "done"]


def test_a_program_that_can_not_be_started_and_one_that_dies_are_errors_of_one_line(cases, tmp_path):
    with pytest.raises(RunError, match="could not be started"):
        BatchRun(cases, find_model("mri"), tmp_path / "out", command=["no such program"])
    run = ended(BatchRun(cases, find_model("mri"), tmp_path / "out", command=[sys.executable, "-c", "1/0"]))
    with pytest.raises(RunError, match="exit code 1") as failed:
        run.finish()
    assert "ZeroDivisionError" in failed.value.details
    assert not run.folder.exists()


def test_a_summary_of_several_findings_keeps_their_names_and_nonsense_gives_empty_cells(tmp_path):
    (tmp_path / "summary.csv").write_text(
        "case_id,status,infarct_core_ml,penumbra_ml,seconds,error\n"
        "p1,done,1.5,20.25,3,\np2,failed,,x,,no image\n,,,,,\n"
    )
    assert batching.readSummary(tmp_path) == [
        Row("p1", "done", {"infarct core": 1.5, "penumbra": 20.25}, 3.0),
        Row("p2", "failed", {}, None, "no image"),
    ]
    assert batching.readSummary(tmp_path / "nowhere") == []

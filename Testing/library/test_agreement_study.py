"""`strokeseg agreement --study`: what readers first decided and what the model found, out of a real study folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from review_studies import LEFT, RIGHT, mask, small_study

from StrokeSegLib.cli import main
from StrokeSegLib.review import accept, correct, open_case, reject


def test_first_decisions_of_readers_and_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = small_study(tmp_path)  # the model: one cube of 27 voxels; cubes of 27 and 8; nothing
    for case_id in study.case_ids:
        open_case(study, "anna", case_id)
        accept(study, "anna", case_id)  # all as the model has it
    open_case(study, "ben", "case-001")
    correct(study, "ben", "case-001", mask((LEFT, 3), (RIGHT, 3)))
    accept(study, "ben", "case-001")
    open_case(study, "ben", "case-002")
    reject(study, "ben", "case-002", reason="motion")
    # After he has seen the others he changes his mind: agreement keeps what he said before.
    correct(study, "ben", "case-001", mask((LEFT, 3)))
    accept(study, "ben", "case-001")

    words = ["agreement", "--study", str(study.folder), "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    summary = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["kind"], one["cases"]) for one in summary["raters"]] == [
        ("anna", "reader", 3), ("ben", "reader", 1), ("mri 0.1.0", "model", 3),
    ]  # fmt: skip
    pairs = {(one["first"], one["second"]): one for one in summary["pairs"]}
    # Case 1: 27 voxels of anna, 54 of ben, 27 of them common.
    assert pairs["anna", "ben"]["labels"][0]["dice"]["mean"] == pytest.approx(2 * 27 / 81)
    same = pairs["anna", "mri 0.1.0"]
    assert same["labels"][0]["dice"]["mean"] == 1
    assert same["labels"][0]["both_empty"] == 1
    assert same["class"]["cohen_kappa"] == 1
    assert any("ben rejected 1 case" in note for note in summary["notes"])
    assert any("start from the model's marks" in note for note in summary["notes"])
    assert summary["patients"] == 2
    assert (tmp_path / "out" / "agreement-1.png").exists()


def test_a_study_that_nobody_has_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = small_study(tmp_path, 2)
    assert main(["agreement", "--study", str(study.folder), "--out", str(tmp_path / "out")]) == 2
    assert "two or more raters" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

"""Where readers differ, who settles it, and whose word counts then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from review_studies import LEFT, RIGHT, mask, small_study

from StrokeSegLib.agreement.from_study import ratings_of_study
from StrokeSegLib.cli import main
from StrokeSegLib.errors import InputError
from StrokeSegLib.review import (
    Study,
    accept,
    correct,
    disagreements,
    flag,
    name_adjudicator,
    open_case,
    others,
    read_segmentation,
    reject,
    reviewed_cases,
    sign,
    worklist,
)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """AB and CD read two cases: one cube of 27 voxels against another beside it, and the same model's marks."""
    study = small_study(tmp_path)
    correct(study, "CD", "case-001", mask((RIGHT, 3)))
    for reader in ("AB", "CD"):
        for case_id in ("case-001", "case-002"):
            accept(study, reader, case_id)
            sign(study, reader, case_id)
    return study


def test_masks_that_overlap_little_and_decisions_that_differ_are_disagreements(study: Study) -> None:
    found = disagreements(study)
    assert {name: (one.readers, one.dice) for name, one in found.items()} == {"case-001": (("AB", "CD"), 0.0)}

    reject(study, "CD", "case-002", reason="motion")
    assert disagreements(study)["case-002"].readers == ("AB", "CD")
    assert disagreements(study)["case-002"].dice is None


def test_masks_that_overlap_enough_are_none(study: Study) -> None:
    # 27 voxels of 3 x 3 x 3 and the same with one corner of 8 elsewhere: 2 * 27 / (27 + 35) = 0.87
    correct(study, "CD", "case-001", mask((LEFT, 3), (RIGHT, 2)))
    accept(study, "CD", "case-001")
    assert disagreements(study) == {}


def test_a_mask_that_is_gone_needs_a_look_and_the_status_is_still_told(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in study.segmentations("CD").iterdir():
        path.unlink()
    found = disagreements(study)["case-001"]
    assert (found.readers, found.dice) == (("AB", "CD"), None)
    assert main(["review", "status", str(study.folder)]) == 0
    assert "case-001: AB and CD" in capsys.readouterr().out


def test_a_flag_asks_for_somebody_else(study: Study) -> None:
    flag(study, "AB", "case-003", reason="hemorrhage?")
    assert disagreements(study)["case-003"].readers == ("AB",)


def test_an_adjudicator_sees_all_and_works_through_what_is_open(study: Study) -> None:
    assert others(study, "EF", "case-001") == {}
    with pytest.raises(InputError, match="EF is no adjudicator"):
        worklist(study, "EF", only_disagreements=True)
    name_adjudicator(study, "EF")
    name_adjudicator(study, "EF")  # said twice is said once
    assert study.adjudicators() == ("EF",)
    assert sorted(others(study, "EF", "case-001")) == ["AB", "CD"]
    assert [item.case_id for item in worklist(study, "EF", only_disagreements=True)] == ["case-001"]
    # the others stay as blind as they were
    assert others(study, "AB", "case-003") == {}


def test_who_has_read_cannot_settle_it(study: Study) -> None:
    with pytest.raises(InputError, match="AB has read cases"):
        name_adjudicator(study, "AB")
    assert study.adjudicators() == ()


def test_an_adjudicators_signed_decision_counts_and_later_signatures_of_readers_do_not(study: Study) -> None:
    name_adjudicator(study, "EF")
    open_case(study, "EF", "case-001")
    correct(study, "EF", "case-001", mask((LEFT, 2)))
    accept(study, "EF", "case-001")
    accept(study, "CD", "case-001")
    sign(study, "CD", "case-001")
    assert {case.case_id: case.truth_by for case in reviewed_cases(study)}["case-001"] == "CD"  # not signed yet
    sign(study, "EF", "case-001")
    sign(study, "CD", "case-001")
    chosen = next(case for case in reviewed_cases(study) if case.case_id == "case-001")
    assert chosen.truth_by == "EF"
    version = Path(str(chosen.lesion)).name.removesuffix(".seg.nrrd")
    assert read_segmentation(study, "case-001", version).array.sum() == 8
    assert disagreements(study)["case-001"].settled_by == "EF"


def test_a_case_that_an_adjudicator_rejects_is_no_truth(study: Study) -> None:
    name_adjudicator(study, "EF")
    reject(study, "EF", "case-001", reason="another patient")
    sign(study, "EF", "case-001")
    assert [case.case_id for case in reviewed_cases(study)] == ["case-002"]


def test_an_adjudicators_marks_are_in_no_agreement_of_readers(study: Study) -> None:
    name_adjudicator(study, "EF")
    accept(study, "EF", "case-001")
    ratings, notes = ratings_of_study(study.folder)
    assert {rating.rater for rating in ratings if rating.kind == "reader"} == {"AB", "CD"}
    assert any("EF settles" in note for note in notes)


def test_the_command_names_one_and_says_what_waits(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", "adjudicator", str(study.folder), "EF"]) == 0
    assert "1 case waits for a decision" in capsys.readouterr().err
    assert main(["review", "status", str(study.folder), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["adjudicators"] == ["EF"]
    assert content["disagreements"] == {"case-001": {"readers": ["AB", "CD"], "dice": 0.0, "settled_by": None}}
    assert main(["review", "status", str(study.folder)]) == 0
    assert "case-001: AB and CD (Dice 0.00); nobody settled it" in capsys.readouterr().out
    assert main(["review", "adjudicator", str(study.folder), "AB"]) == 2

"""``strokeseg crossval``: who is held out, what is averaged, and what a second start does not do again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from head_phantoms import ct_cases

from StrokeSegLib.case_table import Case, write_case_table
from StrokeSegLib.cli import main
from StrokeSegLib.cli.crossval import can_go_on, refuse_errors
from StrokeSegLib.errors import InputError
from StrokeSegLib.training.ablate_table import crossval_lines
from StrokeSegLib.training.crossval import cross_validate, over_folds
from StrokeSegLib.training.presets import find_preset, with_settings
from StrokeSegLib.training.tables import THEIRS

TINY = ["steps=2", "batch_size=1", "width=0.125", "patch=16,32,32"]
PRESET = with_settings(find_preset("noncontrast-ct", "paper"), TINY)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Ten patients, two of them healthy."""
    return ct_cases(tmp_path_factory.mktemp("cases"), [1] * 8 + [0] * 2)


@pytest.fixture(scope="module")
def done(cases: list[Case], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("crossval") / "out"
    return out, cross_validate(PRESET, cases, out, folds=2, device="cpu")


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_every_patient_is_held_out_once_by_a_network_that_saw_the_others(done, cases: list[Case]) -> None:
    out, _ = done
    folds = read(out / "folds.json")["folds"]
    held_out = [sorted(case for ids in fold.values() for case in ids) for fold in folds]
    assert sorted(held_out[0] + held_out[1]) == sorted(case.case_id for case in cases)
    for number, names in enumerate(held_out, start=1):
        lines = (out / f"fold-{number}" / "evaluation" / "evaluation.csv").read_text(encoding="utf-8").splitlines()
        assert sorted(line.split(",")[0] for line in lines[1:]) == names
        data = read(out / f"fold-{number}" / "run" / "run.json")["data"]
        assert data["cases"] == len(cases) - len(names)
        assert data["left_out_by_split"] == 0


@pytest.mark.slow
def test_the_result_is_mean_and_sd_over_the_folds(done) -> None:
    out, result = done
    of_folds = [read(out / f"fold-{n}" / "evaluation" / "summary.json")["labels"][0] for n in (1, 2)]
    dices = [label["lesion_bearing"]["dice"]["mean"] for label in of_folds]
    assert sum(label["lesion_bearing"]["dice"]["count"] for label in of_folds) == 8
    found = result["labels"]["ischemic lesion"]["dice"]
    assert found["folds"] == dices
    assert found["mean"] == pytest.approx(sum(dices) / 2)
    assert found["sd"] == pytest.approx(abs(dices[0] - dices[1]) / np.sqrt(2))
    assert read(out / "crossval.json") == result
    assert (result["preset"], result["settings"]["steps"]) == ("paper, modified", 2)
    lines = crossval_lines(result)
    assert any(THEIRS in line for line in lines)
    assert any("0.628 ± 0.033" in line for line in lines)


@pytest.mark.slow
def test_a_second_start_repeats_no_finished_fold(done, cases: list[Case], tmp_path: Path) -> None:
    out, result = done
    again = Path(shutil.copytree(out, tmp_path / "again"))
    shutil.rmtree(again / "fold-2" / "evaluation")  # as if it had been stopped there
    (again / "crossval.json").unlink()
    told: set[str] = set()
    repeated = cross_validate(
        PRESET, cases, again, folds=2, device="cpu", progress=lambda stage, done, total: told.add(stage)
    )
    assert told == {"check", "fold-2-evaluate"}
    assert repeated["labels"] == result["labels"]


def test_what_was_begun_with_other_settings_is_not_gone_on_with(cases: list[Case], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="nothing to go on with"):
        cross_validate(PRESET, cases, tmp_path / "out", folds=2)
    (tmp_path / "out" / "settings.json").write_text(json.dumps({"settings": PRESET.as_dict(), "folds": 3}))
    with pytest.raises(InputError, match="other folds and cases"):
        cross_validate(PRESET, cases, tmp_path / "out", folds=2)


def test_too_many_folds_are_refused_and_nothing_is_written(cases: list[Case], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="10 patients can not be split 11 ways"):
        cross_validate(PRESET, cases, tmp_path / "out", folds=11)
    assert list(tmp_path.iterdir()) == []


def test_wrong_words_are_told_in_one_line(cases: list[Case], tmp_path: Path, capsys) -> None:
    write_case_table(cases, tmp_path / "cases.csv")
    words = ["crossval", "--data", str(tmp_path / "cases.csv"), "--out", str(tmp_path / "out"), "--system"]
    for more, expected in (
        (["brain"], "unknown system 'brain'"),
        (["noncontrast-ct", "--set", "stepz=3"], "no key 'stepz'"),
        (["mri", "--set", "steps=2"], "has no"),
    ):
        assert main([*words, *more]) == 2
        assert expected in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["cases.csv"]


def test_a_stopped_run_says_that_it_can_be_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="the same words go on"), can_go_on(tmp_path):
        raise KeyboardInterrupt


def test_held_out_cases_that_failed_are_told_by_the_exit_code(tmp_path: Path) -> None:
    refuse_errors([], tmp_path)
    with pytest.raises(InputError, match=r"1 held-out cases .* x: unreadable"):
        refuse_errors(summary({})["errors"], tmp_path)


def summary(dices: dict[str, float | None]) -> dict[str, Any]:
    """A fold's summary with nothing but Dice; None: no case bears the label."""
    one = {name: {} if d is None else {"dice": {"mean": d, "count": 2}} for name, d in dices.items()}
    return {
        "labels": [{"name": name, "lesion_bearing": bearing} for name, bearing in one.items()],
        "data": {"cases": 3, "name": "fold"},
        "seconds_per_case": 2.0,
        "errors": [{"case_id": "x", "error": "unreadable"}],
    }


def test_a_fold_without_a_lesion_of_a_label_does_not_count_for_it() -> None:
    folds = [summary({"a": 0.5, "b": None}), summary({"a": 0.7, "b": 0.2}), summary({"a": 0.9, "b": 0.4})]
    result = over_folds(folds)
    assert result["labels"]["a"]["dice"]["mean"] == pytest.approx(0.7)
    assert result["labels"]["a"]["dice"]["sd"] == pytest.approx(0.2)
    assert result["labels"]["b"]["dice"]["folds"] == [0.2, 0.4]
    assert result["cases"] == 9
    assert len(result["errors"]) == 3


def test_weights_are_chosen_on_patients_inside_the_training_side(tmp_path: Path) -> None:
    """S4.3.7: what is chosen is chosen on other patients than those that are reported."""
    from StrokeSegLib.training.crossval import with_inner_validation
    from StrokeSegLib.training.presets import find_preset

    cases = [
        Case(case_id=f"{patient}{slab}", patient_id=str(patient), images={}, lesion=None, split="test")
        for patient in range(10)
        for slab in "AB"
    ]
    chosen = with_inner_validation(find_preset("three-projection", "paper"), cases)
    assert [case.case_id for case in chosen] == [case.case_id for case in cases]
    inner = {case.patient_id for case in chosen if case.split == "val"}
    assert len(inner) == 2  # a fifth of the patients, both slabs of each
    assert {case.patient_id for case in chosen if case.split == "train"} == {str(n) for n in range(10)} - inner
    # A preset that keeps its last weights needs none, and too few patients are all trained on.
    assert {case.split for case in with_inner_validation(find_preset("noncontrast-ct", "paper"), cases)} == {None}
    assert {case.split for case in with_inner_validation(find_preset("three-projection", "paper"), cases[:6])} == {None}

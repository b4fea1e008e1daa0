"""Splits by patient: nobody on two sides, the same every time, balanced; and what a split by slices would feign."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.metrics import dice
from StrokeSegLib.training.splits import (
    by_split,
    check_no_leak,
    fold_sides,
    make_folds,
    read_folds,
    split_cases,
    write_folds,
)


def slabs(patients: int, slabs_of_odd: int = 2) -> list[Case]:
    """Patients p0, p1, ...; those with odd numbers have two cases."""
    return [
        Case(f"c{n}{letter}", f"p{n}", {"ct": Path(f"{n}{letter}.nii")})
        for n in range(patients)
        for letter in ("A", "B")[: slabs_of_odd if n % 2 else 1]
    ]


def patients(cases: tuple[Case, ...]) -> set[str]:
    return {case.patient_id for case in cases}


@given(st.integers(5, 60), st.integers(2, 5), st.integers(0, 1000))
def test_folds_hold_each_case_out_once_and_never_share_a_patient(count: int, folds: int, seed: int) -> None:
    cases = slabs(count)
    fold_of = make_folds(cases, folds, seed)
    held = []
    for fold in range(folds):
        train, held_out = fold_sides(cases, fold_of, fold)
        assert not patients(train) & patients(held_out)
        assert len(train) + len(held_out) == len(cases)
        held += held_out
    assert sorted(case.case_id for case in held) == sorted(case.case_id for case in cases)
    sizes = Counter(fold_of.values())
    assert max(sizes.values()) - min(sizes.values()) <= 2  # a patient has one or two cases


def test_the_split_is_that_of_the_seed_and_of_nothing_else() -> None:
    cases = slabs(40)
    assert make_folds(cases, 5, 7) == make_folds(cases[::-1], 5, 7)
    assert make_folds(cases, 5, 7) != make_folds(cases, 5, 8)
    parts = {"train": 0.7, "val": 0.2, "test": 0.1}
    assert sorted(split_cases(cases, parts, 3), key=lambda c: c.case_id) == sorted(
        split_cases(cases[::-1], parts, 3), key=lambda c: c.case_id
    )


def test_the_parts_are_those_asked_for() -> None:
    sides = by_split(split_cases(slabs(100, 1), {"train": 0.7, "val": 0.2, "test": 0.1}, 0))
    assert {name: len(side) for name, side in sides.items()} == {"train": 70, "val": 20, "test": 10}
    # 94 slabs of 63 patients, 20% for validation: 18.8 slabs, and a patient brings one or two.
    challenge = [*slabs(62), Case("c62A", "p62", {})]
    assert len(challenge) == 94
    sides = by_split(split_cases(challenge, {"train": 0.8, "val": 0.2}, 0))
    assert abs(len(sides["val"]) - 18.8) <= 1
    check_no_leak(*sides.values())


def test_healthy_cases_are_dealt_out_evenly_too() -> None:
    cases = slabs(30, 1)
    healthy = {f"c{n}A" for n in range(10)}
    fold_of = make_folds(cases, 5, 1, healthy=healthy)
    assert Counter(fold_of[name] for name in healthy) == dict.fromkeys(range(5), 2)
    assert Counter(fold_of.values()) == dict.fromkeys(range(5), 6)


def test_folds_come_back_from_their_file(tmp_path: Path) -> None:
    cases = slabs(12)
    fold_of = make_folds(cases, 4, 5)
    write_folds(fold_of, cases, tmp_path / "folds.json", seed=5)
    assert read_folds(tmp_path / "folds.json", cases) == fold_of
    written = json.loads((tmp_path / "folds.json").read_text())
    assert written["seed"] == 5
    assert sum(len(ids) for fold in written["folds"] for ids in fold.values()) == len(cases)
    assert read_folds(tmp_path / "folds.json", cases[:5]) == {c.case_id: fold_of[c.case_id] for c in cases[:5]}


def test_a_fold_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    cases, path = slabs(6), tmp_path / "folds.json"
    write_folds(make_folds(cases, 2, 0), cases, path, seed=0)
    with pytest.raises(InputError, match="new is in no fold"):
        read_folds(path, [*cases, Case("new", "p9", {})])
    with pytest.raises(InputError, match="c0A had another patient_id"):
        read_folds(path, [Case("c0A", "someone", {}), *cases[1:]])
    path.write_text(json.dumps({"folds": [{"p": ["a"]}, {"p": ["b"]}]}))
    with pytest.raises(InputError, match="patient p is on two sides"):
        read_folds(path, [Case("a", "p", {}), Case("b", "p", {})])
    path.write_text(json.dumps({"folds": [{"p": ["a"]}, {"q": ["a"]}]}))
    with pytest.raises(InputError, match="case a is in two folds"):
        read_folds(path, [Case("a", "p", {})])
    for text in ("no json", "[]", '{"folds": 3}', '{"folds": [["a"]]}'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"is no folds\.json"):
            read_folds(path, cases)


def test_a_patient_on_two_sides_is_named() -> None:
    with pytest.raises(InputError, match="patient p1 is on two sides"):
        check_no_leak(slabs(2), [Case("other", "p1", {})])
    with pytest.raises(InputError, match="patient p is on two sides"):
        by_split([Case("a", "p", {}, None, "train"), Case("b", "p", {}, None, "test")])


def test_too_few_patients_and_wrong_words_are_refused() -> None:
    with pytest.raises(InputError, match="3 patients can not be split 5 ways"):
        make_folds(slabs(3), 5, 0)
    with pytest.raises(InputError, match="at least 2 folds"):
        make_folds(slabs(3), 1, 0)
    with pytest.raises(InputError, match="add up to 1"):
        split_cases(slabs(3), {"train": 0.8, "val": 0.1}, 0)
    with pytest.raises(InputError, match="needed some of train, val, test"):
        split_cases(slabs(3), {"train": 0.8, "holdout": 0.2}, 0)
    with pytest.raises(InputError, match="fold 7 holds 0 of 9 cases"):
        fold_sides(slabs(6), make_folds(slabs(6), 2, 0), 7)


# What splitting by slices does to a score (S3.2.7). This function exists only here.


def leaky_split(count: int, part: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Slices dealt out at random, whoever they belong to: neighbors of training slices land in the test."""
    order = rng.permutation(count)
    cut = int(count * part)
    return order[:cut], order[cut:]


def test_a_split_by_slices_feigns_a_skill_that_a_split_by_patients_does_not_find() -> None:
    # Heads of noise with a lesion that nothing in the image gives away. All there is to learn is who is who:
    # slices of a head look alike and so do their masks, as neighboring slices of a patient do.
    rng = np.random.default_rng(0)
    heads, slices, side = 20, 12, 16
    images = np.empty((heads * slices, side, side))
    masks = np.zeros((heads * slices, side, side), bool)
    head_of = np.repeat(np.arange(heads), slices)
    for head in range(heads):
        pattern = rng.normal(size=(side, side))
        row, column = rng.integers(0, side - 5, 2)
        for n in np.flatnonzero(head_of == head):
            images[n] = pattern + 0.3 * rng.normal(size=(side, side))
            masks[n, row : row + 5, column : column + 5] = True

    def score(train: np.ndarray, test: np.ndarray) -> float:
        """Mean Dice of copying the mask of the most similar training slice: pure memory."""
        flat = images.reshape(len(images), -1)
        nearest = [train[np.argmin(((flat[train] - flat[n]) ** 2).sum(axis=1))] for n in test]
        return float(np.mean([dice(masks[a], masks[n]) for a, n in zip(nearest, test, strict=True)]))

    cases = [Case(f"c{head}", f"p{head}", {}) for head in range(heads)]
    train, held_out = fold_sides(cases, make_folds(cases, 5, 0), 0)
    by_patient = [
        np.flatnonzero(np.isin(head_of, [int(case.patient_id[1:]) for case in side_])) for side_ in (train, held_out)
    ]
    assert score(*leaky_split(len(images), 0.8, rng)) > 0.95
    assert score(by_patient[0], by_patient[1]) < 0.4

"""Splits and folds by patient: cases of one patient, such as two slabs of one scan, never stand on two sides.

Neighboring slices or slabs of a patient look alike, so a network that has seen one side of such a pair has seen the
answer to the other: split by slice or by slab, a score measures memory.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from StrokeSegLib.case_table import SPLITS, Case, write_text_whole
from StrokeSegLib.errors import InputError

#: Case id -> the fold (0 to count - 1) in which the case is held out.
Folds = Mapping[str, int]


def split_cases(
    cases: Sequence[Case], parts: Mapping[str, float], seed: int, *, healthy: Collection[str] = ()
) -> tuple[Case, ...]:
    """The same cases, each with its ``split``. The same cases and seed give the same split, in any order of cases.

    Args:
        parts: Split name -> part, such as ``{"train": 0.7, "val": 0.2, "test": 0.1}``; counted in cases.
        healthy: Ids of cases without a lesion: dealt out in the same parts.

    Raises:
        InputError: Unknown names, parts that do not add up to 1, or fewer patients than splits.
    """
    if not parts or not set(parts) <= set(SPLITS):
        raise InputError(f"splits are {', '.join(parts) or 'none'}, needed some of {', '.join(SPLITS)}")
    if min(parts.values()) <= 0 or abs(sum(parts.values()) - 1) > 1e-6:
        raise InputError(f"parts {list(parts.values())} must be above 0 and add up to 1; write 0.8 and 0.2 for 80/20")
    names = list(parts)
    dealt = _deal(cases, [parts[name] for name in names], seed, healthy)
    result = tuple(replace(case, split=names[dealt[case.patient_id]]) for case in cases)
    check_no_leak(*by_split(result).values())
    return result


def by_split(cases: Sequence[Case]) -> dict[str, tuple[Case, ...]]:
    """Split name -> its cases, in the order of ``SPLITS``; cases without a split are in none.

    Raises:
        InputError: A patient is in two splits.
    """
    sides = {name: tuple(case for case in cases if case.split == name) for name in SPLITS}
    check_no_leak(*sides.values())
    return {name: side for name, side in sides.items() if side}


def make_folds(cases: Sequence[Case], count: int, seed: int, *, healthy: Collection[str] = ()) -> dict[str, int]:
    """Deals all patients to ``count`` folds of about the same number of cases, with and without a lesion.

    The same cases and seed give the same folds, in any order of cases.

    Raises:
        InputError: Fewer than two folds, or fewer patients than folds.
    """
    if count < 2:
        raise InputError(f"cross-validation needs at least 2 folds, got {count}")
    dealt = _deal(cases, [1 / count] * count, seed, healthy)
    return {case.case_id: dealt[case.patient_id] for case in cases}


def fold_sides(cases: Sequence[Case], folds: Folds, fold: int) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Cases to train on and cases held out in one fold.

    Raises:
        InputError: There is no such fold, a case is in none, or a patient stands on both sides.
    """
    _check_cover(cases, folds)
    train, held_out = _sides(cases, folds, fold)
    if not train or not held_out:
        raise InputError(
            f"fold {fold} holds {len(held_out)} of {len(cases)} cases; folds are {sorted(set(folds.values()))}"
        )
    check_no_leak(train, held_out)
    return tuple(train), tuple(held_out)


def write_folds(folds: Folds, cases: Sequence[Case], path: Path, *, seed: int) -> None:
    """Writes folds.json: the seed, and for each fold its patients and their cases.

    Raises:
        InputError: A case is in no fold, a patient in two, or the file can not be written.
    """
    _check_cover(cases, folds)
    listed = []
    for fold in range(max(folds.values()) + 1):
        patients: dict[str, list[str]] = defaultdict(list)
        for case in fold_sides(cases, folds, fold)[1]:
            patients[case.patient_id].append(case.case_id)
        listed.append(dict(sorted(patients.items())))
    write_text_whole(path, json.dumps({"seed": seed, "folds": listed}, indent=2) + "\n")


def read_folds(path: Path, cases: Sequence[Case]) -> dict[str, int]:
    """Folds from ``write_folds``, for the same cases.

    Raises:
        InputError: The file is no fold file, or does not fit the cases: a case in no fold or in two, or of another
            patient than when the folds were made.
    """
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["folds"]
        entries = [(str(c), str(p), n) for n, fold in enumerate(listed) for p, ids in fold.items() for c in ids]
    except OSError as error:
        raise InputError(
            f"{path} can not be read ({error.strerror}), a folds.json is needed: check the path"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no folds.json ({error}): make the folds again") from error
    doubled = sorted(name for name, n in Counter(case for case, _, _ in entries).items() if n > 1)
    if doubled:
        raise InputError(f"{path}: case {', '.join(doubled)} is in two folds, needed one: make the folds again")
    patient_of = {case: patient for case, patient, _ in entries}
    moved = [c.case_id for c in cases if patient_of.get(c.case_id, c.patient_id) != c.patient_id]
    if moved:
        raise InputError(f"{path}: {', '.join(moved)} had another patient_id when the folds were made: make them again")
    folds = {case: fold for case, _, fold in entries}
    _check_cover(cases, folds)
    for fold in set(folds.values()):
        check_no_leak(*_sides(cases, folds, fold))
    return {case.case_id: folds[case.case_id] for case in cases}


def check_no_leak(*sides: Sequence[Case]) -> None:
    """Makes sure that no patient stands on two sides.

    Raises:
        InputError: Names the patients that do.
    """
    on = Counter(patient for side in sides for patient in {case.patient_id for case in side})
    leaks = sorted(patient for patient, count in on.items() if count > 1)
    if leaks:
        raise InputError(f"patient {', '.join(leaks)} is on two sides of a split: put all cases of a patient on one")


def _sides(cases: Sequence[Case], folds: Folds, fold: int) -> tuple[list[Case], list[Case]]:
    return [c for c in cases if folds[c.case_id] != fold], [c for c in cases if folds[c.case_id] == fold]


def _check_cover(cases: Sequence[Case], folds: Folds) -> None:
    missing = [case.case_id for case in cases if case.case_id not in folds]
    if missing or not cases:
        raise InputError(f"{', '.join(missing) or 'no case'} is in no fold: make the folds from this table")


def _deal(cases: Sequence[Case], parts: Sequence[float], seed: int, healthy: Collection[str]) -> dict[str, int]:
    """Patient -> number of the part that it goes to.

    Patients with and without lesions are dealt apart, in random order but those with many cases first, each to the
    part that is furthest below its share.
    """
    sizes = Counter(case.patient_id for case in cases)
    if len(sizes) < len(parts):
        raise InputError(f"{len(sizes)} patients can not be split {len(parts)} ways, needed one for each: add cases")
    bearing = {case.patient_id for case in cases if case.case_id not in healthy}
    order = sorted(sizes)
    np.random.default_rng(seed).shuffle(order)
    order.sort(key=lambda patient: -sizes[patient])  # stable: random among equals
    dealt: dict[str, int] = {}
    filled = np.zeros(len(parts))
    for group in (bearing, set(sizes) - bearing):
        # What the first group's rounding left over counts for the second, so that the whole comes out right too.
        short = np.array(parts) * (sum(sizes[p] for p in group) + filled.sum()) - filled
        for patient in (p for p in order if p in group):
            part = int(np.argmax(short))
            dealt[patient] = part
            short[part] -= sizes[patient]
            filled[part] += sizes[patient]
    empty = [n for n in range(len(parts)) if n not in dealt.values()]
    if empty:
        raise InputError(f"{len(sizes)} patients leave a part of {parts[empty[0]]:.0%} empty: add cases or enlarge it")
    return dealt

"""``strokeseg agreement``: pairs and groups of raters over their cases, into one folder.

Writes agreement.json (every number with its n), agreement.csv (a row a case, pair and label), agreement.html, and for
each case that two raters of the consensus group marked on one grid ``consensus-<case>.nii.gz`` and
``disagreement-<case>.nii.gz``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from StrokeSegLib import __version__
from StrokeSegLib.agreement.consensus import disagreement, staple_consensus
from StrokeSegLib.agreement.pairs import PairScore, score_pair
from StrokeSegLib.agreement.ratings import (
    KINDS,
    MODEL,
    READER,
    REFERENCE,
    Rating,
    check_ratings,
    class_of_labels,
    read_labels,
)
from StrokeSegLib.agreement.reader_errors import reader_errors
from StrokeSegLib.agreement.summary import all_pairs, group_summary, pair_summary
from StrokeSegLib.agreement.worst_cases import draw_worst
from StrokeSegLib.callbacks import Progress
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import write_image
from StrokeSegLib.metrics import dice
from StrokeSegLib.report.agreement_page import agreement_page
from StrokeSegLib.report.overlay import LABEL_NAMES
from StrokeSegLib.result_folder import staged_results
from StrokeSegLib.volume import Volume

PAGE, SUMMARY, CASES = "agreement.html", "agreement.json", "agreement.csv"


@dataclass
class _Seen:
    """What all cases gave."""

    scores: list[PairScore] = field(default_factory=list)
    classes: dict[str, dict[str, str]] = field(default_factory=dict)
    volumes: dict[int, dict[str, dict[str, float]]] = field(default_factory=dict)
    together: list[dict[str, Any]] = field(default_factory=list)


def agree(
    ratings: Sequence[Rating],
    out: Path,
    *,
    source: str = "",
    notes: Sequence[str] = (),
    groups: Sequence[Sequence[str]] = (),
    reference: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compares all pairs of raters and some groups of them.

    Args:
        ratings: Of two or more raters.
        out: Result folder; it appears when all is done.
        source: What the page calls the data.
        notes: What the page must say besides.
        groups: Names of raters that are looked at together; by default the readers, and all raters. The first one
            makes the consensus.
        reference: The rater whose class counts as true in the table of errors; by default the one of kind
            ``reference``.
        force: Replace results that are already there.
        progress: Called with (stage, done, total); it may raise to cancel, and then nothing is written.

    Returns:
        The content of agreement.json.

    Raises:
        InputError: Too few ratings, unknown names, unreadable label maps, or ``out`` cannot be written.
    """
    report: Progress = progress or (lambda stage, done, total: None)
    check_ratings(ratings)
    kinds = _kinds(ratings, reference)
    wanted = _groups(kinds, groups)
    by_case: dict[str, list[Rating]] = {}
    for one in ratings:
        by_case.setdefault(one.case_id, []).append(one)
    patients = {one.case_id: one.patient for one in ratings}
    seen = _Seen(volumes={value: {} for value in LABEL_NAMES})
    with staged_results(out, force=force) as folder:
        for number, (case_id, of_case) in enumerate(by_case.items()):
            report("agree", number, len(by_case))
            _look_at(case_id, of_case, tuple(kinds), wanted[0], seen, folder)
        report("agree", len(by_case), len(by_case))
        labels = _marked_labels(seen)
        seen.scores = [one for one in seen.scores if one.label in labels]
        summary = {
            "strokeseg": __version__,
            "source": source,
            "cases": len(by_case),
            "patients": len(set(patients.values())),
            "raters": [
                {"name": name, "kind": kind, "cases": len(seen.classes[name])} for name, kind in kinds.items()
            ],
            "labels": [{"value": value, "name": name} for value, name in labels.items()],
            "pairs": [
                pair_summary(pair, [s for s in seen.scores if (s.first, s.second) == pair], labels, seen.classes,
                             patients)
                for pair in all_pairs(list(kinds))
            ],
            "groups": [
                group_summary(group, seen.volumes, labels, seen.classes, seen.scores, patients)
                for group in wanted if len(group) > 2 or groups
            ],
            "consensus": {"raters": list(wanted[0]), "method": "STAPLE, label by label", "cases": seen.together},
            "reader_study": _reader_study(kinds, seen.classes),
            "notes": [*notes, *_notes(seen, by_case, kinds)],
        }  # fmt: skip
        _write_rows(folder / CASES, seen)
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        pictures = draw_worst(folder, by_case, seen.together)
        (folder / PAGE).write_text(agreement_page(summary, _differences(seen), pictures), encoding="utf-8")
    return summary


def _kinds(ratings: Sequence[Rating], reference: str | None) -> dict[str, str]:
    """Rater -> kind: readers first, then models, then the reference; within a kind by name."""
    kinds = {one.rater: one.kind for one in ratings}
    if reference is not None:
        if reference not in kinds:
            raise InputError(f"no rater is called {reference!r}; there are {', '.join(sorted(kinds))}")
        kinds[reference] = REFERENCE
    if list(kinds.values()).count(REFERENCE) > 1:
        raise InputError("two raters are a reference, needed is one: make the other a reader")
    return dict(sorted(kinds.items(), key=lambda item: (KINDS.index(item[1]), item[0])))


def _groups(kinds: Mapping[str, str], groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    for group in groups:
        if unknown := [name for name in group if name not in kinds]:
            raise InputError(f"no rater is called {', '.join(unknown)}; there are {', '.join(kinds)}")
        if len(set(group)) < 2 or len(set(group)) < len(group):
            raise InputError(f"a group needs two or more raters, each once, got {', '.join(group)}")
    if groups:
        return [tuple(group) for group in groups]
    readers = tuple(name for name, kind in kinds.items() if kind == READER)
    every = tuple(name for name, kind in kinds.items() if kind != REFERENCE)
    found = [group for group in (readers, every) if len(group) > 1]
    return list(dict.fromkeys(found)) or [tuple(kinds)]


def _look_at(
    case_id: str, ratings: Sequence[Rating], order: Sequence[str], group: Sequence[str], seen: _Seen, folder: Path
) -> None:
    """One case: all its pairs, and the consensus of the group."""
    masks = {one.rater: read_labels(one.path) for one in sorted(ratings, key=lambda one: order.index(one.rater))}
    for one in ratings:
        kind = one.stated_class or class_of_labels(masks[one.rater].array)
        seen.classes.setdefault(one.rater, {})[case_id] = kind
        for value, volumes in seen.volumes.items():
            count = int(np.count_nonzero(masks[one.rater].array == value))
            volumes.setdefault(one.rater, {})[case_id] = count * masks[one.rater].voxel_volume_ml
    for pair in all_pairs(list(masks)):
        both = (masks[pair[0]], masks[pair[1]])
        seen.scores += [score_pair(case_id, pair, both, value) for value in LABEL_NAMES]
    together = _on_one_grid(masks, group)
    if len(together) < 2:
        return
    volumes_of = list(together.values())
    where = disagreement(volumes_of)
    write_image(staple_consensus(volumes_of).labels, folder / f"consensus-{case_id}.nii.gz")
    write_image(where, folder / f"disagreement-{case_id}.nii.gz")
    marked = np.any([mask.array != 0 for mask in volumes_of], axis=0)
    pairs = [dice(together[a].array, together[b].array) for a, b in all_pairs(list(together))]
    seen.together.append(
        {
            "case_id": case_id,
            "raters": list(together),
            "marked_by_any_ml": float(np.count_nonzero(marked)) * where.voxel_volume_ml,
            "disputed_ml": float(np.count_nonzero(where.array)) * where.voxel_volume_ml,
            "mean_pairwise_dice": float(np.mean(pairs)),
            "consensus": f"consensus-{case_id}.nii.gz",
            "disagreement": f"disagreement-{case_id}.nii.gz",
        }
    )


def _on_one_grid(masks: Mapping[str, Volume], group: Sequence[str]) -> dict[str, Volume]:
    """The group's masks that lie on the grid of its first one."""
    present = {name: masks[name] for name in group if name in masks}
    first = next(iter(present.values()), None)
    return {name: mask for name, mask in present.items() if first is not None and mask.same_grid(first)}


def _marked_labels(seen: _Seen) -> dict[int, str]:
    """The labels that anybody marked anywhere; the first where nobody marked anything."""
    marked = {
        value: LABEL_NAMES[value]
        for value, volumes in seen.volumes.items()
        if any(ml > 0 for of_rater in volumes.values() for ml in of_rater.values())
    }
    return marked or {1: LABEL_NAMES[1]}


def _reader_study(kinds: Mapping[str, str], classes: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """One table a model; none without a reference."""
    reference = next((name for name, kind in kinds.items() if kind == REFERENCE), None)
    if reference is None:
        return []
    readers = {name: classes[name] for name, kind in kinds.items() if kind == READER}
    return [
        {
            "model": model,
            "reference": reference,
            "readers": [asdict(row) for row in reader_errors(readers, classes[model], classes[reference])],
        }
        for model, kind in kinds.items()
        if kind == MODEL
    ]


def _notes(seen: _Seen, by_case: Mapping[str, Sequence[Rating]], kinds: Mapping[str, str]) -> list[str]:
    notes = []
    alone = sum(len(of_case) == 1 for of_case in by_case.values())
    if alone:
        notes.append(f"{_cases(alone)} rated by one rater only, which no number of agreement contains")
    apart = {one.case_id for one in seen.scores if not one.same_grid}
    if apart:
        notes.append(f"{_cases(len(apart))} marked on different grids: there only volume and class count")
    if REFERENCE not in kinds.values():
        notes.append("No rater is the reference, so there is no table of readers' errors; name one with --reference")
    return notes


def _cases(count: int) -> str:
    return f"{count} case{' was' if count == 1 else 's were'}"


def _write_rows(path: Path, seen: _Seen) -> None:
    names = [one.name for one in fields(PairScore)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, "first_class", "second_class"])
        for one in seen.scores:
            classes = [seen.classes[rater][one.case_id] for rater in (one.first, one.second)]
            writer.writerow([_cell(getattr(one, name)) for name in names] + classes)


def _cell(value: object) -> object:
    return "" if value is None else round(value, 4) if isinstance(value, float) else value


def _differences(seen: _Seen) -> list[dict[str, Any]]:
    """What the plots are drawn from."""
    return [asdict(one) for one in seen.scores]

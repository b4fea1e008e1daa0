"""``strokeseg ablate``: the ablation tables of two papers on your cases, beside the papers' own numbers.

    OUT/folds.json           the patients held out in each fold, the same for every row
    OUT/trained/KEY/fold-1   run and model; rows that differ in inference alone share them
    OUT/rows/KEY/fold-1      what ``evaluate`` writes about the held-out patients
    OUT/ablation.json, .txt  the tables

A run that was stopped goes on where it stopped. A row that cannot be run is listed with the reason.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table import Case, check_cases, write_text_whole
from StrokeSegLib.errors import InputError
from StrokeSegLib.models import CARD
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.ablate_rows import Row, ablation_rows, choose_rows
from StrokeSegLib.training.ablate_table import ablation_lines
from StrokeSegLib.training.crossval import (
    fold_evaluation,
    fold_model,
    healthy_ids,
    named_progress,
    open_folds,
    over_folds,
    over_values,
)
from StrokeSegLib.training.out_of_fold import out_of_fold_model
from StrokeSegLib.training.presets import Preset, find_preset, with_settings
from StrokeSegLib.training.presets.three_projection import PaperThreeProjection
from StrokeSegLib.training.splits import fold_sides

RESULT, TEXT = "ablation.json", "ablation.txt"


def ablate(
    system: str,
    cases: Sequence[Case],
    out: Path,
    *,
    rows: Sequence[str] = (),
    words: Sequence[str] = (),
    folds: int = 5,
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Cross-validates each row.

    Args:
        system: ``noncontrast-ct`` or ``three-projection``.
        cases: All with a truth.
        out: Result folder; one that was begun with the same settings and cases is gone on with, other rows too.
        rows: Keys of the rows; all when empty.
        words: ``key=value`` changes of the paper's preset for all rows, such as ``steps=2000``.
        folds, device: As for ``cross_validate``.
        progress: Called with (stage, done, total).

    Returns:
        The content of ablation.json.

    Raises:
        InputError: No such system or row, bad cases or settings, or ``out`` holds something else.
    """
    from StrokeSegLib.training.recipes import recipe_for  # brings torch

    report: Progress = progress or (lambda stage, done, total: None)
    preset = with_settings(find_preset(system, "paper"), words)
    every = ablation_rows(preset)
    chosen = choose_rows(every, rows)
    presets = {row.key: with_settings(preset, row.words) for row in chosen if not row.not_run}
    for each in presets.values():
        check_before_training(each)
    check_cases(cases, SYSTEMS[system], recipe_for(preset).prepare_settings, progress=report)
    dealt = open_folds(preset, cases, out, folds)
    healthy = healthy_ids(cases)
    results: list[dict[str, Any]] = []
    for row in chosen:
        why = row.not_run
        if row.key == "healthy" and not healthy:
            why = "the table holds no case without a lesion"
        if why:
            results.append({"key": row.key, "title": row.title, "not_run": why})
            continue
        shared = next(other.key for other in every if other.training == row.training)
        summaries = []
        for fold in range(folds):
            train_on, held_out = fold_sides(cases, dealt, fold)
            seen = training_cases(row, train_on, healthy)
            told = named_progress(report, f"{row.key}-fold-{fold + 1}")
            trained = out / "trained" / shared / f"fold-{fold + 1}"
            model = _trained(row, presets[row.key], seen, trained, device, told, out / "cache")
            summaries.append(_evaluated(row, model, held_out, out / "rows" / row.key, fold, device, told))
        ours = {**over_folds(summaries), "both_dice": over_values([_both(summary) for summary in summaries])}
        results.append({"key": row.key, "title": row.title, "words": list(row.words), "ours": ours})
    result = {"system": system, "preset": preset.name, "words": list(words), "folds": folds, "rows": results}
    write_text_whole(out / RESULT, json.dumps(result, indent=2) + "\n")
    write_text_whole(out / TEXT, "\n".join(ablation_lines(result, chosen)) + "\n")
    return result


def training_cases(row: Row, cases: Sequence[Case], healthy: Collection[str]) -> list[Case]:
    """Those of a fold that a row's networks learn from.

    Args:
        healthy: Ids of cases without a lesion.
    """
    return [case for case in cases if row.with_healthy or case.case_id not in healthy]


def check_before_training(preset: Preset) -> None:
    """Refuses a file of weights that a later row would only stumble on after hours.

    Raises:
        InputError: It does not fit the preset's networks.
    """
    if isinstance(preset, PaperThreeProjection):
        from StrokeSegLib.training.recipes.three_projection import check_encoder_weights

        check_encoder_weights(preset)


def _trained(
    row: Row, preset: Preset, cases: Sequence[Case], folder: Path, device: str, progress: Progress, cache: Path
) -> Path:
    """The model folder of a row's networks in one fold."""
    if row.out_of_fold and isinstance(preset, PaperThreeProjection):
        return out_of_fold_model(preset, cases, folder, device=device, progress=progress, cache_dir=cache)
    return fold_model(preset, cases, folder, device=device, progress=progress, cache_dir=cache)


def _evaluated(
    row: Row, model: Path, cases: Sequence[Case], folder: Path, fold: int, device: str, progress: Progress
) -> dict[str, Any]:
    """The held-out cases through the trained model with the row's own inference settings."""
    name = f"fold-{fold + 1}"
    if row.inference:
        model = _with_inference(model, row.inference, folder / f"{name}-model")
    return fold_evaluation(model, cases, folder / name, name=name, device=device, progress=progress)


def _with_inference(model: Path, changes: Mapping[str, Any], copy: Path) -> Path:
    """A copy of a model folder with other inference settings."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(model, copy)
    card = json.loads((copy / CARD).read_text(encoding="utf-8"))
    card["inference_settings"] = {**card.get("inference_settings", {}), **changes}
    (copy / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return copy


def _both(summary: Mapping[str, Any]) -> float:
    """Mean Dice over all lesion-bearing cases of all labels, each case for the labels that it bears.

    Raises:
        InputError: The fold holds no lesion.
    """
    dices = [label["lesion_bearing"]["dice"] for label in summary["labels"] if label["lesion_bearing"]]
    if not dices:
        raise InputError(f"{summary['data']['name']} holds no case with a lesion: make fewer folds or add cases")
    return float(sum(one["mean"] * one["count"] for one in dices) / sum(one["count"] for one in dices))

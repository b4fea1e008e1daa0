"""``strokeseg crossval``: each patient is judged by a network that never saw the patient, nor a slice of them.

    OUT/folds.json            who is held out when, and the seed
    OUT/fold-1/run            what ``train`` writes
    OUT/fold-1/model          the model folder of that fold
    OUT/fold-1/evaluation     what ``evaluate`` writes about the held-out patients
    OUT/crossval.json, .csv   the folds' means, and mean and SD over the folds

A run that was stopped goes on where it stopped; finished folds are not repeated.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table import Case, check_cases, write_text_whole
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.models import CARD
from StrokeSegLib.statistics import summarize
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.evaluate import SUMMARY, evaluate
from StrokeSegLib.training.presets import Preset
from StrokeSegLib.training.splits import fold_sides, make_folds, read_folds, split_cases, write_folds

FOLDS, RESULT, TABLE = "folds.json", "crossval.json", "crossval.csv"
SETTINGS = "settings.json"
#: Part of a fold's training patients that weights are chosen on, and the fewest patients of which any are set aside.
VALIDATION_PART, FEWEST_FOR_VALIDATION = 0.2, 5
#: Metrics of the printed table; a mean over the lesion-bearing cases of a fold each.
METRICS = ("dice", "sensitivity", "specificity", "precision", "lesion_f1")


def cross_validate(
    preset: Preset,
    cases: Sequence[Case],
    out: Path,
    *,
    folds: int = 5,
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Trains, exports and evaluates one model a fold.

    Args:
        preset: From ``find_preset``, perhaps through ``with_settings``; its seed deals the folds, too.
        cases: All with a truth; their ``split`` is not looked at.
        out: Result folder; one that was begun with the same preset, cases and number of folds is gone on with.
        folds: At least 2, at most as many as there are patients.
        device: As for ``train``.
        progress: Called with (stage, done, total); stages are ``fold-1-train`` and so on.

    Returns:
        The content of crossval.json.

    Raises:
        InputError: Cases are bad, there are too few patients, or ``out`` holds another cross-validation.
    """
    from StrokeSegLib.training.recipes import recipe_for  # brings torch

    report: Progress = progress or (lambda stage, done, total: None)
    check_cases(cases, SYSTEMS[preset.system], recipe_for(preset).prepare_settings, progress=report)
    dealt = open_folds(preset, cases, out, folds)
    summaries = []
    for fold in range(folds):
        train_on, held_out = fold_sides(cases, dealt, fold)
        folder, name = out / f"fold-{fold + 1}", f"fold-{fold + 1}"
        told = named_progress(report, name)
        model = fold_model(preset, train_on, folder, device=device, progress=told, cache_dir=out / "cache")
        summaries.append(
            fold_evaluation(model, held_out, folder / "evaluation", name=name, device=device, progress=told)
        )
    result = {"system": preset.system, "preset": preset.name, "settings": preset.as_dict(), **over_folds(summaries)}
    write_text_whole(out / RESULT, json.dumps(result, indent=2) + "\n")
    write_text_whole(out / TABLE, _as_csv(result))
    return result


def open_folds(preset: Preset, cases: Sequence[Case], out: Path, folds: int) -> Mapping[str, int]:
    """The folds of a new folder, written to folds.json, or those of one that was begun.

    Raises:
        InputError: ``out`` holds something else, or a run with other settings or cases.
    """
    asked = json.loads(json.dumps({"settings": preset.as_dict(), "folds": folds, "cases": [c.case_id for c in cases]}))
    if (out / SETTINGS).is_file():
        begun = json.loads((out / SETTINGS).read_text(encoding="utf-8"))
        differ = [key for key in asked if begun.get(key) != asked[key]]
        if differ:
            raise InputError(
                f"{out} was begun with other {' and '.join(differ)}; give the same as then to go on, or another folder"
            )
        return read_folds(out / FOLDS, cases)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and holds nothing to go on with; choose a new or empty folder")
    dealt = make_folds(cases, folds, preset.seed, healthy=healthy_ids(cases))
    write_folds(dealt, cases, out / FOLDS, seed=preset.seed)
    write_text_whole(out / SETTINGS, json.dumps(asked, indent=2) + "\n")  # last: it says that all is there
    return dealt


def healthy_ids(cases: Sequence[Case]) -> frozenset[str]:
    """Cases whose truth is empty."""
    return frozenset(
        case.case_id for case in cases if case.lesion is not None and not read_image(case.lesion).volume.array.any()
    )


def fold_model(
    preset: Preset, cases: Sequence[Case], folder: Path, *, device: str, progress: Progress, cache_dir: Path
) -> Path:
    """The model folder of one fold: trained and exported, unless that was done before."""
    from StrokeSegLib.training.export import export_run  # both bring torch
    from StrokeSegLib.training.loop import train

    model = folder / "model"
    if (model / CARD).is_file():
        return model
    run = train(
        preset,
        with_inner_validation(preset, cases),
        folder / "run",
        resume=True,
        device=device,
        progress=progress,
        cache_dir=cache_dir,
    )
    export_run(run, model, model_id=f"{preset.system}-{folder.name}", progress=progress)
    return model


def with_inner_validation(preset: Preset, cases: Sequence[Case]) -> tuple[Case, ...]:
    """The training side of a fold, a fifth of its patients set aside where a preset chooses weights by validation.

    So nothing is chosen on the patients that the fold is judged by (the DPN92-UNet paper did). With fewer than
    ``FEWEST_FOR_VALIDATION`` patients all are trained on, and the last weights count.
    """
    plain = tuple(replace(case, split=None) for case in cases)
    if not preset.validate_every or len({case.patient_id for case in cases}) < FEWEST_FOR_VALIDATION:
        return plain
    healthy = healthy_ids(plain)
    return split_cases(plain, {"train": 1 - VALIDATION_PART, "val": VALIDATION_PART}, preset.seed, healthy=healthy)


def fold_evaluation(
    model: Path, cases: Sequence[Case], out: Path, *, name: str, device: str, progress: Progress
) -> dict[str, Any]:
    """summary.json of a model on held-out cases: made, unless that was done before."""
    if (out / SUMMARY).is_file():
        done: dict[str, Any] = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
        return done
    held_out = [replace(case, split=None) for case in cases]
    return evaluate(str(model), held_out, out, data_name=name, device=device, progress=progress).summary


def named_progress(report: Progress, name: str) -> Progress:
    """The same progress with the fold's name before each stage, so that each has its own ETA."""
    return lambda stage, done, total: report(f"{name}-{stage}", done, total)


def over_folds(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the folds' evaluations say together.

    A fold's value is the mean over its lesion-bearing cases; a fold that holds none of a label does not count for it.

    Returns:
        Label name -> metric -> the folds' values, their mean and SD; cases that failed; seconds a case.
    """
    labels: dict[str, dict[str, Any]] = {}
    for name in [label["name"] for label in summaries[0]["labels"]]:
        of_folds = [label for s in summaries for label in s["labels"] if label["name"] == name]
        bearing = [label["lesion_bearing"] for label in of_folds if label["lesion_bearing"]]
        # Distances are missing where a fold has no case with both outlines.
        metrics = sorted({metric for fold in bearing for metric in fold})
        labels[name] = {
            metric: over_values([fold[metric]["mean"] for fold in bearing if metric in fold]) for metric in metrics
        }
    return {
        "folds": len(summaries),
        "cases": sum(summary["data"]["cases"] for summary in summaries),
        "labels": labels,
        "seconds_per_case": over_values([summary["seconds_per_case"] for summary in summaries]),
        "errors": [error for summary in summaries for error in summary["errors"]],
    }


def over_values(values: Sequence[float]) -> dict[str, Any]:
    """Values with their mean and SD.

    Raises:
        InputError: There is none.
    """
    summary = summarize(values)
    return {"folds": list(values), "mean": summary.mean, "sd": summary.sd}


def _as_csv(result: Mapping[str, Any]) -> str:
    """A line a label and metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", "metric", "mean", "sd", *(f"fold-{n + 1}" for n in range(result["folds"]))])
    for label, metrics in result["labels"].items():
        for metric, one in metrics.items():
            numbers = [f"{value:.6g}" for value in (one["mean"], one["sd"], *one["folds"])]
            writer.writerow([label, metric, *numbers])
    return text.getvalue()

"""``strokeseg evaluate``: any model on any case table; needs no torch.

Each case goes the way of ``strokeseg segment`` and is compared with its truth on its own grid. A case that cannot be
evaluated becomes a row with its error, and the others go on.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from StrokeSegLib import __version__
from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.engine import Engine
from StrokeSegLib.io import read_image
from StrokeSegLib.models import ModelCard, ModelLabel, find_model
from StrokeSegLib.report.evaluation_page import RESEARCH_USE, evaluation_page
from StrokeSegLib.report.evaluation_picture import draw_comparison
from StrokeSegLib.result_folder import staged_results
from StrokeSegLib.segmentation import SegmentationResult, segment
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.evaluate_scores import LabelScore, check_truth, score_label
from StrokeSegLib.training.evaluate_summary import CaseScore, summarize_label
from StrokeSegLib.volume import Volume

PAGE, SUMMARY, CASES = "evaluation.html", "summary.json", "evaluation.csv"
#: Pictures of this many cases, those with the lowest Dice.
WORST = 6
#: Progress is told in this many parts a case; the network takes about this part of them.
_PARTS, _NETWORK_PARTS = 100, 90


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one evaluation found.

    Attributes:
        cases: One a case of the table, in its order.
        summary: The content of summary.json.
    """

    cases: tuple[CaseScore, ...]
    summary: dict[str, Any]

    @property
    def failed(self) -> tuple[CaseScore, ...]:
        """Cases that could not be evaluated."""
        return tuple(case for case in self.cases if case.error is not None)


class _StopError(BaseException):
    """Carries what a progress callback raised past the handler that keeps one bad case from stopping the rest."""


def evaluate(
    model: str,
    cases: Sequence[Case],
    out: Path,
    *,
    data_name: str = "",
    device: str = "auto",
    threshold: float | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Runs a model over cases with truth and writes evaluation.html, summary.json, evaluation.csv and pictures.

    Args:
        model: A bundled model's id, or the path of a model folder.
        cases: Those without a truth are reported as such.
        out: Result folder; it appears when all is done.
        data_name: What the page calls the data, such as the name of the case table.
        device, threshold: As for ``segment``.
        force: Replace results that are already there.
        progress: Called with (stage, done, total); it may raise to cancel, and then nothing is written.

    Raises:
        InputError: Unknown model, no case with a truth, no case that could be evaluated, or ``out`` cannot be written.
    """
    report: Progress = progress or (lambda stage, done, total: None)
    card = find_model(model)
    if not any(case.lesion for case in cases):
        raise InputError(
            f"none of the {len(cases)} cases has a truth, which an evaluation needs: fill the column 'lesion'"
        )
    engine = Engine(keep=1 + len(card.specialists))
    for one in (*card.specialists, card):  # what is wrong with the weights is told before the first case
        engine.ready(one, "auto", device)
    with staged_results(out, force=force) as folder:
        worst = _WorstCases(folder, card)
        done = []
        for number, case in enumerate(cases):
            told = _within(report, number, len(cases))
            done.append(_evaluated(case, card, engine, device, worst.offer, told, threshold))
        report("evaluate", _PARTS * len(cases), _PARTS * len(cases))
        failed = [case for case in done if case.error is not None]
        if len(failed) == len(cases):
            first = failed[0]
            raise InputError(f"none of the {len(cases)} cases could be evaluated; {first.case_id}: {first.error}")
        summary = _summary(card, cases, done, data_name, threshold)
        rows = case_rows(card, done)
        _write_rows(folder / CASES, rows)
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        (folder / PAGE).write_text(evaluation_page(summary, rows, worst.pictures()), encoding="utf-8")
    return Evaluation(tuple(done), summary)


def network_labels(card: ModelCard) -> tuple[ModelLabel, ...]:
    """What is compared with the truth: labels that a rule adds (the penumbra) have no probability and no truth."""
    return tuple(label for label in card.labels if label.value in SYSTEMS[card.system].labels)


def _within(report: Progress, number: int, count: int) -> Progress:
    """Progress of one case as progress of the whole evaluation."""
    furthest = _PARTS * number

    def inner(stage: str, done: int, total: int) -> None:
        nonlocal furthest
        if stage == "network" and total:
            furthest = max(furthest, _PARTS * number + _NETWORK_PARTS * done // total)
        try:
            report("evaluate", furthest, _PARTS * count)
        except BaseException as error:
            raise _StopError from error

    return inner


def _evaluated(
    case: Case,
    card: ModelCard,
    engine: Engine,
    device: str,
    offer: Callable[[str, SegmentationResult, Volume, Sequence[LabelScore]], None],
    progress: Progress,
    threshold: float | None,
) -> CaseScore:
    """One case, whatever is wrong with it; only a cancel gets through."""
    try:
        progress("read", 0, 1)
        if case.lesion is None:
            raise InputError("the case has no truth: fill the column 'lesion', or leave the case out")
        truth = read_image(case.lesion).volume
        inputs = _truth_grid_first({role: case.images[role] for role in card.roles if role in case.images}, truth)
        begun = time.perf_counter()
        result = segment(inputs, str(card.folder), device, progress, threshold=threshold, engine=engine)
        seconds = time.perf_counter() - begun
        check_truth(truth, result.labels)
        scores = tuple(
            score_label(label.value, result.labels, truth, result.probability[label.value])
            for label in network_labels(card)
        )
        offer(case.case_id, result, truth, scores)
    except _StopError as stop:
        raise (stop.__cause__ or KeyboardInterrupt) from None
    except Exception as error:
        # Our own messages are made to be read; of other errors the kind is half the message.
        words = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        return CaseScore(case.case_id, case.patient_id, (), 0.0, error=" ".join(words.split()))
    return CaseScore(case.case_id, case.patient_id, scores, seconds, tuple(result.measurements["warnings"]))


def _truth_grid_first(inputs: dict[str, Path], truth: Volume) -> dict[str, Path]:
    """The inputs in an order that puts the result on the grid of the truth, which is that of one of the images."""
    for role in inputs if len(inputs) > 1 else ():
        if read_image(inputs[role]).volume.same_grid(truth):
            return {role: inputs[role], **inputs}
    return inputs


class _WorstCases:
    """Draws each case that is among the worst so far, so that no images have to be kept."""

    def __init__(self, folder: Path, card: ModelCard) -> None:
        self._folder, self._card = folder, card
        self._kept: list[tuple[float, str, Path]] = []

    def offer(self, case_id: str, result: SegmentationResult, truth: Volume, scores: Sequence[LabelScore]) -> None:
        """Draws the case if it is among the worst; the one that it displaces is removed."""
        told = [score for score in scores if not score.both_empty]
        if not told:
            return
        mean_dice = sum(score.values["dice"] for score in told) / len(told)
        if len(self._kept) == WORST and mean_dice >= self._kept[-1][0]:
            return
        path = self._folder / f"evaluation-{case_id}.png"
        dices = ", ".join(
            f"Dice {score.values['dice']:.2f}" + (f" ({self._name(score.label)})" if len(scores) > 1 else "")
            for score in told
        )
        draw_comparison(result.image, truth, result.labels, path, title=f"{case_id}: {dices}", values=self._values)
        self._kept.append((mean_dice, case_id, path))
        self._kept.sort(key=lambda kept: kept[:2])
        for _, _, dropped in self._kept[WORST:]:
            dropped.unlink()
        del self._kept[WORST:]

    def pictures(self) -> list[tuple[str, bytes]]:
        """Case and PNG, the worst first."""
        return [(case_id, path.read_bytes()) for _, case_id, path in self._kept]

    @property
    def _values(self) -> tuple[int, ...]:
        return tuple(label.value for label in network_labels(self._card))

    def _name(self, value: int) -> str:
        return next(label.name for label in self._card.labels if label.value == value)


def _summary(
    card: ModelCard, cases: Sequence[Case], done: Sequence[CaseScore], data_name: str, threshold: float | None
) -> dict[str, Any]:
    scored = [case for case in done if case.error is None]
    notes = []
    seen = [case.case_id for case in cases if case.split in ("train", "val")]
    if seen:
        notes.append(
            f"{len(seen)} of {len(cases)} cases are marked train or val in the table: if this model was trained on "
            "them, the numbers flatter it"
        )
    warned = sorted({warning for case in scored for warning in case.warnings})
    return {
        "note": RESEARCH_USE,
        "strokeseg": __version__,
        "model": {
            "id": card.id,
            "title": card.title,
            "version": card.version,
            "system": card.system,
            "sha256": card.sha256,
            "thresholds": {
                label.name: card.threshold_of(label.value) if threshold is None else threshold
                for label in network_labels(card)
            },
        },
        "data": {
            "name": data_name,
            "cases": len(done),
            "scored": len(scored),
            "patients": len({case.patient_id for case in scored}),
        },
        "labels": [summarize_label(label.value, label.name, done) for label in network_labels(card)],
        "seconds_per_case": sum(case.seconds for case in scored) / len(scored),
        "notes": notes,
        "warnings": [
            {"warning": warning, "cases": sum(warning in case.warnings for case in scored)} for warning in warned
        ],
        "errors": [{"case_id": case.case_id, "error": case.error} for case in done if case.error is not None],
    }


def case_rows(card: ModelCard, done: Sequence[CaseScore]) -> list[dict[str, Any]]:
    """The rows of evaluation.csv: one a case and label, and one for a case that could not be evaluated."""
    names = {label.value: label.name for label in card.labels}
    rows: list[dict[str, Any]] = []
    for case in done:
        head: dict[str, Any] = {"case_id": case.case_id, "patient_id": case.patient_id}
        tail: dict[str, Any] = {"seconds": round(case.seconds, 2), "error": case.error or ""}
        rows += [
            {
                **head,
                "label": names[score.label],
                "both_empty": int(score.both_empty),
                "one_empty": int(score.one_empty),
                "truth_ml": score.truth_ml,
                "predicted_ml": score.predicted_ml,
                "max_probability": score.max_probability,
                **score.values,
                **tail,
            }
            for score in case.scores
        ] or [{**head, **tail}]
    return rows


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for row in sorted(rows, key=lambda row: -len(row)) for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value

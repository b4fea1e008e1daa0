"""What a batch has to do: the table checked, results that are there looked at, nothing written yet."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from StrokeSegLib.batch.case import CaseJob
from StrokeSegLib.batch.summary import SUMMARY, Row, read_measurements, result_mark, row_of_result
from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table import Case, check_cases
from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.backends import choose
from StrokeSegLib.models import CARD, ModelCard, check_weights, find_model
from StrokeSegLib.result_folder import check_target
from StrokeSegLib.segmentation import check_roles
from StrokeSegLib.systems import SYSTEMS


@dataclasses.dataclass(frozen=True)
class BatchWish:
    """What the user asks for.

    Attributes:
        model: A bundled model's id, or the path of a model folder.
        cases: One or more, from ``read_case_table``.
        out: Result folder of the batch.
        resume: Leave cases alone that are done with the same weights; do failed and waiting ones.
        force: Do all cases, and replace results that are there.
        scheduler: Address of a Dask scheduler; its workers see the images and ``out`` under the same paths.
        device, backend: As for ``segment``.
    """

    model: str
    cases: Sequence[Case]
    out: Path
    resume: bool = False
    force: bool = False
    scheduler: str | None = None
    device: str = "auto"
    backend: str = "auto"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        card: The model.
        out: Result folder of the batch, absolute.
        rows: Of all cases in the table's order; the done ones with their numbers, the others waiting.
        jobs: Of the waiting ones.
        notes: For the log.
    """

    card: ModelCard
    out: Path
    rows: tuple[Row, ...]
    jobs: tuple[CaseJob, ...]
    notes: tuple[str, ...]


def plan_batch(wish: BatchWish, progress: Progress) -> Plan:
    """Checks everything that can be told before the first case, and says what is left to do.

    Images that the model does not take, truths and splits are not looked at.

    Args:
        wish: What the user asked for.
        progress: Called with ("check", done, total).

    Raises:
        InputError: Unknown model, damaged weights, bad cases, or results in the folder that would be lost.
    """
    if wish.resume and wish.force:
        raise InputError("--resume keeps the results that are there and --force replaces them: give one of the two")
    card = find_model(wish.model)
    if wish.scheduler is None:  # a cluster's workers have devices of their own
        choose(wish.backend, wish.device)
    for network in card.all_networks:
        check_weights(network)
    out = Path(os.path.abspath(wish.out))
    check_target(out / wish.cases[0].case_id, force=True)  # the folder above can be written to
    if out.is_file():
        raise InputError(f"{out} is a file, a folder for the results is needed: choose another name")
    cases = [_as_the_model_takes_it(case, card) for case in wish.cases]
    for case in cases:
        if case.case_id.casefold() == SUMMARY:
            raise InputError(f"a case is called {case.case_id}, the batch's own file; give the case another case_id")
    if (out / SUMMARY).exists() and not (wish.resume or wish.force):
        raise InputError(
            f"{out} already holds a batch ({SUMMARY}), an empty or new folder is needed: "
            "go on with it with --resume, do all cases anew with --force, or choose another"
        )
    rows = tuple(_row(case, card, out, wish) for case in cases)
    left = [case for case, row in zip(cases, rows, strict=True) if row.status != "done"]
    notes = _checked(left, card, progress) if left else ()
    return Plan(card, out, rows, tuple(_job(case, card, out, wish) for case in left), notes)


def _as_the_model_takes_it(case: Case, card: ModelCard) -> Case:
    images = {role: case.images[role] for role in card.roles if role in case.images}
    return dataclasses.replace(case, images=images, lesion=None, split=None)


def _checked(cases: Sequence[Case], card: ModelCard, progress: Progress) -> tuple[str, ...]:
    notes = check_cases(cases, SYSTEMS[card.system], card.prepare_settings, need_lesion=False, progress=progress)
    for case in cases:  # a model may take less than its system
        try:
            check_roles(card, tuple(case.images))
        except InputError as error:
            raise InputError(f"case {case.case_id}: {error}") from error
    return notes


def _row(case: Case, card: ModelCard, out: Path, wish: BatchWish) -> Row:
    folder = out / case.case_id
    waiting = Row(case.case_id, "waiting")
    if not folder.exists():
        return waiting
    check_target(folder, force=wish.force or wish.resume)
    measured = read_measurements(folder) if wish.resume else None
    if measured is None:
        return waiting
    if measured.get("sha256") != card.reading(case.images).sha256:
        raise InputError(
            f"{folder} holds results of {measured.get('model', 'another model')} with other weights than {card.id} has "
            f"now, --resume needs the same: choose another folder, or do all cases anew with --force"
        )
    return row_of_result(case.case_id, folder) or waiting


def _job(case: Case, card: ModelCard, out: Path, wish: BatchWish) -> CaseJob:
    folder = out / case.case_id
    inputs = {role: os.path.abspath(path) for role, path in case.images.items()}
    of_user = (Path(wish.model) / CARD).is_file()
    return CaseJob(
        case.case_id,
        inputs,
        str(folder),
        os.path.abspath(wish.model) if of_user else card.id,
        card.reading(case.images).sha256,
        wish.device,
        wish.backend,
        replaces=wish.resume or wish.force,
        replaced=result_mark(folder),
    )

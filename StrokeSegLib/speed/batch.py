"""Cases per hour of a batch against the same cases one by one, with the network loaded once on both sides."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from StrokeSegLib.batch.local import IN_FLIGHT, run_here
from StrokeSegLib.batch.plan import BatchWish, plan_batch
from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import write_image
from StrokeSegLib.models import find_model
from StrokeSegLib.synth.procedural import procedural_head
from StrokeSegLib.synth.sources import find_maker
from StrokeSegLib.training.pool import MODALITY

#: The sides take turns over parts of the set, so that a busy machine slows both alike.
TURNS = 4


def batch_speed(model: str, count: int, progress: Progress) -> dict[str, Any]:
    """Measures ``count`` generated cases, written as compressed files.

    Args:
        model: Id or folder.
        count: Cases; at least one a turn.
        progress: Called with ("cases", made, count) and ("measure", turns done, turns).

    Returns:
        ``ratio`` (of all cases), ``ratio_median`` (of the turns), ``cases_per_hour`` and the same one by one.
    """
    card = find_model(model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = _made(card.system, card.roles, count, folder, progress)
        sides: dict[int, list[float]] = {1: [], IN_FLIGHT: []}
        _seconds(model, cases[:1], folder / "warm", 1)  # files of libraries and networks are then in memory
        for turn in range(TURNS):
            progress("measure", turn, TURNS)
            order = [1, IN_FLIGHT] if turn % 2 else [IN_FLIGHT, 1]
            for in_flight in order:
                out = folder / f"{turn}-{in_flight}"
                sides[in_flight].append(_seconds(model, cases[turn::TURNS], out, in_flight))
        progress("measure", TURNS, TURNS)
    single, overlapped = sides[1], sides[IN_FLIGHT]
    return {
        "ratio": sum(single) / sum(overlapped),
        "ratio_median": statistics.median(a / b for a, b in zip(single, overlapped, strict=True)),
        "cases": count,
        "in_flight": IN_FLIGHT,
        "cases_per_hour": 3600 * count / sum(overlapped),
        "cases_per_hour_one_by_one": 3600 * count / sum(single),
    }


def _made(system: str, roles: tuple[str, ...], count: int, folder: Path, progress: Progress) -> list[Case]:
    make, head = find_maker(MODALITY[system]), procedural_head(np.random.default_rng(0))
    cases = []
    for n in range(count):
        progress("cases", n, count)
        images = make(np.random.default_rng([1, n]), head, None, False).images
        paths = {role: folder / f"{role}-{n}.nii.gz" for role in roles if role in images}
        for role, path in paths.items():
            write_image(images[role], path)
        cases.append(Case(f"case-{n}", f"patient-{n}", paths))
    progress("cases", count, count)
    return cases


def _seconds(model: str, cases: list[Case], out: Path, in_flight: int) -> float:
    plan = plan_batch(BatchWish(model, cases, out), lambda stage, done, total: None)
    started = time.perf_counter()
    rows = list(run_here(plan.jobs, in_flight))
    seconds = time.perf_counter() - started
    bad = [row.error for row in rows if row.status != "done"]
    if bad:
        raise InputError(f"a generated case could not be done by {model}: {bad[0]}; try another model")
    return seconds

"""From what training is given, a case table's cases or the wish for generated ones, to a source of samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table import Case, check_cases, table_sha256
from StrokeSegLib.errors import InputError
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.dataset import TrainingCase, cached_cases
from StrokeSegLib.training.distributed import Group
from StrokeSegLib.training.pool import FIRST_CASES, Pool, PoolSource, SynthSource, load_heads
from StrokeSegLib.training.recipes import Plan, Recipe
from StrokeSegLib.training.source import Cases, IndexedCases, Source, TableSource

#: A table's cases, cases that are prepared already, or generated ones.
Data = Sequence[Case] | Sequence[TrainingCase] | SynthSource


def training_cases(cases: Sequence[Case] | Sequence[TrainingCase]) -> list[Case]:
    """Those of a table that training may see: split ``train``, or none given."""
    return [case for case in cases if isinstance(case, Case) and case.split in (None, "", "train")]


def check_data(data: Data, recipe: Recipe) -> None:
    """Refuses a table that cannot be trained on, before anything is written.

    Raises:
        InputError: Lists all bad cases at once; or a patient to train on is in another split, too.
    """
    if isinstance(data, SynthSource) or _prepared(data):
        return
    used = training_cases(data)
    if data and not used:
        raise InputError(f"none of the {len(data)} cases is of split train or of none: mark those to train on")
    # A case of no split is trained on, so its patient may not be tested with another case.
    table = [replace(case, split=case.split or "train") for case in data if isinstance(case, Case)]
    check_cases(used, SYSTEMS[recipe.preset.system], recipe.prepare_settings, table=table)


def describe(data: Data) -> dict[str, Any]:
    """What run.json says of the data; no names."""
    if isinstance(data, SynthSource):
        return {
            "kind": "generated images",
            "anatomy": str(data.anatomy) if data.anatomy else "procedural heads",
            "lesions": str(data.lesions) if data.lesions else "procedural lesions",
        }
    if _prepared(data):
        return {"kind": "prepared cases", "cases": len(data)}
    used = training_cases(data)
    readers = {case.truth_by for case in used if case.truth_by}
    reviewed = {"reviewed_cases": sum(case.truth_by is not None for case in used), "readers": len(readers)}
    return {
        "kind": "case table",
        "cases": len(used),
        "patients": len({case.patient_id for case in used}),
        "left_out_by_split": len(data) - len(used),
        "sha256_of_case_ids": hashlib.sha256("\n".join(sorted(case.case_id for case in used)).encode()).hexdigest(),
        **({**reviewed, "table_sha256": table_sha256([c for c in data if isinstance(c, Case)])} if readers else {}),
    }


@contextmanager
def opened(
    data: Data, recipe: Recipe, plan: Plan, group: Group, *, step: int, cache_dir: Path, progress: Progress
) -> Iterator[tuple[Source, Cases]]:
    """Samples for one network, and the cases they come from.

    Args:
        step: Where the training begins; a resumed run generates new images.
        cache_dir: Prepared cases of a table are kept here.
    """
    settings = {**recipe.prepare_settings, **plan.prepare_settings}
    if not isinstance(data, SynthSource) and _prepared(data):
        cases = IndexedCases([case for case in data if isinstance(case, TrainingCase)])
        yield TableSource(cases, plan.draw, plan.seed), cases
        return
    if not isinstance(data, SynthSource):
        if not group.first:
            group.smallest(0)  # the first process prepares, the others wait for it
        system = SYSTEMS[recipe.preset.system]
        cases = IndexedCases(cached_cases(training_cases(data), system, settings, cache_dir, progress))
        if group.first:
            group.smallest(0)
        yield TableSource(cases, plan.draw, plan.seed), cases
        return
    size = recipe.preset.pool_size
    seed = (plan.seed * 7919 + step) * group.world + group.rank
    with Pool(
        load_heads(data),
        recipe.preset.system,
        settings,
        size=size,
        processes=data.processes,
        seed=seed,
        device=str(group.device),
    ) as pool:
        while pool.made < min(FIRST_CASES, size):
            progress("make", pool.made, min(FIRST_CASES, size))
            pool.refresh(wait_for=pool.made + 1)
        progress("make", min(FIRST_CASES, size), min(FIRST_CASES, size))
        yield PoolSource(pool, plan.draw, plan.seed), pool


def _prepared(data: Sequence[Case] | Sequence[TrainingCase]) -> bool:
    return len(data) > 0 and isinstance(data[0], TrainingCase)

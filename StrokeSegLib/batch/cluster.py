"""The cases of a batch on a Dask cluster: each one done once, whatever workers die."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import secrets
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from StrokeSegLib.batch.case import CaseJob, SharedEngine, failed, run_case
from StrokeSegLib.batch.summary import Row
from StrokeSegLib.errors import InputError
from StrokeSegLib.result_folder import clear_abandoned

#: Until the scheduler must have answered, seconds.
CONNECT_S = 15


def connect(address: str, jobs: Sequence[CaseJob]) -> Any:
    """A client of the scheduler whose workers can do the cases.

    Raises:
        InputError: No dask.distributed, no scheduler there, no worker, or workers that can not do the cases.
    """
    if importlib.util.find_spec("distributed") is None:
        raise InputError("--scheduler needs dask.distributed, which is not installed; pip install 'strokeseg[cluster]'")
    distributed: Any = importlib.import_module("distributed")
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address!r} ({type(error).__name__}); "
            "give an address as tcp://host:8786, where dask scheduler runs"
        ) from error
    try:
        _check_workers(client, address, jobs)
    except BaseException:
        client.close()
        raise
    return client


def _check_workers(client: Any, address: str, jobs: Sequence[CaseJob]) -> None:
    try:
        answers = client.run(what_is_missing, jobs[0]) if jobs else {"": ""}
    except Exception as error:
        raise InputError(
            f"the workers at {address} can not run StrokeSeg ({type(error).__name__}: {error}); "
            "install the same version on each of them"
        ) from error
    if not answers:
        raise InputError(f"the scheduler at {address} has no workers: start some with dask worker {address}")
    for worker, missing in answers.items():
        if missing:
            raise InputError(f"the worker {worker} {missing}")


def what_is_missing(job: CaseJob) -> str:
    """Said by a worker: why it can not do a case; empty where it can."""
    from StrokeSegLib.models import find_model

    try:
        card = find_model(job.model).reading(job.inputs)
    except InputError as error:
        return f"has no such model: {error}"
    if card.sha256 != job.sha256:
        return f"has other weights of {card.id} ({card.sha256[:12]}…, needed {job.sha256[:12]}…): install the same"
    for path in job.inputs.values():
        if not Path(path.split("#", maxsplit=1)[0]).exists():
            return f"does not see {path}: images and results must lie on a disk that all workers share"
    return ""


def run_on_cluster(jobs: Sequence[CaseJob], client: Any) -> Generator[Row, None, None]:
    """Has the workers do the cases and yields the rows as they are done.

    A worker that dies loses its case to another one. A case is not done again where its result is there already, so
    that a worker may also die between the writing and the telling.
    """
    as_completed: Any = importlib.import_module("distributed").as_completed
    token = secrets.token_hex(4)
    by_key = {f"strokeseg-{token}-{n}": job for n, job in enumerate(jobs)}
    futures = [client.submit(run_at_worker, job, key=key, pure=False) for key, job in by_key.items()]
    try:
        for future in as_completed(futures, loop=client.loop):
            job = by_key[future.key]
            clear_abandoned(Path(job.out))  # a worker that died may have been in the middle of writing
            if future.status == "finished":
                yield future.result()
            else:
                error = future.exception()
                yield failed(job, f"the cluster gave it up, {type(error).__name__}: {error}")
    finally:
        client.cancel(futures)
        client.close()


@functools.cache
def _engine_of_this_process() -> SharedEngine:
    return SharedEngine()


def run_at_worker(job: CaseJob) -> Row:
    """A case, done by a worker, whose networks stay loaded for the next one."""
    return run_case(job, _engine_of_this_process(), lambda stage, done, total: None)

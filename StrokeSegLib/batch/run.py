"""A batch from its case table to its summary, here or on a cluster; killed or stopped, what is done is there."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from StrokeSegLib.batch.case import CaseJob
from StrokeSegLib.batch.local import run_here
from StrokeSegLib.batch.plan import BatchWish, plan_batch
from StrokeSegLib.batch.summary import Row, result_mark, row_of_result, write_summary
from StrokeSegLib.callbacks import Progress
from StrokeSegLib.models import ModelCard


@dataclass(frozen=True)
class BatchResult:
    """How a batch ended: the model and a row a case; ``kept`` counts those that were done before."""

    card: ModelCard
    rows: tuple[Row, ...]
    kept: int
    notes: tuple[str, ...]

    @property
    def failed(self) -> tuple[Row, ...]:
        """The cases that could not be done."""
        return tuple(row for row in self.rows if row.status == "failed")


def run_batch(wish: BatchWish, progress: Progress) -> BatchResult:
    """Runs a model over all cases; writes ``out``/<case_id>/ as ``segment`` does and ``out``/summary.csv.

    Args:
        wish: What to do.
        progress: Called with ("check", done, total) and then ("cases", done, total) of the cases left to do.

    Raises:
        InputError: Something is wrong that can be told before the first case; nothing was written.
        KeyboardInterrupt: Stopped; cases that were done stay, and the summary says which.
    """
    plan = plan_batch(wish, progress)
    rows = {row.case_id: row for row in plan.rows}
    with closing(_rows(plan.jobs, wish.scheduler)) as ready:
        write_summary(list(rows.values()), plan.card, plan.out)
        done = 0
        try:
            progress("cases", done, len(plan.jobs))
            for row in ready:
                rows[row.case_id] = row
                write_summary(list(rows.values()), plan.card, plan.out)
                done += 1
                progress("cases", done, len(plan.jobs))
        except KeyboardInterrupt:
            ready.close()  # waits for the cases at work, of which one may just have been written
            rows |= {row.case_id: row for row in _written(plan.jobs, rows)}
            write_summary(list(rows.values()), plan.card, plan.out)
            finished = sum(row.status == "done" for row in rows.values())
            raise KeyboardInterrupt(
                f"{finished} of {len(rows)} cases are done and stay in {plan.out}; go on with --resume"
            ) from None
    return BatchResult(plan.card, tuple(rows.values()), len(plan.rows) - len(plan.jobs), plan.notes)


def _rows(jobs: Sequence[CaseJob], scheduler: str | None) -> Generator[Row, None, None]:
    """The rows to come. A cluster is asked here and not at the first row: nothing is written where it can not help."""
    if scheduler is None:
        return run_here(jobs)
    from StrokeSegLib.batch.cluster import connect, run_on_cluster

    return run_on_cluster(jobs, connect(scheduler, jobs))


def _written(jobs: Sequence[CaseJob], rows: dict[str, Row]) -> Iterator[Row]:
    """Cases that were written and whose row was still on its way."""
    for job in jobs:
        folder = Path(job.out)
        if rows[job.case_id].status == "waiting" and result_mark(folder) not in (None, job.replaced):
            row = row_of_result(job.case_id, folder)
            if row is not None:
                yield row

"""Progress with an ETA on stderr: a bar for people, plain lines for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from StrokeSegLib.callbacks import Progress, remaining_s

#: Stages as people read them, in the order of the work.
STAGE_WORDS = {
    "make": "Making a head",
    "cases": "Cases",
    "check": "Checking the cases",
    "count": "Counting intensities",
    "train": "Training",
    "validate": "Validating",
    "read": "Reading",
    "load": "Loading the model",
    "prepare": "Preparing",
    "network": "Looking for lesions",
    "restore": "Back to the scan's grid",
    "measure": "Measuring",
    "write": "Writing",
    "agree": "Comparing raters",
    "register": "Registering the scans",
    "compare": "Comparing the lesions",
}


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A progress callback that draws a bar when stderr is a terminal, and otherwise prints
    ``progress STAGE DONE TOTAL ETA_SECONDS`` a line (ETA ``-`` while unknown)."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description:<24}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Bars(*columns, console=Console(stderr=True)) as bars:
            tasks: dict[str, TaskID] = {}

            def draw(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bars.add_task(STAGE_WORDS.get(stage, stage), total=total)
                bars.update(tasks[stage], completed=done, total=total)

            yield draw
        return
    started: dict[str, tuple[float, int]] = {}

    def tell(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        began, first = started.setdefault(stage, (now, done))
        eta = remaining_s(now - began, done - first, total - done)
        print(f"progress {stage} {done} {total} {'-' if eta is None else f'{eta:.1f}'}", file=sys.stderr, flush=True)

    yield tell

"""The cases of a batch on this machine, several at a time: while one is in the network, others are read or written."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from StrokeSegLib.batch.case import CaseJob, SharedEngine, run_case
from StrokeSegLib.batch.summary import Row
from StrokeSegLib.io.reading import quiet_itk

#: Cases at work at a time, which bounds the memory: one in the network, the others before and after it.
IN_FLIGHT = min(4, (os.cpu_count() or 1) + 1)


def run_here(jobs: Sequence[CaseJob], in_flight: int = IN_FLIGHT) -> Generator[Row, None, None]:
    """Does the cases and yields their rows as they are done, not in order.

    When the caller stops early, or is interrupted, the cases at work are broken off and leave nothing behind.

    Args:
        jobs: What to do.
        in_flight: How many at a time.
    """
    engine, stop = SharedEngine(), threading.Event()

    def go_on(stage: str, done: int, total: int) -> None:
        if stop.is_set():
            raise KeyboardInterrupt

    pool = ThreadPoolExecutor(in_flight, thread_name_prefix="case")
    try:
        with quiet_itk():  # here and not in the threads alone, as ITK has one switch for all
            for done in as_completed([pool.submit(run_case, job, engine, go_on) for job in jobs]):
                yield done.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)

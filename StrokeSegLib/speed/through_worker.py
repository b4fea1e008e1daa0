"""A scan through the worker, as the module in Slicer runs it: cold, first and warm."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from StrokeSegLib.worker.client import Worker


def worker_seconds(model: str, inputs: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Seconds of a worker until it answers, of its first run and of a warm one, with reading and writing.

    Args:
        model: Id or absolute folder.
        inputs: Role -> absolute path.
        out: Absolute folder for the results, made.

    Returns:
        ``worker_cold_start``, ``worker_first_run``, ``worker_warm_run``, and ``worker_overhead``: the warm run over
        what network, reading and writing took of it, less 1.
    """
    worker = Worker([sys.executable, "-m", "StrokeSegLib", "worker"])
    try:
        started = time.perf_counter()
        worker.wait(worker.ask("status", {}))
        cold = time.perf_counter() - started
        seconds = []
        stages: Mapping[str, float] = {}
        for run in ("first", "warm"):
            started = time.perf_counter()
            words = {"model": model, "inputs": {role: str(path) for role, path in inputs.items()}}
            answer = worker.wait(worker.ask("segment", {**words, "out": str(out / run)}))
            seconds.append(time.perf_counter() - started)
            stages = answer["measurements"]["seconds"]
    finally:
        worker.close()
    own = sum(stages.get(name, 0.0) for name in ("read", "network", "write"))
    return {
        "worker_cold_start": cold,
        "worker_first_run": seconds[0],
        "worker_warm_run": seconds[1],
        "worker_overhead": seconds[1] / own - 1,
    }

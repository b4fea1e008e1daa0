"""``strokeseg worker``: serve segmentations and trainings over stdin and stdout, for Slicer and other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError

#: Ten minutes without a job: the memory is worth more then.
IDLE_S = 600.0


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    worker = commands.add_parser("worker", help="serve other programs: JSON-RPC 2.0 on stdin and stdout")
    worker.add_argument("--idle", type=float, default=IDLE_S, metavar="S", help="end after S seconds without a job")
    worker.add_argument(
        "--scratch", type=Path, metavar="DIR", help="the client's temporary folder, removed when the client dies"
    )
    worker.set_defaults(command=_worker)


def _worker(arguments: argparse.Namespace) -> None:
    if not arguments.idle > 0:
        raise InputError(f"--idle is {arguments.idle}; needed more than 0 seconds")

    from StrokeSegLib.worker.jobs import Jobs
    from StrokeSegLib.worker.serving import serve

    jobs = Jobs()
    serve(jobs.methods, idle_s=arguments.idle, scratch=arguments.scratch, models=jobs.models)

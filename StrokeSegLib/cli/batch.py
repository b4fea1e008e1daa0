"""``strokeseg batch``: one model over a whole case table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

#: Exit code when the batch ran to its end and some cases could not be done; summary.csv says which and why.
SOME_FAILED = 3


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    batch = commands.add_parser(
        "batch",
        help="find lesions in all cases of a table",
        description="Writes DIR/<case_id>/ as segment does, and DIR/summary.csv, which is whole at any moment. "
        "A case that can not be done is a row with its error, and the others go on. "
        f"Exit code 0: all cases are done; {SOME_FAILED}: some failed; 2: refused, nothing was written; 130: stopped.",
    )
    batch.add_argument("--model", required=True, metavar="ID", help="a model's id (see strokeseg models) or its folder")
    batch.add_argument(
        "--cases", required=True, type=Path, metavar="TABLE.csv", help="case table (see strokeseg cases)"
    )
    batch.add_argument("--out", required=True, type=Path, metavar="DIR", help="result folder of the batch")
    batch.add_argument("--resume", action="store_true", help="go on with the batch in DIR: failed and open cases only")
    batch.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="run on a Dask cluster, as tcp://host:8786; its workers see the same paths",
    )
    batch.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (%(default)s)")
    batch.add_argument("--backend", default="auto", help="auto, openvino or torch (%(default)s)")
    batch.add_argument("--force", action="store_true", help="replace results that are already in DIR")
    batch.set_defaults(command=_batch)


def _batch(arguments: argparse.Namespace) -> int:
    from StrokeSegLib.batch import BatchWish, run_batch
    from StrokeSegLib.case_table import read_case_table
    from StrokeSegLib.progress import shown_progress

    wish = BatchWish(
        arguments.model,
        read_case_table(arguments.cases),
        arguments.out,
        resume=arguments.resume,
        force=arguments.force,
        scheduler=arguments.scheduler,
        device=arguments.device,
        backend=arguments.backend,
    )
    with shown_progress() as progress:
        result = run_batch(wish, progress)
    for note in result.notes:
        print(f"strokeseg: {note}", file=sys.stderr)
    for row in result.failed:
        print(f"strokeseg: {row.case_id} failed: {row.error}", file=sys.stderr)
    done = len(result.rows) - len(result.failed)
    kept = f" ({result.kept} of them before)" if result.kept else ""
    print(f"strokeseg: {done} of {len(result.rows)} cases done{kept}; results in {arguments.out}", file=sys.stderr)
    return SOME_FAILED if result.failed else 0

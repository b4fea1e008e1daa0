"""``strokeseg evaluate``: a model against the truth of a case table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    evaluate = commands.add_parser("evaluate", help="compare a model with the truth of a case table")
    evaluate.add_argument(
        "--model", required=True, metavar="ID", help="a model's id (see strokeseg models) or its folder"
    )
    evaluate.add_argument(
        "--data", required=True, type=Path, metavar="TABLE.csv", help="case table with a lesion column"
    )
    evaluate.add_argument("--out", required=True, type=Path, metavar="DIR", help="result folder")
    evaluate.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (%(default)s)")
    evaluate.add_argument("--threshold", type=float, metavar="X", help="probability from which a voxel counts")
    evaluate.add_argument("--force", action="store_true", help="replace results that are already in DIR")
    evaluate.set_defaults(command=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.case_table import read_case_table
    from StrokeSegLib.progress import shown_progress
    from StrokeSegLib.training.evaluate import PAGE, evaluate

    with shown_progress() as progress:
        done = evaluate(
            arguments.model,
            read_case_table(arguments.data),
            arguments.out,
            data_name=arguments.data.name,
            device=arguments.device,
            threshold=arguments.threshold,
            force=arguments.force,
            progress=progress,
        )
    for label in done.summary["labels"]:
        if label["lesion_bearing"]:
            dice = label["lesion_bearing"]["dice"]
            interval = "" if dice["ci95"] is None else "95% CI {:.3f} to {:.3f}; ".format(*dice["ci95"])
            print(
                f"{label['name']}: Dice {dice['mean']:.3f} ({interval}{dice['count']} cases with a lesion, "
                f"{dice['patients']} patients)"
            )
    print(f"Look at {arguments.out / PAGE}. Research use only, not a medical device.")
    if done.failed:
        first = done.failed[0]
        raise InputError(
            f"{len(done.failed)} of {len(done.cases)} cases could not be evaluated (the others are in "
            f"{arguments.out}); {first.case_id}: {first.error}"
        )
    print(f"strokeseg: all {len(done.cases)} cases evaluated", file=sys.stderr)

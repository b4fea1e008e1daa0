"""``strokeseg agreement``: how well readers and models agree."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    agreement = commands.add_parser("agreement", help="how well readers and models agree")
    agreement.add_argument("--study", type=Path, metavar="DIR", help="study folder")
    agreement.add_argument(
        "--table",
        type=Path,
        metavar="CSV",
        help="instead of a study: case_id, rater, path of the label map; optionally patient_id, kind, class, image",
    )
    agreement.add_argument("--out", required=True, type=Path, metavar="DIR", help="result folder")
    agreement.add_argument(
        "--group", action="append", default=[], metavar="A,B,...", help="raters to look at together (repeatable)"
    )
    agreement.add_argument("--reference", metavar="RATER", help="whose class counts as true in the table of errors")
    agreement.add_argument("--json", action="store_true", help="print agreement.json on stdout")
    agreement.add_argument("--force", action="store_true", help="replace results that are already in DIR")
    agreement.set_defaults(command=_agreement)


def _agreement(arguments: argparse.Namespace) -> None:
    if (arguments.study is None) == (arguments.table is None):
        raise InputError("agreement needs ratings, got both or none of --study DIR and --table CSV: give one")

    from StrokeSegLib.agreement.ratings import read_ratings_table
    from StrokeSegLib.agreement.run import PAGE, agree
    from StrokeSegLib.progress import shown_progress

    notes: tuple[str, ...] = ()
    if arguments.study is not None:
        from StrokeSegLib.agreement.from_study import ratings_of_study

        ratings, notes = ratings_of_study(arguments.study)
    else:
        ratings = read_ratings_table(arguments.table)
    with shown_progress() as progress:
        summary = agree(
            ratings,
            arguments.out,
            source=(arguments.study or arguments.table).name,
            notes=notes,
            groups=[[name.strip() for name in group.split(",") if name.strip()] for group in arguments.group],
            reference=arguments.reference,
            force=arguments.force,
            progress=progress,
        )
    if arguments.json:
        print(json.dumps(summary, indent=2))
    print(
        f"strokeseg: {len(summary['raters'])} raters, {summary['cases']} cases; look at {arguments.out / PAGE}",
        file=sys.stderr,
    )

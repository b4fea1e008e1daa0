"""``strokeseg followup``: two time points of one patient."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    followup = commands.add_parser("followup", help="what changed between two scans of one patient")
    for when in ("before", "after"):
        followup.add_argument(
            f"--{when}",
            required=True,
            type=Path,
            metavar="RESULT",
            help="a result folder of strokeseg segment, or a label map",
        )
        followup.add_argument(
            f"--{when}-image", type=Path, metavar="PATH", help="its scan, where the result does not name it"
        )
    followup.add_argument("--out", required=True, type=Path, metavar="DIR", help="result folder")
    followup.add_argument("--json", action="store_true", help="print followup.json on stdout")
    followup.add_argument("--force", action="store_true", help="replace results that are already in DIR")
    followup.set_defaults(command=_followup)


def _followup(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.followup.run import PAGE, follow_up
    from StrokeSegLib.followup.time_point import read_time_point
    from StrokeSegLib.progress import shown_progress
    from StrokeSegLib.result_folder import check_target

    check_target(arguments.out, force=arguments.force)
    before = read_time_point(arguments.before, arguments.before_image)
    after = read_time_point(arguments.after, arguments.after_image)
    with shown_progress() as progress:
        summary = follow_up(before, after, arguments.out, force=arguments.force, progress=progress)
    if arguments.json:
        print(json.dumps(summary, indent=2))
    for warning in summary["warnings"]:
        print(f"strokeseg: {warning}", file=sys.stderr)
    changes = ", ".join(f"{one['name']} {one['change_ml']:+.1f} mL" for one in summary["labels"]) or "no lesion"
    print(f"strokeseg: {changes}; look at {arguments.out / PAGE}", file=sys.stderr)

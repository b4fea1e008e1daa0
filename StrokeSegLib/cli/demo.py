"""``strokeseg demo``: a generated head with a stroke, found, measured, drawn."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    demo = commands.add_parser("demo", help="make a head with a stroke, find it, draw it; needs no data")
    demo.add_argument(
        "--out", type=Path, default=Path("demo-output"), metavar="DIR", help="result folder (%(default)s)"
    )
    demo.set_defaults(command=_demo)


def _demo(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.demo import run_demo
    from StrokeSegLib.progress import shown_progress

    with shown_progress() as progress:
        lines = run_demo(arguments.out, progress)
    print("\n".join(lines))

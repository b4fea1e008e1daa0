"""``strokeseg cases``: a public dataset's folder as a case table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    cases = commands.add_parser("cases", help="turn a dataset's folder into a case table")
    cases.add_argument("folder", type=Path, metavar="FOLDER", help="the dataset's top folder")
    cases.add_argument("--out", required=True, type=Path, metavar="TABLE.csv", help="the case table to write")
    cases.add_argument(
        "--layout",
        metavar="NAME",
        help="isles2015, isles2018, isles2022, nnunet or bids; found from the folder if left out",
    )
    cases.add_argument(
        "--patients", type=Path, metavar="LIST.csv", help="lines CASE,PATIENT, for layouts that do not name patients"
    )
    cases.add_argument("--force", action="store_true", help="replace a table that is already there")
    cases.set_defaults(command=_cases)


def _cases(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.case_table import write_case_table
    from StrokeSegLib.readers import LAYOUTS, read_layout

    if arguments.out.is_dir():
        raise InputError(f"{arguments.out} is a folder, the name of a table is needed: give {arguments.out}/cases.csv")
    if arguments.out.exists() and not arguments.force:
        raise InputError(f"{arguments.out} is already there, a new name is needed: choose another, or give --force")
    layout, cases = read_layout(arguments.folder, arguments.layout, patients=arguments.patients)
    write_case_table(cases, arguments.out)
    patients = len({case.patient_id for case in cases})
    without = sum(case.lesion is None for case in cases)
    print(
        f"{arguments.out}: {len(cases)} cases of {patients} patients from a folder of layout {layout}"
        + (f", {without} of them without a lesion mask" if without else ""),
        file=sys.stderr,
    )
    if arguments.patients is None:
        print(f"patients: {LAYOUTS[layout].assumption}", file=sys.stderr)

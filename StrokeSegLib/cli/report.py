"""``strokeseg report``: the report of a case, for reading, signing and sending to an archive."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    report = commands.add_parser("report", help="write the report of a case: page, PDF, JSON, DICOM SEG and SR")
    report.add_argument("--result", required=True, type=Path, metavar="DIR", help="result folder of strokeseg segment")
    report.add_argument("--out", type=Path, metavar="DIR", help="where the report goes (DIR/report)")
    report.add_argument(
        "--mask", type=Path, metavar="FILE", help="corrected mask (corrected.nii.gz in the result folder)"
    )
    report.add_argument("--source", metavar="FOLDER[#SERIES_UID]", help="DICOM series that was segmented (first input)")
    report.add_argument("--patient", action="store_true", help="say whose scan it is on page, PDF and JSON")
    report.add_argument(
        "--reader", metavar="NAME", help="who accepts the result; without, it is reported as not signed"
    )
    report.add_argument("--signed-at", metavar="ISO", help="when, as 2030-01-31T14:05+01:00 (now)")
    report.add_argument("--dicom", action="store_true", help="write DICOM SEG and SR too, with the patient's identity")
    report.add_argument("--force", action="store_true", help="replace a report that is already there")
    report.set_defaults(command=_report)


def _report(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.report.case_content import Signature
    from StrokeSegLib.report.case_report import ReportRequest, write_case_report

    signed_at = signing_time(arguments.signed_at)
    reader = None if arguments.reader is None else " ".join(arguments.reader.split())
    if reader == "":
        raise InputError("--reader is empty, a name is needed: write as --reader 'Anna Smith'")
    if reader is None and arguments.signed_at is not None:
        raise InputError("--signed-at says when, but not who signed: add --reader NAME")
    told = write_case_report(
        ReportRequest(
            result=arguments.result,
            out=arguments.out,
            mask=arguments.mask,
            source=arguments.source,
            patient=arguments.patient,
            signature=None if reader is None else Signature(reader, signed_at),
            dicom=arguments.dicom,
        ),
        force=arguments.force,
    )
    for line in told:
        print(f"strokeseg: {line}", file=sys.stderr)


def signing_time(text: str | None) -> datetime:
    """A time with its zone; the computer's zone where the text names none, now without a text.

    Raises:
        InputError: It is no time.
    """
    try:
        time = datetime.now() if text is None else datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--signed-at got {text!r}, a time is needed: write as 2030-01-31T14:05+01:00") from error
    return time if time.tzinfo is not None else time.astimezone()

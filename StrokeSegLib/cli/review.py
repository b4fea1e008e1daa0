"""``strokeseg review``: make a study for readers, see how far they are, check its files, and train from it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from StrokeSegLib.errors import InputError

if TYPE_CHECKING:
    from StrokeSegLib.review import Study


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    review = commands.add_parser("review", help="studies for readers: create, adjudicator, status, table, check")
    kinds = review.add_subparsers(
        required=True, metavar="create|adjudicator|status|table|check", parser_class=type(review)
    )
    create = kinds.add_parser("create", help="make a study of the cases of a table")
    create.add_argument("--out", required=True, metavar="STUDY", help="folder of the study, new or empty")
    create.add_argument("--cases", required=True, metavar="TABLE", help="case table (.csv)")
    create.add_argument(
        "--results", type=Path, metavar="DIR", help="model results, DIR/<case_id>/ as strokeseg batch writes them"
    )
    create.add_argument("--copy", action="store_true", help="copy the results into the study")
    create.set_defaults(command=_create)
    adjudicator = kinds.add_parser("adjudicator", help="name who settles what the readers disagree on")
    adjudicator.add_argument("study", metavar="STUDY")
    adjudicator.add_argument("reader", metavar="ID", help="pseudonym of somebody who has read no case of the study")
    adjudicator.set_defaults(command=_adjudicator)
    status = kinds.add_parser("status", help="how far the readers are")
    status.add_argument("study", metavar="STUDY")
    status.add_argument("--json", action="store_true", help="print JSON on stdout")
    status.set_defaults(command=_status)
    table = kinds.add_parser("table", help="write the accepted cases as a case table for strokeseg train")
    table.add_argument("study", metavar="STUDY")
    table.add_argument("--out", required=True, type=Path, metavar="TABLE", help="case table (.csv)")
    table.add_argument("--reader", metavar="ID", help="whose word counts (in each case: who signed last)")
    table.set_defaults(command=_table)
    check = kinds.add_parser("check", help="find torn, foreign, missing and changed files")
    check.add_argument("study", metavar="STUDY")
    check.set_defaults(command=_check)


def _create(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.case_table import read_case_table
    from StrokeSegLib.review import create_study

    if arguments.copy and arguments.results is None:
        raise InputError("--copy is for the results of a model, none were given: add --results DIR, or leave it out")
    cases = read_case_table(arguments.cases)
    study = create_study(arguments.out, cases, arguments.results, copy=arguments.copy)
    seen = sum(bool(study.results(case_id)) for case_id in study.case_ids)
    print(f"strokeseg: {len(cases)} cases, {seen} with a model's result; the study is {study.folder}", file=sys.stderr)


def _adjudicator(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.review import disagreements, name_adjudicator, open_study

    study = open_study(arguments.study)
    name_adjudicator(study, arguments.reader)
    waiting = sum(each.settled_by is None for each in disagreements(study).values())
    wait = f"{waiting} case{' waits' if waiting == 1 else 's wait'} for a decision"
    print(f"strokeseg: {arguments.reader} is an adjudicator of {study.folder}; {wait}", file=sys.stderr)


def _status(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.review import open_study

    study = open_study(arguments.study)
    content = _content(study)
    if arguments.json:
        print(json.dumps(content, indent=2))
        return
    print(f"{len(study.case_ids)} cases")
    for reader, summary in content["readers"].items():
        counts = ", ".join(f"{count} {status}" for status, count in summary["cases"].items() if count)
        print(f"{reader}: {counts}; {summary['signed']} signed; {summary['seconds'] / 60:.1f} min")
    for case_id, one in content["disagreements"].items():
        why = (
            f"Dice {one['dice']:.2f}" if one["dice"] is not None else "other decisions, a flag, or a mask that is gone"
        )
        print(f"{case_id}: {' and '.join(one['readers'])} ({why}); {one['settled_by'] or 'nobody'} settled it")


def _content(study: Study) -> dict[str, Any]:
    """What ``--json`` prints: per reader the number of cases by status, and per case each reader's reading."""
    from StrokeSegLib.review import STATUSES, CaseReading, disagreements, study_state

    state = study_state(study)
    readers: dict[str, Any] = {}
    for reader in study.readers():
        own = [state.get(each, {}).get(reader) or CaseReading(each, reader) for each in study.case_ids]
        readers[reader] = {
            "cases": {status: sum(reading.status == status for reading in own) for status in STATUSES},
            "signed": sum(reading.signature is not None for reading in own),
            "seconds": round(sum(reading.seconds for reading in own), 3),
        }
    cases = {
        case_id: {
            reader: {
                "status": reading.status,
                "version": reading.version,
                "signed_utc": reading.signature.at_utc if reading.signature else None,
                "seconds": round(reading.seconds, 3),
                "reason": reading.reason,
            }
            for reader, reading in sorted(state.get(case_id, {}).items())
        }
        for case_id in study.case_ids
    }
    open_ones = {
        case_id: {"readers": list(one.readers), "dice": one.dice, "settled_by": one.settled_by}
        for case_id, one in disagreements(study).items()
    }
    who = list(study.adjudicators())
    return {
        "study_id": study.study_id, "readers": readers, "cases": cases, "adjudicators": who, "disagreements": open_ones
    }  # fmt: skip


def _table(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.case_table import table_sha256, write_case_table
    from StrokeSegLib.review import open_study, reviewed_cases

    cases = reviewed_cases(open_study(arguments.study), arguments.reader)
    write_case_table(cases, arguments.out)
    readers = len({case.truth_by for case in cases})
    print(
        f"strokeseg: {len(cases)} accepted cases of {readers} reader{'s' if readers > 1 else ''} in {arguments.out} "
        f"(SHA-256 {table_sha256(cases)})",
        file=sys.stderr,
    )


def _check(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.progress import shown_progress
    from StrokeSegLib.review import check_study, open_study

    study = open_study(arguments.study)
    with shown_progress() as progress:
        findings = check_study(study, progress)
    for finding in findings:
        print(f"{finding.path}: {finding.what}")
    if findings:
        raise InputError(f"{len(findings)} files of {study.folder} are not in order, see above; all others are whole")
    print(f"strokeseg: {len(study.events())} events, all files are in order", file=sys.stderr)

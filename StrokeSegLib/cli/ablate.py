"""``strokeseg ablate``: the ablation tables of two papers on your cases; the reader study of one from its counts."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from StrokeSegLib.cli.crossval import add_fold_words, can_go_on, check_torch, refuse_errors


class _ReaderStudy(argparse.Action):
    """Prints the study and ends, as --version does: it needs no cases."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: Any) -> NoReturn:
        from StrokeSegLib.training.reader_study import reader_study_lines

        print("\n".join(reader_study_lines()))
        parser.exit()


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    ablate = commands.add_parser("ablate", help="repeat the papers' ablation tables on your cases")
    ablate.add_argument("--system", required=True, metavar="NAME", help="noncontrast-ct or three-projection")
    ablate.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="some of the rows (all)")
    ablate.add_argument(
        "--reader-study",
        nargs=0,
        action=_ReaderStudy,
        help="print table 2 of three-projection from its counts, and end",
    )
    add_fold_words(ablate)
    ablate.set_defaults(command=_ablate)


def _ablate(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.case_table import read_case_table
    from StrokeSegLib.progress import shown_progress
    from StrokeSegLib.training.ablate import TEXT, ablate

    check_torch()
    cases = read_case_table(arguments.data)
    with can_go_on(arguments.out), shown_progress() as progress:
        result = ablate(
            arguments.system,
            cases,
            arguments.out,
            rows=arguments.rows,
            words=arguments.set,
            folds=arguments.folds,
            device=arguments.device,
            progress=progress,
        )
    print((arguments.out / TEXT).read_text(encoding="utf-8"), end="")
    errors = [error for row in result["rows"] if "ours" in row for error in row["ours"]["errors"]]
    refuse_errors(errors, arguments.out)

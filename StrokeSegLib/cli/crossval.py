"""``strokeseg crossval``: train and judge by patient-wise folds."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    crossval = commands.add_parser("crossval", help="train and evaluate by folds of patients")
    crossval.add_argument("--system", required=True, metavar="NAME", help="mri, noncontrast-ct, ...")
    crossval.add_argument("--preset", default="paper", help="paper or bundled (%(default)s)")
    add_fold_words(crossval)
    crossval.set_defaults(command=_crossval)


def add_fold_words(parser: Any) -> None:
    """The words that crossval and ablate share."""
    parser.add_argument("--data", required=True, type=Path, metavar="TABLE.csv", help="case table with a lesion column")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="result folder; a stopped run goes on")
    parser.add_argument("--folds", type=int, default=5, metavar="K", help="number of folds (%(default)s)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change the preset")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (%(default)s)")


def check_torch() -> None:
    """Says at once what training would miss only after the images are read.

    Raises:
        InputError: There is no torch.
    """
    if importlib.util.find_spec("torch") is None:
        raise InputError("training needs torch, which is not installed; pip install 'strokeseg[train]'")


@contextmanager
def can_go_on(out: Path) -> Iterator[None]:
    """Says, where the user stops the work, that it can be gone on with."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"what is done stays in {out}; the same words go on from there") from None


def refuse_errors(errors: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Lets the exit code say that held-out cases are missing from the numbers.

    Raises:
        InputError: There are any.
    """
    if errors:
        raise InputError(
            f"{len(errors)} held-out cases could not be evaluated and are in no number (see {out}); "
            f"{errors[0]['case_id']}: {errors[0]['error']}"
        )


def _crossval(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.case_table import read_case_table
    from StrokeSegLib.progress import shown_progress
    from StrokeSegLib.training.ablate_table import crossval_lines
    from StrokeSegLib.training.crossval import cross_validate
    from StrokeSegLib.training.presets import find_preset, with_settings

    preset = with_settings(find_preset(arguments.system, arguments.preset), arguments.set)
    check_torch()
    cases = read_case_table(arguments.data)
    with can_go_on(arguments.out), shown_progress() as progress:
        result = cross_validate(
            preset, cases, arguments.out, folds=arguments.folds, device=arguments.device, progress=progress
        )
    print("\n".join(crossval_lines(result)))
    refuse_errors(result["errors"], arguments.out)

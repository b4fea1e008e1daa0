"""The ``strokeseg`` command: words in, one line of error or results out. One file a command."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from StrokeSegLib import __version__
from StrokeSegLib.errors import InputError

#: 0 done; 1 a fault of ours; 2 the input or the words were wrong.
DONE, FAULT, WRONG_INPUT = 0, 1, 2

#: Files of this folder, in the order of ``strokeseg --help``; each has ``add_parser(commands)``.
COMMANDS = (
    "demo",
    "models",
    "segment",
    "batch",
    "train",
    "evaluate",
    "crossval",
    "ablate",
    "agreement",
    "followup",
    "review",
    "report",
    "synth",
    "export",
    "benchmark",
    "cases",
    "worker",
)


class _Parser(argparse.ArgumentParser):
    """Wrong words become one line, as every other wrong input does."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def run() -> None:
    """Entry point of the installed command."""
    sys.exit(main())


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    try:
        arguments = _parser().parse_args(words)
        command: Callable[[argparse.Namespace], int | None] = arguments.command
        return command(arguments) or DONE
    except InputError as error:
        print(f"strokeseg: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt as stop:
        print(f"strokeseg: cancelled; {stop.args[0] if stop.args else 'nothing was written'}", file=sys.stderr)
        return 130
    except MemoryError:
        print("strokeseg: out of memory; close other programs or use a machine with more", file=sys.stderr)
        return FAULT


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="strokeseg", description="Finds stroke lesions on CT and MRI. Research use, no medical device."
    )
    parser.add_argument("--version", action="version", version=f"strokeseg {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    for name in COMMANDS:
        importlib.import_module(f"StrokeSegLib.cli.{name}").add_parser(commands)
    return parser

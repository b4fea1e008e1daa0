"""The ``strokeseg`` command: words in, one line of error or results out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from StrokeSegLib import __version__
from StrokeSegLib.errors import InputError

#: 0 done; 1 a fault of ours; 2 the input or the words were wrong.
DONE, FAULT, WRONG_INPUT = 0, 1, 2


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
        command: Callable[[argparse.Namespace], None] = arguments.command
        command(arguments)
    except InputError as error:
        print(f"strokeseg: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("strokeseg: cancelled; nothing was written", file=sys.stderr)
        return 130
    except MemoryError:
        print("strokeseg: out of memory; close other programs or use a machine with more", file=sys.stderr)
        return FAULT
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="strokeseg", description="Finds stroke lesions on CT and MRI. Research use, no medical device."
    )
    parser.add_argument("--version", action="version", version=f"strokeseg {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    demo = commands.add_parser("demo", help="make a head with a stroke, find it, draw it; needs no data")
    demo.add_argument(
        "--out", type=Path, default=Path("demo-output"), metavar="DIR", help="result folder (%(default)s)"
    )
    demo.set_defaults(command=_demo)

    models = commands.add_parser("models", help="list the bundled models")
    models.add_argument("--json", action="store_true", help="as JSON")
    models.set_defaults(command=_models)

    segment = commands.add_parser("segment", help="find lesions in one case")
    segment.add_argument("inputs", nargs="+", metavar="ROLE=PATH", help="as dwi=FILE or adc=DICOM_FOLDER[#SERIES_UID]")
    segment.add_argument(
        "--model", required=True, metavar="ID", help="a model's id (see strokeseg models) or its folder"
    )
    segment.add_argument("--out", required=True, type=Path, metavar="DIR", help="result folder")
    segment.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (%(default)s)")
    segment.add_argument("--backend", default="auto", help="auto, openvino or torch (%(default)s)")
    segment.add_argument("--threshold", type=float, metavar="X", help="probability from which a voxel counts")
    segment.add_argument("--json", action="store_true", help="print measurements.json on stdout")
    segment.add_argument("--force", action="store_true", help="replace results that are already in DIR")
    segment.set_defaults(command=_segment)
    return parser


def _demo(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.demo import run_demo
    from StrokeSegLib.progress import shown_progress

    with shown_progress() as progress:
        lines = run_demo(arguments.out, progress)
    print("\n".join(lines))


def _models(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.models import list_models

    cards = list_models()
    if arguments.json:
        print(json.dumps([card.summary() for card in cards], indent=2))
        return
    for card in cards:
        inputs = ", ".join(i.role + ("" if i.required else " (optional)") for i in card.inputs)
        labels = ", ".join(label.name for label in card.labels)
        print(
            f"{card.id}  {card.version}  {card.title}\n"
            f"    inputs: {inputs}\n    finds:  {labels}\n    card:   {card.folder}"
        )


def _segment(arguments: argparse.Namespace) -> None:
    inputs = parse_inputs(arguments.inputs)

    from StrokeSegLib.models import find_model
    from StrokeSegLib.progress import shown_progress
    from StrokeSegLib.result_folder import check_target
    from StrokeSegLib.segmentation import check_roles, segment

    # What can be told at once is told before the images are read.
    check_roles(find_model(arguments.model), tuple(inputs))
    check_target(arguments.out, force=arguments.force)
    with shown_progress() as progress:
        result = segment(
            inputs,
            arguments.model,
            arguments.device,
            progress,
            backend=arguments.backend,
            threshold=arguments.threshold,
        )
        progress("write", 0, 1)
        result.write(arguments.out, force=arguments.force)
        progress("write", 1, 1)
    if arguments.json:
        print(json.dumps(result.measurements, indent=2))
    print(summary_line(result.measurements, arguments.out), file=sys.stderr)


def parse_inputs(words: Sequence[str]) -> dict[str, str]:
    """``ROLE=PATH`` words as a dict, in order.

    Raises:
        InputError: A word has no ``=``, an empty side, or a role comes twice.
    """
    inputs: dict[str, str] = {}
    for word in words:
        role, mark, path = word.partition("=")
        if not mark or not role or not path:
            raise InputError(f"expected ROLE=PATH, got {word!r}; write as dwi=/path/to/dwi.nii.gz")
        if role in inputs:
            raise InputError(f"role {role} is given twice ({inputs[role]} and {path}); give each role once")
        inputs[role] = path
    return inputs


def summary_line(measurements: dict[str, Any], out: Path) -> str:
    """One sentence about a result."""
    count = len(measurements["lesions"])
    found = (
        f"{count} lesion{'s' if count != 1 else ''}, {measurements['total_volume_ml']:.1f} mL in all"
        if count
        else ("no lesion found")
    )
    return f"strokeseg: {found}; results in {out}"

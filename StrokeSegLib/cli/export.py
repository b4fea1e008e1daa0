"""``strokeseg export``: a model, or a trained run, for other programs."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError

FORMATS = ("onnx", "monai-bundle", "model")
#: ``--calibrate`` on generated cases.
SYNTH = "synth"
#: What each format needs besides the plain install.
NEEDS = {"onnx": ("onnx",), "monai-bundle": ("torch",), "model": ("torch", "onnx", "onnxscript")}


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    export = commands.add_parser("export", help="write a model or a trained run as ONNX, MONAI bundle or model folder")
    export.add_argument("--model", required=True, metavar="ID|DIR", help="a model's id or folder, or a run's folder")
    export.add_argument("--format", required=True, metavar="NAME", help=f"{', '.join(FORMATS)} (of a run)")
    export.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    export.add_argument("--id", metavar="NAME", help="of the new model, for --format model (the folder's name)")
    export.add_argument(
        "--calibrate",
        metavar="TABLE",
        help="for --format model: choose temperature, thresholds and smallest lesion on a case table, or on synth",
    )
    export.add_argument("--cases", type=int, default=60, metavar="N", help="cases for --calibrate synth (%(default)s)")
    export.add_argument("--anatomy", type=Path, metavar="DIR", help="head label maps, for --calibrate synth")
    export.add_argument("--lesions", type=Path, metavar="DIR", help="lesion masks, for --calibrate synth")
    export.add_argument("--force", action="store_true", help="replace what is already in DIR")
    export.set_defaults(command=_export)


def _export(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.progress import shown_progress

    _check_words(arguments)
    with shown_progress() as progress:
        if arguments.format == "model":
            what = _export_model(arguments, progress)
        else:
            what = _export_for_others(arguments, progress)
    print(f"strokeseg: exported to {arguments.out}: {what}", file=sys.stderr)


def _check_words(arguments: argparse.Namespace) -> None:
    """What can be told before anything heavy is loaded."""
    if arguments.format not in FORMATS:
        raise InputError(f"unknown format {arguments.format!r}; known: {', '.join(FORMATS)}")
    missing = [name for name in NEEDS[arguments.format] if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"format {arguments.format} needs {', '.join(missing)}, not installed here; pip install 'strokeseg[train]'"
        )
    if arguments.format != "model" and (arguments.calibrate or arguments.id):
        raise InputError(f"--calibrate and --id go with --format model, got {arguments.format}; leave them out")
    if arguments.calibrate != SYNTH and (arguments.anatomy or arguments.lesions):
        raise InputError("--anatomy and --lesions are for --calibrate synth; leave them out")
    if arguments.cases < 1:
        raise InputError(f"--cases must be at least 1, got {arguments.cases}")


def _export_model(arguments: argparse.Namespace, progress: Any) -> str:
    from StrokeSegLib.training.export import export_run, refuse_existing
    from StrokeSegLib.training.run_folder import read_run

    run = Path(arguments.model)
    record = read_run(run)
    refuse_existing(arguments.out, force=arguments.force)
    card = export_run(
        run,
        arguments.out,
        model_id=arguments.id,
        calibration=_calibration(arguments, run, record["system"]),
        force=arguments.force,
        progress=progress,
    )
    return f"model {card.id}"


def _calibration(arguments: argparse.Namespace, run: Path, system_name: str) -> Any:
    if arguments.calibrate is None:
        return ()
    from StrokeSegLib.case_table import read_case_table
    from StrokeSegLib.systems import SYSTEMS
    from StrokeSegLib.training.calibrate import held_out_cases, known_cases
    from StrokeSegLib.training.export import read_prepare_settings
    from StrokeSegLib.training.pool import SynthSource

    if arguments.calibrate == SYNTH:
        source, settings = SynthSource(arguments.anatomy, arguments.lesions), read_prepare_settings(run)
        return held_out_cases(source, system_name, arguments.cases, prepare_settings=settings)
    system = SYSTEMS[system_name]
    return known_cases(read_case_table(Path(arguments.calibrate)), (*system.required, *system.optional))


def _export_for_others(arguments: argparse.Namespace, progress: Any) -> str:
    import tempfile

    from StrokeSegLib.models import find_model
    from StrokeSegLib.result_folder import staged_results
    from StrokeSegLib.training.run_folder import RUN

    with tempfile.TemporaryDirectory(prefix="strokeseg-") as temporary:
        folder = arguments.model
        if (Path(folder) / RUN).is_file():
            from StrokeSegLib.training.export import export_run

            name = Path(folder).resolve().name
            folder = str(export_run(Path(folder), Path(temporary) / name, progress=progress).folder)
        card = find_model(folder)
        if arguments.format == "onnx":
            from StrokeSegLib.training.onnx_file import onnx_name, write_onnx

            made = [onnx_name(card, network) for network in card.networks]
            write: Any = write_onnx
        else:
            from StrokeSegLib.training.monai_bundle import write_bundle

            made, write = ["configs", "models", "docs"], write_bundle
        there = [name for name in made if (arguments.out / name).exists()]
        if there and not arguments.force:
            raise InputError(
                f"{arguments.out} already holds {', '.join(there)}; choose another folder, or replace it with --force"
            )
        with staged_results(arguments.out, force=True) as stage:
            write(card, stage)
    inside = "".join(f", without the specialist that is in it: export {one.folder}, too" for one in card.specialists)
    return f"{card.id} as {arguments.format}{inside}"

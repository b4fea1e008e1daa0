"""``strokeseg train``: train a system's networks on a case table, or on generated images."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError

#: ``--data`` for generated images.
SYNTH = "synth"


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    train = commands.add_parser("train", help="train a system on your cases, or on generated images")
    train.add_argument(
        "--system", required=True, metavar="NAME", help="ct-perfusion, noncontrast-ct, mri or three-projection"
    )
    train.add_argument(
        "--preset", default="bundled", metavar="NAME", help="paper (as published) or bundled (ours; %(default)s)"
    )
    train.add_argument("--data", required=True, metavar="TABLE", help="case table (.csv), or synth: generated images")
    train.add_argument("--out", required=True, type=Path, metavar="DIR", help="run folder")
    train.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a preset's setting; may be repeated"
    )
    train.add_argument("--init", metavar="MODEL", help="begin with the weights of a model (its id or folder)")
    train.add_argument("--resume", action="store_true", help="go on with the run in DIR, if there is one")
    train.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (%(default)s)")
    train.add_argument("--cache", type=Path, metavar="DIR", help="where prepared cases are kept (DIR/cache of the run)")
    train.add_argument("--anatomy", type=Path, metavar="DIR", help="head label maps, for --data synth")
    train.add_argument("--lesions", type=Path, metavar="DIR", help="lesion masks, for --data synth")
    train.add_argument("--processes", type=int, default=1, metavar="N", help="processes that generate (%(default)s)")
    train.set_defaults(command=_train)


def _train(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.training.presets import find_preset, with_settings

    # What can be told at once is told before torch is loaded and images are read.
    preset = with_settings(find_preset(arguments.system, arguments.preset), arguments.set)
    _check_words(arguments)
    if importlib.util.find_spec("torch") is None:
        raise InputError("training needs torch, which is not installed; pip install 'strokeseg[train]'")

    from StrokeSegLib.case_table import read_case_table
    from StrokeSegLib.progress import shown_progress
    from StrokeSegLib.training.distributed import is_first_process
    from StrokeSegLib.training.loop import train
    from StrokeSegLib.training.pool import SynthSource

    data = (
        SynthSource(arguments.anatomy, arguments.lesions, arguments.processes)
        if arguments.data == SYNTH
        else read_case_table(Path(arguments.data))
    )
    try:
        with shown_progress() as progress:
            run = train(
                preset,
                data,
                arguments.out,
                resume=arguments.resume,
                init=arguments.init,
                device=arguments.device,
                progress=progress,
                cache_dir=arguments.cache,
            )
    except KeyboardInterrupt:
        print(f"strokeseg: stopped; go on with --resume --out {arguments.out}", file=sys.stderr)
        raise SystemExit(130) from None
    if is_first_process():
        print(f"strokeseg: trained ({preset.name}); the run is in {run}", file=sys.stderr)


def _check_words(arguments: argparse.Namespace) -> None:
    if arguments.data == SYNTH:
        if arguments.processes < 1:
            raise InputError(f"--processes is {arguments.processes}; needed at least 1")
    elif arguments.anatomy or arguments.lesions:
        raise InputError(f"--anatomy and --lesions are for --data {SYNTH}, got --data {arguments.data}; leave them out")

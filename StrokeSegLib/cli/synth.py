"""``strokeseg synth``: images with known truth, for training and testing."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

#: Cases a modality on a gallery's sheet.
GALLERY_CASES = 6


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
    synth = commands.add_parser("synth", help="generate images with known truth")
    synth.add_argument("--modality", choices=("ct", "mri", "ctp"), help="what to generate; all for a gallery")
    synth.add_argument("--count", type=int, default=10, metavar="N", help="number of cases (%(default)s)")
    synth.add_argument("--seed", type=int, default=0, metavar="S", help="the same seed, the same cases (%(default)s)")
    synth.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for the set; an unfinished one goes on"
    )
    synth.add_argument(
        "--anatomy", type=Path, metavar="DIR", help="label maps of heads (*.nii.gz); else procedural heads"
    )
    synth.add_argument("--lesions", type=Path, metavar="DIR", help="lesion masks (*.nii.gz); else procedural lesions")
    synth.add_argument("--healthy", type=float, metavar="P", help="part of the cases without a lesion, 0 to 1")
    synth.add_argument("--series", action="store_true", help="write the 4D series too (ctp)")
    synth.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="made side by side (%(default)s)"
    )
    synth.add_argument("--gallery", action="store_true", help="write one picture a modality into DIR instead of a set")
    synth.add_argument("--force", action="store_true", help="replace a set or pictures that are already in DIR")
    synth.set_defaults(command=_synth)


def _synth(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.errors import InputError
    from StrokeSegLib.progress import shown_progress
    from StrokeSegLib.synth.sources import MODALITIES, load_sources
    from StrokeSegLib.synth_set import SetSettings, check_settings, write_set

    if arguments.modality is None and not arguments.gallery:
        raise InputError("nothing to generate: name --modality ct, mri or ctp, or ask for a --gallery")
    modalities = (arguments.modality,) if arguments.modality else MODALITIES
    settings = [
        SetSettings(
            modality,
            arguments.seed,
            arguments.healthy,
            arguments.series,
            arguments.anatomy and arguments.anatomy.name,
            arguments.lesions and arguments.lesions.name,
        )
        for modality in modalities
    ]
    for one in settings:
        check_settings(one, arguments.count, arguments.processes)
    sources = load_sources(arguments.anatomy, arguments.lesions)
    with shown_progress() as progress:
        if arguments.gallery:
            from StrokeSegLib.report.gallery import write_gallery

            files = [
                write_gallery(
                    arguments.out, one, sources, count=GALLERY_CASES, force=arguments.force, progress=progress
                )
                for one in settings
            ]
            done = f"wrote {', '.join(str(file) for file in files)}"
        else:
            try:
                write_set(
                    arguments.out,
                    settings[0],
                    sources,
                    count=arguments.count,
                    processes=arguments.processes,
                    force=arguments.force,
                    progress=progress,
                )
            except KeyboardInterrupt:
                raise KeyboardInterrupt(f"the same command goes on in {arguments.out}") from None
            done = f"{arguments.count} case{'s' if arguments.count != 1 else ''} in {arguments.out}"
    print(f"strokeseg: {done}", file=sys.stderr)

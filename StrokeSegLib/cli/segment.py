"""``strokeseg segment``: find the lesions of one case."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError


def add_parser(commands: Any) -> None:
    """Adds the command's words."""
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
    gone = measurements.get("improbable", {}).get("lesions", 0)
    if gone:
        spots = f"{gone} improbable spot{'s' if gone != 1 else ''}"
        found += f"; {spots} ({measurements['improbable']['volume_ml']:.1f} mL) left out"
    return f"strokeseg: {found}; results in {out}"

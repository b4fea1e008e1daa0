"""Cost against volume as a picture: one line a model, seconds over million voxels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from StrokeSegLib.training.curves import ENLARGED, LOSS_BOX, PAPER, SIZE, Line, Pen


def draw_cost(measured: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draws ``cost`` of each model that has it; written beside and renamed.

    Args:
        measured: As ``strokeseg benchmark inference --json`` prints it.
        path: A PNG.
    """
    left, top, right, _ = LOSS_BOX
    box = (left, top, right, SIZE[1] - 70)
    lines = [
        Line(name, tuple(p["million_voxels"] for p in numbers["cost"]), tuple(p["seconds"] for p in numbers["cost"]))
        for name, numbers in measured.items()
    ]
    large = Image.new("RGB", (SIZE[0] * ENLARGED, SIZE[1] * ENLARGED), PAPER)
    pen = Pen(ImageDraw.Draw(large))
    pen.text((left, 22), "Cost of inference against the size of the scan", 20, anchor="lm")
    pen.panel(box, lines, "seconds, without reading and writing")
    pen.legend(box, lines)
    pen.text(((left + right) / 2, SIZE[1] - 22), "million voxels", 14, anchor="mm")
    beside = path.with_name(f".{path.name}")
    large.resize(SIZE, Image.Resampling.LANCZOS).save(beside, "PNG")
    beside.replace(path)

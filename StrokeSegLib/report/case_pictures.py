"""The pictures of a report: the slices that matter, with the lesions outlined."""

from __future__ import annotations

import io
from collections.abc import Mapping

from PIL import Image

from StrokeSegLib.report.case_files import CaseFiles
from StrokeSegLib.report.overlay import LABEL_COLORS, slice_tiles
from StrokeSegLib.report.slices import choose_slices, choose_view

MOST_SLICES = 8
#: More slices than this go into two rows.
ACROSS, GAP = 4, 8
GONE = "The scan is not where it was read from, or has changed"


def key_slices(case: CaseFiles) -> tuple[bytes | None, str]:
    """A PNG of up to 8 slices, and the sentence below it.

    Where the scan is gone, the picture is the one that was drawn when the model ran; a corrected mask, which that one
    does not show, goes without.
    """
    if case.image is None:
        overlay = case.folder / "overlay.png"
        if case.corrected or not overlay.is_file():
            return None, f"{GONE}: this report has no picture."
        return overlay.read_bytes(), f"{GONE}: the picture is the one that was drawn when the model ran."
    view = choose_view(case.image)
    shown = choose_slices(case.labels, view, MOST_SLICES)
    tiles = slice_tiles(case.image, view, shown, [(case.labels.array, LABEL_COLORS)])
    side = "anterior on the left" if view.name == "sagittal" else "the patient's right on the left"
    return _png(tiles), f"{len(tiles)} {view.name} slices, {side}."


def legend_colors(values: Mapping[int, str]) -> dict[str, str]:
    """Name of a label -> color of its outline, as CSS and PDF write it."""
    return {
        name: "#{:02x}{:02x}{:02x}".format(*LABEL_COLORS.get(value, (70, 200, 255))) for value, name in values.items()
    }


def _png(tiles: list[Image.Image]) -> bytes:
    across = len(tiles) if len(tiles) <= ACROSS else -(-len(tiles) // 2)
    width, height = tiles[0].size
    down = -(-len(tiles) // across)
    page = Image.new("RGB", (across * (width + GAP) - GAP, down * (height + GAP) - GAP), (255, 255, 255))
    for number, tile in enumerate(tiles):
        page.paste(tile, (number % across * (width + GAP), number // across * (height + GAP)))
    file = io.BytesIO()
    page.save(file, format="PNG", optimize=True)
    return file.getvalue()

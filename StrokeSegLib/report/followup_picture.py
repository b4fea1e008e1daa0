"""Two time points side by side on the same slices: before on the left, after on the right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.report.agreement_pictures import box_around, cut_to
from StrokeSegLib.report.overlay import (
    CT_AIR_HU,
    CT_WINDOW_HU,
    MARGIN,
    QUIET,
    TEXT,
    Color,
    font,
    foot,
    montage,
    save_picture,
    slice_tiles,
)
from StrokeSegLib.report.slices import choose_slices, choose_view
from StrokeSegLib.volume import Volume

#: Slices, each shown twice.
MAX_SLICES = 6
#: The head is brighter than this part of the way from the darkest to a bright voxel; it is shown with this border.
HEAD_PART, BORDER_MM = 0.2, 4.0
#: Told apart by people who do not tell red from green, too.
BEFORE_COLOR: Color = (64, 196, 255)
AFTER_COLOR: Color = (255, 176, 32)


def draw_followup(before: Volume, after: Volume, before_labels: Volume, after_labels: Volume, path: Path) -> None:
    """Writes a PNG of up to 6 slices; on the right the outline of before lies below that of after.

    Args:
        before, after: The scans on one grid, the later one registered to the earlier one.
        before_labels, after_labels: Label maps on that grid; non-zero is outlined.
        path: The .png file; an existing one is replaced.

    Raises:
        InputError: The four lie on different grids.
    """
    if not all(one.same_grid(before) for one in (after, before_labels, after_labels)):
        raise InputError("a picture of two time points needs all four volumes on one grid; register them first")
    old, new = ((one.array != 0).astype(np.uint8) for one in (before_labels, after_labels))
    view = choose_view(before)
    shown = choose_slices(before_labels.with_array(old | new), view, MAX_SLICES)
    # Both scans are cut alike, so that a place is at the same place in both.
    box = box_around(_head(before.array) | (old != 0) | (new != 0), before, view, BORDER_MM)
    before, after, old, new = cut_to(before, box), cut_to(after, box), old[box], new[box]
    window = CT_WINDOW_HU if float(before.array.min()) < CT_AIR_HU else None
    left = slice_tiles(before, view, shown, [(old, {1: BEFORE_COLOR})], window, whole=True)
    right = slice_tiles(after, view, shown, [(old, {1: BEFORE_COLOR}), (new, {1: AFTER_COLOR})], window, whole=True)
    tiles = [tile for pair in zip(left, right, strict=True) for tile in pair]
    page = montage(tiles, across=4 if len(shown) > 1 else 2)
    _title(page)
    foot(page, view)
    save_picture(page, path)


def _head(array: NDArray[Any]) -> NDArray[np.bool_]:
    low, high = float(np.nanmin(array)), float(np.nanpercentile(array, 99.5))
    return np.asarray(ndimage.binary_opening(array > low + HEAD_PART * (high - low)), bool)


def _title(page: Image.Image) -> None:
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, 42), "Before (left) and after (right), the same slices", TEXT, font(26), "ls")
    x = float(MARGIN)
    for name, color in (("before", BEFORE_COLOR), ("after", AFTER_COLOR)):
        draw.rounded_rectangle((x, 64, x + 14, 78), 3, color)
        draw.text((x + 22, 77), name, QUIET, font(17), "ls")
        x += 22 + draw.textlength(name, font(17)) + 32

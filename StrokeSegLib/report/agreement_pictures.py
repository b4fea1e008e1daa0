"""Where raters disagree on one case: everybody's outline, and below it the disputed voxels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from StrokeSegLib.errors import InputError
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
    shortened,
    slice_tiles,
)
from StrokeSegLib.report.slices import View, choose_slices, choose_view
from StrokeSegLib.volume import Volume

MAX_SLICES = 4
#: The picture shows this much around the marks, mm, so that small ones can be seen.
AROUND_MM = 30.0
#: Of Okabe and Ito: told apart by people who do not tell red from green, too. Further raters are not outlined.
RATER_COLORS: tuple[Color, ...] = (
    (86, 180, 233), (230, 159, 0), (0, 200, 140), (240, 228, 66), (204, 121, 167), (255, 255, 255),
)  # fmt: skip


def draw_disagreement(
    image: Volume | None, masks: Mapping[str, Volume], where: Volume, path: Path, *, title: str
) -> None:
    """Writes a PNG of up to 4 slices in two rows: outlines of the raters, and the disagreement.

    Args:
        image: The scan that is shown; None shows the marks alone.
        masks: Rater -> label map (non-zero is outlined, whatever the label), all on the grid of ``where``.
        where: Disagreement, 0-1.
        path: The .png file; an existing one is replaced.
        title: The head line.

    Raises:
        InputError: The grids differ.
    """
    if not all(one.same_grid(where) for one in (*masks.values(), *([image] if image else []))):
        raise InputError("a picture of disagreement needs image and masks on one grid; resample one to the other")
    shown_masks = dict(list(masks.items())[: len(RATER_COLORS)])
    marked = np.any([mask.array != 0 for mask in shown_masks.values()], axis=0)
    view = choose_view(where)
    scan = image if image is not None else where.with_array(np.zeros(where.array.shape, np.float32))
    box = box_around(marked, where, view, AROUND_MM)
    numbers = choose_slices(where.with_array(np.where(where.array > 0, 1, 0)), view, MAX_SLICES)
    cut = cut_to(scan, box)
    outlined = [
        ((mask.array != 0)[box].astype(np.uint8), {1: color})
        for mask, color in zip(shown_masks.values(), RATER_COLORS, strict=False)
    ]
    window = (0.0, 4.0) if image is None else CT_WINDOW_HU if float(scan.array.min()) < CT_AIR_HU else None
    tiles = slice_tiles(cut, view, numbers, outlined, window, whole=True)
    tiles += slice_tiles(cut, view, numbers, [], window, heat=where.array[box], whole=True)
    page = montage(tiles, across=len(numbers))
    _head(page, title, shown_masks, len(masks) - len(shown_masks))
    foot(page, view)
    save_picture(page, path)


def box_around(marked: NDArray[np.bool_], grid: Volume, view: View, border_mm: float) -> tuple[slice, slice, slice]:
    """All slices, and within them what lies around the marks; the whole where nothing is marked."""
    found = ndimage.find_objects(marked.astype(np.uint8))
    box = []
    for axis, count in enumerate(marked.shape):
        if axis == 2 - view.normal or not found:
            box.append(slice(0, count))
            continue
        border = math.ceil(border_mm / grid.spacing_mm[2 - axis])
        box.append(slice(max(found[0][axis].start - border, 0), min(found[0][axis].stop + border, count)))
    return box[0], box[1], box[2]


def cut_to(volume: Volume, box: tuple[slice, slice, slice]) -> Volume:
    """The part of a volume within a box of its array, where it was."""
    first = volume.ijk_to_lps([one.start for one in reversed(box)])
    return Volume(volume.array[box], volume.spacing_mm, (first[0], first[1], first[2]), volume.direction)


def _head(page: Image.Image, title: str, masks: Mapping[str, Volume], more: int) -> None:
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, 42), shortened(title, page.width - 2 * MARGIN, draw), TEXT, font(26), "ls")
    x = float(MARGIN)
    for (name, mask), color in zip(masks.items(), RATER_COLORS, strict=False):
        words = f"{name}  {float(np.count_nonzero(mask.array)) * mask.voxel_volume_ml:.1f} mL"
        width = 22 + draw.textlength(words, font(17)) + 32
        if x + width > page.width - MARGIN:
            break
        draw.rounded_rectangle((x, 64, x + 14, 78), 3, color)
        draw.text((x + 22, 77), words, QUIET, font(17), "ls")
        x += width
    if more:
        draw.text((page.width - MARGIN, 77), f"{more} more not outlined", QUIET, font(17), "rs")

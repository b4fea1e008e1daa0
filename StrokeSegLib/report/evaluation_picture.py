"""Truth and prediction of one case, outlined in two colors on the slices that hold either."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from StrokeSegLib.errors import InputError
from StrokeSegLib.report.overlay import (
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
from StrokeSegLib.report.slices import choose_slices, choose_view
from StrokeSegLib.volume import Volume

MAX_SLICES = 8
#: Told apart by people who do not tell red from green, too.
TRUTH_COLOR: Color = (64, 196, 255)
PREDICTION_COLOR: Color = (255, 176, 32)
LEGEND = (("truth", TRUTH_COLOR), ("model", PREDICTION_COLOR))


def draw_comparison(
    image: Volume, truth: Volume, predicted: Volume, path: Path, *, title: str, values: Sequence[int]
) -> None:
    """Writes a PNG of up to 8 slices; the prediction lies on top of the truth.

    Args:
        image: The scan that is shown.
        truth, predicted: Label maps on the same grid.
        path: The .png file; an existing one is replaced.
        title: The head line.
        values: Labels that are compared; others are not drawn.

    Raises:
        InputError: The three lie on different grids.
    """
    if not (image.same_grid(truth) and image.same_grid(predicted)):
        raise InputError(
            f"a comparison needs image, truth and prediction on one grid, got {image.size_ijk}, {truth.size_ijk} and "
            f"{predicted.size_ijk} (i, j, k)"
        )
    shown_masks = [np.where(np.isin(one.array, values), one.array, 0) for one in (truth, predicted)]
    either = truth.with_array((shown_masks[0] != 0) | (shown_masks[1] != 0))
    view = choose_view(image)
    shown = choose_slices(either, view, MAX_SLICES)
    outlined = [(mask, dict.fromkeys(values, color)) for mask, (_, color) in zip(shown_masks, LEGEND, strict=True)]
    page = montage(slice_tiles(image, view, shown, outlined))
    volumes_ml = [float(np.count_nonzero(mask)) * truth.voxel_volume_ml for mask in shown_masks]
    _head(page, title, volumes_ml)
    foot(page, view)
    save_picture(page, path)


def _head(page: Image.Image, title: str, volumes_ml: Sequence[float]) -> None:
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, 42), shortened(title, page.width - 2 * MARGIN, draw), TEXT, font(26), "ls")
    x = float(MARGIN)
    for (name, color), volume_ml in zip(LEGEND, volumes_ml, strict=True):
        draw.rounded_rectangle((x, 64, x + 14, 78), 3, color)
        words = f"{name}  {volume_ml:.2f} mL"
        draw.text((x + 22, 77), words, QUIET, font(17), "ls")
        x += 22 + draw.textlength(words, font(17)) + 32

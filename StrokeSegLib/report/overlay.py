"""overlay.png: the lesions outlined on the slices that show them, for a first look without a viewer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.measure import Lesion, measure_lesions
from StrokeSegLib.report.slices import View, choose_slices, choose_view, picture, position_mm, slices_with_lesion
from StrokeSegLib.volume import Volume

MAX_SLICES = 12
#: Red, green, blue, 0-255.
Color: TypeAlias = tuple[int, int, int]
LABEL_NAMES = {1: "ischemic lesion", 2: "hemorrhage", 3: "penumbra"}
LABEL_COLORS: dict[int, Color] = {1: (255, 94, 44), 2: (238, 84, 255), 3: (190, 236, 60)}
OTHER_LABEL_COLOR = (70, 200, 255)
FOOTER = "Research use only, not a medical device"

#: Labels drawn over the others: blood must not be hidden.
ON_TOP = 2
#: Volumes from these up are written with one and with two decimals, smaller ones with three.
ONE_DECIMAL_ML, TWO_DECIMALS_ML = 10.0, 0.1

#: Values shown as black and white for CT, which is told by its air.
CT_WINDOW_HU = (0.0, 80.0)
CT_AIR_HU = -500.0

#: Colors and pixels of the page. The slices of a row share the inner width.
BACKGROUND, TEXT, QUIET = (18, 20, 24), (238, 240, 244), (146, 152, 162)
MARGIN, GAP = 28, 10
SLICES_ACROSS = (4, 3, 5)
INNER_WIDTH, MIN_SLICE_WIDTH, MAX_SLICE_WIDTH = 1120, 264, 560
HEADER_HEIGHT, FOOTER_HEIGHT = 98, 48
#: Outlines are drawn this much finer and then shrunk, which smooths them; they reach this far out and in (fine pixels).
FINER, OUTWARD, INWARD = 3, 4, 2
#: Free border around the head, part of its extent.
CROP_BORDER = 0.03


def draw_overlay(
    image: Volume,
    labels: Volume,
    path: Path,
    *,
    title: str,
    names: Mapping[int, str] | None = None,
    window: tuple[float, float] | None = None,
) -> None:
    """Writes a PNG of up to 12 slices with the lesions outlined; it is written beside and renamed.

    Args:
        image: The scan that is shown.
        labels: Label map on the same grid, 0 is background.
        path: The .png file; an existing one is replaced.
        title: First words of the head line, usually the model and its version; volume and lesion count are added.
        names: Words for the legend by label; by default those of the label contract.
        window: Values shown as black and as white; by default 0-80 HU for CT, else fitted to the head's values.

    Raises:
        InputError: Image and labels lie on different grids.
    """
    if not image.same_grid(labels):
        raise InputError(
            f"the overlay needs image and labels on one grid, got {image.size_ijk} and {labels.size_ijk} (i, j, k)"
        )
    view = choose_view(image)
    shown = choose_slices(labels, view, MAX_SLICES)
    tiles = slice_tiles(image, view, shown, [(labels.array, LABEL_COLORS)], window)
    page = montage(tiles)
    lesions = measure_lesions(labels, plane=np.zeros(3))  # sides are not told here: no plane needs to be looked for
    _head(page, title, lesions, {**LABEL_NAMES, **(names or {})}, _shown(labels, view, shown))
    foot(page, view)
    save_picture(page, path)


def slice_tiles(
    image: Volume,
    view: View,
    shown: Sequence[int],
    outlined: Sequence[tuple[NDArray[Any], Mapping[int, Color]]],
    window: tuple[float, float] | None = None,
    heat: NDArray[Any] | None = None,
    whole: bool = False,
) -> list[Image.Image]:
    """One tile a slice, all of one size, cut to the head, with outlines, the patient's sides and the position.

    Args:
        image: The scan that is shown.
        view: How it is looked at.
        shown: Numbers of the slices.
        outlined: Label maps on the image's grid, each with the colors of its labels; later ones lie on top.
        window: Values shown as black and as white; fitted to the image when None.
        heat: Laid over the scan, 0 (not seen) to 1 (yellow), on the image's grid.
        whole: Show whole slices, not cut to the head.
    """
    low, high = window or _window(image.array)
    scans = [picture(image.array, view, n).astype(np.float32) for n in shown]
    masks = [[picture(array, view, n) for array, _ in outlined] for n in shown]
    rows, columns = (slice(0, n) for n in scans[0].shape)
    if not whole:
        rows, columns = _crop(scans, [mask for of_slice in masks for mask in of_slice], low + 0.1 * (high - low))
    across = _slices_across(len(shown))
    width = min(max((INNER_WIDTH - (across - 1) * GAP) // across, MIN_SLICE_WIDTH), MAX_SLICE_WIDTH)
    height_mm = (rows.stop - rows.start) * image.spacing_mm[view.down]
    width_mm = (columns.stop - columns.start) * image.spacing_mm[view.right]
    size = (width, max(1, round(width * height_mm / width_mm)))
    tiles = []
    for number, scan, of_slice in zip(shown, scans, masks, strict=True):
        gray = np.nan_to_num((scan[rows, columns] - low) / (high - low)).clip(0, 1) * 255
        tile = Image.fromarray(gray.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC).convert("RGB")
        if heat is not None:
            _lay_over(tile, picture(heat, view, number)[rows, columns])
        for mask, (_, colors) in zip(of_slice, outlined, strict=True):
            _outline(tile, mask[rows, columns], colors)
        _annotate(tile, view, position_mm(image, view, number))
        tiles.append(tile)
    return tiles


def _lay_over(tile: Image.Image, heat: NDArray[Any]) -> None:
    """Colors from red (little) to yellow (1), without smoothing: a voxel's value is what is told."""
    level = np.asarray(heat, np.float32).clip(0, 1)
    red_to_yellow = np.stack([np.full_like(level, 255), 40 + 195 * level, np.full_like(level, 20)], axis=-1)
    color = Image.fromarray(red_to_yellow.astype(np.uint8)).resize(tile.size, Image.Resampling.NEAREST)
    cover = Image.fromarray(np.where(level > 0, 200, 0).astype(np.uint8)).resize(tile.size, Image.Resampling.NEAREST)
    tile.paste(color, (0, 0), cover)


def _window(array: NDArray[Any]) -> tuple[float, float]:
    """Black and white: the CT brain window, or the 1st and 99.5th percentile of the head's values."""
    values = array[tuple(slice(None, None, max(1, n // 120)) for n in array.shape)].astype(np.float32)
    values = values[np.isfinite(values)]
    if values.size and np.percentile(values, 5) < CT_AIR_HU:
        return CT_WINDOW_HU
    head = values[values > 0.1 * np.percentile(values, 99.5)] if values.size else values
    low, high = np.percentile(head, [1, 99.5]).tolist() if head.size else (0.0, 1.0)
    return (low, high) if high > low else (low - 1.0, low + 1.0)


def _crop(
    scans: Sequence[NDArray[np.float32]], masks: Sequence[NDArray[Any]], darkest_head_value: float
) -> tuple[slice, slice]:
    """Rows and columns that hold the head and the lesions of all shown slices, with a small border."""
    head = ndimage.binary_opening(np.fmax.reduce(scans) > darkest_head_value)
    inside = head | np.any(np.stack(masks) != 0, axis=0)
    if not head.any():
        inside[:] = True
    ranges = []
    for axis in (1, 0):
        filled = np.flatnonzero(inside.any(axis=axis))
        border = round(CROP_BORDER * (filled[-1] - filled[0] + 1))
        ranges.append(slice(max(int(filled[0]) - border, 0), min(int(filled[-1]) + 1 + border, inside.shape[1 - axis])))
    return ranges[0], ranges[1]


def _slices_across(count: int) -> int:
    """Columns of the montage: those allowed that leave the fewest empty places, 4 before 3 before 5."""
    return min(SLICES_ACROSS, key=lambda across: -count % across) if count > min(SLICES_ACROSS) else count


def _outline(tile: Image.Image, mask: NDArray[Any], colors: Mapping[int, Color]) -> None:
    """Draws the lesions' outlines, hemorrhage last and so on top. Only around a lesion is there anything to draw."""
    for value in sorted({int(v) for v in np.unique(mask)} - {0}, key=lambda v: (v == ON_TOP, -v)):
        inside = mask == value
        left, top, right, bottom = _around(inside, tile.size)
        per_voxel = [n / m for n, m in zip(mask.shape[::-1], tile.size, strict=True)]
        source = (left * per_voxel[0], top * per_voxel[1], right * per_voxel[0], bottom * per_voxel[1])
        fine = ((right - left) * FINER, (bottom - top) * FINER)
        whole = Image.fromarray(inside.astype(np.uint8) * 255)
        levels = np.asarray(whole.resize(fine, Image.Resampling.BILINEAR, box=source))
        filled = levels // np.uint8(128)  # 1 from half covered up
        grown = ndimage.maximum_filter(filled, size=2 * OUTWARD + 1)
        shrunk = ndimage.minimum_filter(filled, size=2 * INWARD + 1, mode="constant")
        line = Image.fromarray((grown - shrunk) * 255).resize((right - left, bottom - top), Image.Resampling.BOX)
        tile.paste(colors.get(value, OTHER_LABEL_COLOR), (left, top), line)


def _around(inside: NDArray[np.bool_], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The tile's pixels (left, top, right, bottom) that the outline of a mask can reach."""
    box = []
    for axis, pixels in ((0, size[0]), (1, size[1])):  # across the columns, then down the rows
        filled, each = np.flatnonzero(inside.any(axis=axis)), pixels / inside.shape[1 - axis]
        border = each + OUTWARD / FINER + 1  # the smoothed border of a voxel, and the line
        first, end = int(filled[0]) * each - border, (int(filled[-1]) + 1) * each + border
        box.append((max(0, int(np.floor(first))), min(pixels, int(np.ceil(end)))))
    return box[0][0], box[1][0], box[0][1], box[1][1]


def _annotate(tile: Image.Image, view: View, at_mm: float) -> None:
    """Letters of the patient's sides, and the slice position."""
    draw = ImageDraw.Draw(tile)
    for x, anchor, letter in ((9, "lt", view.edge_marks[0]), (tile.width - 9, "rt", view.edge_marks[1])):
        draw.text((x, 9), letter, TEXT, font(19), anchor, stroke_width=2, stroke_fill=(0, 0, 0))
    position = f"{view.position_letters[int(at_mm > 0)]} {abs(at_mm):.1f} mm"
    draw.text((8, tile.height - 7), position, TEXT, font(14), "ls", stroke_width=2, stroke_fill=(0, 0, 0))


def montage(tiles: Sequence[Image.Image], across: int | None = None) -> Image.Image:
    """The tiles on one page, ``across`` of them in a row, with room for a head and a foot."""
    across = across or _slices_across(len(tiles))
    width, height = tiles[0].size
    down = -(-len(tiles) // across)
    inner = max(across * (width + GAP) - GAP, INNER_WIDTH)
    page = Image.new(
        "RGB", (inner + 2 * MARGIN, HEADER_HEIGHT + down * (height + GAP) - GAP + FOOTER_HEIGHT), BACKGROUND
    )
    left = (page.width - across * (width + GAP) + GAP) // 2
    for number, tile in enumerate(tiles):
        page.paste(tile, (left + number % across * (width + GAP), HEADER_HEIGHT + number // across * (height + GAP)))
    return page


def _head(page: Image.Image, title: str, lesions: Sequence[Lesion], names: Mapping[int, str], shown: str) -> None:
    """The line with title, total volume and count; under it the legend, and which slices are shown."""
    draw = ImageDraw.Draw(page)
    right = page.width - MARGIN
    total = _amount(lesions) if lesions else "no lesion found"
    draw.text((right, 42), total, TEXT, font(26), "rs")
    room = right - MARGIN - draw.textlength(total, font(26)) - 30
    draw.text((MARGIN, 42), shortened(title, room, draw), TEXT, font(26), "ls")
    draw.text((right, 77), shown, QUIET, font(17), "rs")
    values = sorted({one.label for one in lesions})
    x = float(MARGIN)
    for value in values:
        draw.rounded_rectangle((x, 64, x + 14, 78), 3, LABEL_COLORS.get(value, OTHER_LABEL_COLOR))
        words = names.get(value, f"label {value}")
        if len(values) > 1:
            words += f"  {_amount([one for one in lesions if one.label == value])}"
        draw.text((x + 22, 77), words, QUIET, font(17), "ls")
        x += 22 + draw.textlength(words, font(17)) + 32


def _amount(lesions: Sequence[Lesion]) -> str:
    volume_ml = sum(one.volume_ml for one in lesions)
    decimals = 1 if volume_ml >= ONE_DECIMAL_ML else 2 if volume_ml >= TWO_DECIMALS_ML else 3
    return f"{volume_ml:.{decimals}f} mL in {len(lesions)} lesion{'s' if len(lesions) > 1 else ''}"


def _shown(labels: Volume, view: View, shown: Sequence[int]) -> str:
    holding = len(slices_with_lesion(labels, view))
    if holding == 0:
        return f"{len(shown)} of {labels.size_ijk[view.normal]} slices, evenly spread"
    return f"{len(shown)} of {holding} slices with lesion" if holding > len(shown) else "all slices with lesion"


def shortened(text: str, room: float, draw: ImageDraw.ImageDraw) -> str:
    """The text of a head line, cut where it would be wider than ``room`` pixels."""
    if draw.textlength(text, font(26)) <= room:
        return text
    while text and draw.textlength(text + "...", font(26)) > room:
        text = text[:-1]
    return text + "..."


def foot(page: Image.Image, view: View) -> None:
    """The line at the bottom: what it is not, and how the slices are turned."""
    draw = ImageDraw.Draw(page)
    baseline = page.height - 18
    draw.text((MARGIN, baseline), FOOTER, QUIET, font(15), "ls")
    reading = "anterior on the left" if view.name == "sagittal" else "the patient's right on the left"
    draw.text((page.width - MARGIN, baseline), f"{view.name} slices, {reading}", QUIET, font(15), "rs")


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font."""
    return ImageFont.load_default(size)


def save_picture(page: Image.Image, path: Path) -> None:
    """A reader finds the old picture or the new one, never half."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        page.save(beside, format="PNG", compress_level=3)  # a little larger than the smallest, and much sooner
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)

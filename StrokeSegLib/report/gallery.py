"""A sheet of generated cases: a few heads, all their images side by side, the truth outlined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.errors import InputError
from StrokeSegLib.report.overlay import BACKGROUND, LABEL_COLORS, LABEL_NAMES, OTHER_LABEL_COLOR, QUIET, TEXT, font
from StrokeSegLib.report.slices import View, choose_view, picture, slices_with_lesion
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.synth.sources import Sources
from StrokeSegLib.synth_set import SetSettings, make_numbered
from StrokeSegLib.volume import Volume

#: Values shown as black and white; images in arbitrary units fit theirs to the head.
WINDOWS = {
    "ct": (0.0, 80.0),
    "cbf": (0.0, 90.0),
    "cbv": (0.0, 7.0),
    "mtt": (0.0, 14.0),
    "tmax": (0.0, 12.0),
}
#: Pixels: the height of a tile, the gaps, room for the words above and at the left, the page's width.
TILE, GAP, BETWEEN_CASES, TOP, LEFT = 260, 6, 20, 96, 24
LEAST_WIDTH, WIDEST = 480, 1500
#: Outlines are found this much finer than the tile, which smooths them.
FINER = 3
#: A role and its picture.
_Tile = tuple[str, Image.Image]


def write_gallery(
    out: Path,
    settings: SetSettings,
    sources: Sources,
    *,
    count: int,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes ``gallery-MODALITY.png`` with the first ``count`` cases of a set.

    Returns:
        The file.

    Raises:
        InputError: It exists and force is False, or can not be written.
    """
    file = out / f"gallery-{settings.modality}.png"
    if file.exists() and not force:
        raise InputError(f"{file} exists: choose another folder, or replace it with --force")
    cases = []
    for n in range(count):
        if progress is not None:
            progress("cases", n, count)
        cases.append(make_numbered(settings, sources, n)[0])
    if progress is not None:
        progress("cases", count, count)
    sheet = draw_sheet(cases, f"Generated cases: {settings.modality.upper()}, seed {settings.seed}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.new")
        sheet.save(beside, format="PNG")
        beside.replace(file)
    except OSError as error:
        raise InputError(f"{file} can not be written ({error.strerror}): choose another folder") from error
    return file


def draw_sheet(cases: list[SyntheticCase], title: str) -> Image.Image:
    """Cases side by side as far as they fit: of each image the slice with most lesion, windowed, truth outlined.

    The first image of a case with a lesion is shown twice, the first time without outlines.
    """
    lines: list[list[list[_Tile]]] = [[]]
    for tiles in map(_tiles, cases):
        if lines[-1] and sum(map(_width, lines[-1])) + _width(tiles) > WIDEST:
            lines.append([])
        lines[-1].append(tiles)
    width = 2 * LEFT + max(sum(map(_width, line)) for line in lines) - BETWEEN_CASES
    page = Image.new("RGB", (max(width, LEAST_WIDTH), TOP + len(lines) * (TILE + BETWEEN_CASES) + LEFT), BACKGROUND)
    draw = ImageDraw.Draw(page)
    draw.text((LEFT, 42), title, TEXT, font(26), "ls")
    _legend(draw, sorted({int(v) for case in cases for v in np.unique(case.truth.array)} - {0}))
    for number, line in enumerate(lines):
        x, y = LEFT, TOP + number * (TILE + BETWEEN_CASES)
        for tiles in line:
            for name, tile in tiles:
                page.paste(tile, (x, y))
                draw.text((x + 6, y + 5), name, TEXT, font(15), stroke_width=2, stroke_fill=(0, 0, 0))
                x += tile.width + GAP
            x += BETWEEN_CASES - GAP
    return page


def _width(tiles: list[_Tile]) -> int:
    return sum(tile.width + GAP for _, tile in tiles) - GAP + BETWEEN_CASES


def _legend(draw: ImageDraw.ImageDraw, values: list[int]) -> None:
    x = float(LEFT)
    for value in values:
        draw.rounded_rectangle((x, 62, x + 14, 76), 3, LABEL_COLORS.get(value, OTHER_LABEL_COLOR))
        words = LABEL_NAMES.get(value, f"label {value}")
        draw.text((x + 22, 75), words, QUIET, font(17), "ls")
        x += 22 + draw.textlength(words, font(17)) + 32


def _tiles(case: SyntheticCase) -> list[_Tile]:
    view = choose_view(case.truth)
    number = _slice_to_show(case.truth, view)
    truth = picture(case.truth.array, view, number)
    height_mm = truth.shape[0] * case.truth.spacing_mm[view.down]
    width_mm = truth.shape[1] * case.truth.spacing_mm[view.right]
    size = (max(1, round(TILE * width_mm / height_mm)), TILE)
    row: list[_Tile] = []
    for role, image in case.images.items():
        low, high = WINDOWS.get(role) or _fitted_window(image.array)
        scan = picture(image.array, view, number).astype(np.float32)
        gray = (np.clip((scan - low) / (high - low), 0, 1) * 255).astype(np.uint8)
        plain = Image.fromarray(gray).resize(size, Image.Resampling.BICUBIC).convert("RGB")
        if not row and truth.any():  # once as it is, for an eye that wants to search
            row.append((role.upper(), plain.copy()))
        _outline(plain, truth)
        row.append((role.upper(), plain))
    return row


def _slice_to_show(truth: Volume, view: View) -> int:
    """The slice with most lesion; without any, one a little above the middle."""
    voxels = slices_with_lesion(truth, view)
    if voxels:
        return max(voxels, key=lambda n: voxels[n])
    return min(int(0.58 * truth.size_ijk[view.normal]), truth.size_ijk[view.normal] - 1)


def _fitted_window(array: NDArray[Any]) -> tuple[float, float]:
    values = array[array > 0.05 * np.percentile(array, 99)]
    if values.size == 0:
        return (0.0, 1.0)
    high = float(np.percentile(values, 99.3))
    return (0.0, high if high > 0 else 1.0)


def _outline(tile: Image.Image, truth: NDArray[Any]) -> None:
    """Thin smooth lines just around each label."""
    fine = (tile.width * FINER, tile.height * FINER)
    for value in sorted({int(v) for v in np.unique(truth)} - {0}, reverse=True):
        inside = Image.fromarray((truth == value).astype(np.uint8) * 255).resize(fine, Image.Resampling.BILINEAR)
        filled = np.asarray(inside.point(lambda level: level // 128))
        line = ndimage.maximum_filter(filled, size=FINER + 2) - filled
        soft = Image.fromarray((line * 255).astype(np.uint8)).resize(tile.size, Image.Resampling.BOX)
        tile.paste(LABEL_COLORS.get(value, OTHER_LABEL_COLOR), (0, 0), soft)

"""curves.png: how the loss and the learning rate of a run went, for a quick look."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

CURVES = "curves.png"
#: Size in pixels; drawn this many times larger and reduced, which smooths the lines.
SIZE, ENLARGED = (1000, 640), 3
INK, FAINT, PAPER = "#1f2933", "#d9dee3", "#ffffff"
#: Lines in order; told apart with any color vision (Okabe and Ito).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
#: Columns of the log that are no term of the loss.
OTHER_COLUMNS = ("network", "step", "loss", "gradient_norm", "learning_rate", "seconds_per_step", "l2_penalty")
VALIDATION = "validation_iou"
#: Panels: left, top, right, bottom in pixels.
LOSS_BOX, RATE_BOX = (80, 70, 800, 430), (80, 490, 800, 590)
#: The loss's and the validation's, where there is one.
SHORT_LOSS_BOX, IOU_BOX = (80, 70, 800, 270), (80, 320, 800, 440)


@dataclass(frozen=True)
class Line:
    """One curve: steps and values."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


def draw_curves(rows: Sequence[dict[str, str]], path: Path, title: str) -> None:
    """Draws the log: the loss and its terms of one network, or the losses of several; below it the learning rate.

    Between them, where networks were validated: their IoU.

    Args:
        rows: Of log.csv.
        path: The picture, written beside and renamed.
        title: Above it.
    """
    large = Image.new("RGB", (SIZE[0] * ENLARGED, SIZE[1] * ENLARGED), PAPER)
    pen = Pen(ImageDraw.Draw(large))
    pen.text((LOSS_BOX[0], 22), title, 20, anchor="lm")
    if rows:
        losses, validations = loss_lines(rows), validation_lines(rows)
        loss_box = SHORT_LOSS_BOX if validations else LOSS_BOX
        pen.panel(loss_box, losses, "loss (mean since the row before)")
        pen.legend(loss_box, losses)
        if validations:
            pen.panel(IOU_BOX, validations, "IoU on the validation cases (mean over patients)")
            pen.legend(IOU_BOX, validations)
        first = rows[0]["network"]
        pen.panel(RATE_BOX, [_line(rows, first, "learning_rate", "learning rate")], "learning rate")
        pen.text(((RATE_BOX[0] + RATE_BOX[2]) / 2, SIZE[1] - 14), "step", 14, anchor="mm")
    else:
        pen.text((LOSS_BOX[0], 60), "no row was logged yet", 16, anchor="lm")
    beside = path.with_name(f".{path.name}")
    large.resize(SIZE, Image.Resampling.LANCZOS).save(beside, "PNG")
    os.replace(beside, path)


def loss_lines(rows: Sequence[dict[str, str]]) -> list[Line]:
    """The loss and its terms where there is one network, else the loss of each network."""
    networks = list(dict.fromkeys(row["network"] for row in rows))
    if len(networks) > 1:
        return [_line(rows, name, "loss", name) for name in networks]
    terms = [key for key in rows[0] if key not in OTHER_COLUMNS and not key.startswith(VALIDATION)]
    lines = [_line(rows, networks[0], "loss", "loss")]
    return lines + [_line(rows, networks[0], term, term) for term in terms if len(terms) > 1]


def validation_lines(rows: Sequence[dict[str, str]]) -> list[Line]:
    """The validation IoU of each network that has any."""
    networks = list(dict.fromkeys(row["network"] for row in rows))
    lines = [_line(rows, name, VALIDATION, "IoU" if len(networks) == 1 else name) for name in networks]
    return [line for line in lines if line.steps]


def _line(rows: Sequence[dict[str, str]], network: str, column: str, name: str) -> Line:
    pairs = [(float(r["step"]), float(r[column])) for r in rows if r["network"] == network and r.get(column)]
    pairs = [pair for pair in pairs if math.isfinite(pair[1])]
    return Line(name, tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))


class Pen:
    """Draws in the coordinates of the finished picture."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def text(self, at: tuple[float, float], words: str, size: int, *, anchor: str, color: str = INK) -> None:
        font = ImageFont.load_default(size * ENLARGED)
        self._draw.text((at[0] * ENLARGED, at[1] * ENLARGED), words, fill=color, font=font, anchor=anchor)

    def line(self, points: Sequence[tuple[float, float]], color: str, width: float) -> None:
        large = [(x * ENLARGED, y * ENLARGED) for x, y in points]
        self._draw.line(large, fill=color, width=max(1, round(width * ENLARGED)), joint="curve")
        if len(large) == 1:
            x, y = large[0]
            r = 2 * width * ENLARGED
            self._draw.ellipse((x - r, y - r, x + r, y + r), fill=color)

    def panel(self, box: tuple[int, int, int, int], lines: Sequence[Line], title: str) -> None:
        """Axes, ticks and curves; values from 0 on."""
        left, top, right, bottom = box
        last = max((line.steps[-1] for line in lines if line.steps), default=1.0)
        ticks = nice_ticks(max((max(line.values) for line in lines if line.values), default=1.0), bottom - top)
        highest = ticks[-1]
        self.text((left, top - 16), title, 14, anchor="lm")
        for value in ticks:
            y = bottom - value / highest * (bottom - top)
            self.line([(left, y), (right, y)], FAINT, 1)
            self.text((left - 8, y), f"{value:.4g}", 13, anchor="rm")
        for step in nice_ticks(last, right - left):
            if step <= last:
                x = left + step / last * (right - left)
                self.line([(x, bottom), (x, bottom + 5)], INK, 1)
                self.text((x, bottom + 15), f"{step:.4g}" if step < 10_000 else f"{step:,.0f}", 13, anchor="mm")
        self.line([(left, top), (left, bottom), (right, bottom)], INK, 1)
        for number, line in reversed(list(enumerate(lines))):  # the first one on top
            points = [
                (left + s / last * (right - left), bottom - v / highest * (bottom - top))
                for s, v in zip(line.steps, line.values, strict=True)
            ]
            if points:
                self.line(points, COLORS[number % len(COLORS)], 2.5 if number == 0 else 1.5)

    def legend(self, box: tuple[int, int, int, int], lines: Sequence[Line]) -> None:
        """Names of the curves with their last values, right of the panel."""
        most = (box[3] - box[1]) // 22
        for number, line in enumerate(lines[:most]):
            y = box[1] + 10 + 22 * number
            self.line([(box[2] + 14, y), (box[2] + 36, y)], COLORS[number % len(COLORS)], 3)
            value = f" {line.values[-1]:.3g}" if line.values else ""
            self.text((box[2] + 42, y), line.name + value, 13, anchor="lm")


def nice_ticks(highest: float, pixels: float) -> list[float]:
    """0 and multiples of 1, 2 or 5 times a power of ten, up to the first that is not below ``highest``."""
    if not highest > 0:
        return [0.0, 1.0]
    rough = highest / max(2.0, pixels / 70)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    return [n * step for n in range(math.ceil(highest / step * 0.999999) + 1)]

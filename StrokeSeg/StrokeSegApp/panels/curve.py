"""The curve of a training: its log.csv as a small picture."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import qt

from StrokeSegLib.training.logs import LOG

HEIGHT_PX = 130
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 44, 8, 22, 20
#: A log of many rows is thinned to this many points a line.
POINTS = 400
INK, FAINT, PAPER = "#1f2933", "#d9dee3", "#ffffff"


def readRows(run: Path) -> list[dict[str, str]]:
    """The whole rows of a run's log; none where there is no log yet."""
    try:
        text = (run / LOG).read_text(encoding="utf-8")
    except OSError:
        return []
    return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))  # a row that is being written has no end


def drawCurves(rows: Sequence[dict[str, str]], width: int) -> Any:
    """The loss, and below it the IoU on the validation cases where there is one: a QPixmap of this width."""
    from StrokeSegLib.training.curves import loss_lines, validation_lines

    losses = loss_lines(rows)
    if len({row["network"] for row in rows}) == 1:
        del losses[1:]  # its terms are for who studies the log; a narrow panel shows where it goes
    charts = [("loss", losses)]
    if validation := validation_lines(rows):
        charts.append(("IoU", validation))
    pixmap = qt.QPixmap(width, HEIGHT_PX * len(charts))
    pixmap.fill(qt.QColor(PAPER))
    painter = qt.QPainter(pixmap)
    try:
        for number, (title, lines) in enumerate(charts):
            _drawChart(painter, width, number * HEIGHT_PX, title, lines)
    finally:
        painter.end()
    return pixmap


def _drawChart(painter: Any, width: int, top: int, title: str, lines: Sequence[Any]) -> None:
    from StrokeSegLib.training.curves import COLORS, nice_ticks

    left, right = LEFT_PX, width - RIGHT_PX
    upper, lower = top + TOP_PX, top + HEIGHT_PX - BOTTOM_PX
    values = [value for line in lines for value in line.values]
    steps = [step for line in lines for step in line.steps]
    ticks = nice_ticks(max(values, default=1.0), lower - upper)
    last = max(steps, default=1.0) or 1.0
    for tick in ticks:
        y = round(lower - (lower - upper) * tick / ticks[-1])
        painter.setPen(qt.QColor(FAINT))
        painter.drawLine(left, y, right, y)
        painter.setPen(qt.QColor(INK))
        painter.drawText(4, y + 4, f"{tick:.3g}")
    painter.drawText(left, lower + 15, "0")
    painter.drawText(right - 8 * len(f"{last:.0f}"), lower + 15, f"{last:.0f}")
    x = 4
    for number, line in enumerate(lines):
        color = qt.QColor(COLORS[number % len(COLORS)])
        words = f"{line.name if len(lines) > 1 else title} {line.values[-1]:.3g}" if line.values else title
        painter.setPen(color)
        wide = painter.fontMetrics().horizontalAdvance(words)
        if x + wide <= width:  # a line without a name is better than half a name
            painter.drawText(x, top + 14, words)
        x += wide + 10
        painter.setPen(qt.QPen(color, 2))
        every = max(1, len(line.steps) // POINTS)
        points = [
            (round(left + (right - left) * step / last), round(lower - (lower - upper) * value / ticks[-1]))
            for step, value in list(zip(line.steps, line.values, strict=True))[::every]
        ]
        for (x1, y1), (x2, y2) in itertools.pairwise(points):
            painter.drawLine(x1, y1, x2, y2)

"""Charts of an evaluation as SVG text: volumes against each other, Dice by lesion size, stated against observed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from StrokeSegLib.report.svg_chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale, dot, frame, line, svg

#: Volumes below this are drawn here: a logarithm has no place for 0.
SMALLEST_ML = 0.01


def volume_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """Predicted against true volume, mL, both logarithmic; cases without a lesion sit on the left or bottom edge.

    Args:
        rows: With ``case_id``, ``truth_ml`` and ``predicted_ml``.
    """
    highest = max([1.0, *(float(row[key]) for row in rows for key in ("truth_ml", "predicted_ml"))])
    top = 10 ** math.ceil(math.log10(highest))
    x, y = _log_scale(top, LEFT, WIDTH - RIGHT), _log_scale(top, HEIGHT - BOTTOM, TOP)
    ticks = _decades(top)
    diagonal = line(x(SMALLEST_ML), y(SMALLEST_ML), x(top), y(top), "guide")
    dots = [
        dot(
            x(float(row["truth_ml"])), y(float(row["predicted_ml"])),
            f"{row['case_id']}: truth {float(row['truth_ml']):.2f} mL, model {float(row['predicted_ml']):.2f} mL",
        )
        for row in rows
    ]  # fmt: skip
    body = [frame(x, y, ticks, ticks, _tick), diagonal, *dots]
    return svg("Volume: model against truth", "true volume, mL", "model's volume, mL", body)


def dice_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """Dice against the true volume of the lesion-bearing cases.

    Args:
        rows: With ``case_id``, ``truth_ml`` and ``dice``.
    """
    bearing = [row for row in rows if float(row["truth_ml"]) > 0]
    top = 10 ** math.ceil(math.log10(max([1.0, *(float(row["truth_ml"]) for row in bearing)])))
    x, y = _log_scale(top, LEFT, WIDTH - RIGHT), _unit_scale(HEIGHT - BOTTOM, TOP)
    dots = [
        dot(
            x(float(row["truth_ml"])), y(float(row["dice"])),
            f"{row['case_id']}: {float(row['truth_ml']):.2f} mL, Dice {float(row['dice']):.2f}",
        )
        for row in bearing
    ]  # fmt: skip
    return svg("Dice by lesion size", "true volume, mL", "Dice", [frame(x, y, _decades(top), _QUARTERS, _tick), *dots])


def reliability_chart(bins: Sequence[Mapping[str, Any]]) -> str:
    """How often a voxel of a stated probability is lesion; on the diagonal, the model states what is true.

    Args:
        bins: With ``stated`` and ``observed``, 0-1.
    """
    x, y = _unit_scale(LEFT, WIDTH - RIGHT), _unit_scale(HEIGHT - BOTTOM, TOP)
    points = " ".join(f"{x(b['stated']):.1f},{y(b['observed']):.1f}" for b in bins)
    dots = [
        dot(x(b["stated"]), y(b["observed"]), f"stated {b['stated']:.2f}, observed {b['observed']:.2f}") for b in bins
    ]
    curve = f'<polyline points="{points}" class="curve"/>'
    body = [frame(x, y, _QUARTERS, _QUARTERS), line(x(0), y(0), x(1), y(1), "guide"), curve, *dots]
    return svg("Calibration of voxels", "stated probability", "observed frequency", body)


_QUARTERS = [0.0, 0.25, 0.5, 0.75, 1.0]


def _decades(top: float) -> list[float]:
    first, last = round(math.log10(SMALLEST_ML)), round(math.log10(top))
    return [10.0**power for power in range(first, last + 1)]


def _log_scale(top: float, start: float, end: float) -> Scale:
    low, high = math.log10(SMALLEST_ML), math.log10(top)
    return lambda ml: start + (end - start) * (math.log10(max(ml, SMALLEST_ML)) - low) / (high - low)


def _unit_scale(start: float, end: float) -> Scale:
    return lambda value: start + (end - start) * value


def _tick(value: float) -> str:
    return f"≤{value:g}" if value == SMALLEST_ML else f"{value:g}"  # 0 is drawn there too

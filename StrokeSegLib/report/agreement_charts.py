"""Bland and Altman's plot as SVG text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from StrokeSegLib.report.svg_chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, dot, frame, line, linear_scale, svg

#: About this many numbers stand beside an axis.
TICKS = 5


def bland_altman_chart(title: str, rows: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> str:
    """Differences against means, with bias and limits of agreement (lines) and their 95% intervals (bands).

    Args:
        title: Such as the names of the two raters.
        rows: With ``case_id``, ``first_ml`` and ``second_ml``.
        found: With ``bias``, ``lower_limit``, ``upper_limit`` and the ``..._ci95`` of each.
    """
    means = [(row["first_ml"] + row["second_ml"]) / 2 for row in rows]
    differences = [row["first_ml"] - row["second_ml"] for row in rows]
    names = ("bias", "lower_limit", "upper_limit")
    reach = max([abs(v) for name in names for v in found[f"{name}_ci95"]] + [abs(d) for d in differences] + [0.01])
    x_ticks, y_ticks = ticks(0, max([*means, 0.01]) * 1.05), ticks(-reach * 1.1, reach * 1.1)
    x = linear_scale(0, x_ticks[-1], LEFT, WIDTH - RIGHT)
    y = linear_scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    body = [frame(x, y, x_ticks, y_ticks)]
    for name in names:
        low, high = found[f"{name}_ci95"]
        body.append(
            f'<rect x="{LEFT}" y="{y(high):.1f}" width="{WIDTH - RIGHT - LEFT}" height="{y(low) - y(high):.1f}" '
            f'class="band"/>'
        )
        kind = "curve" if name == "bias" else "guide"
        body.append(line(LEFT, y(found[name]), WIDTH - RIGHT, y(found[name]), kind))
        body.append(
            f'<text x="{WIDTH - RIGHT - 3}" y="{y(found[name]) - 4:.1f}" class="tick end">{found[name]:+.2f}</text>'
        )
    body += [
        dot(x(mean), y(difference), f"{row['case_id']}: mean {mean:.2f} mL, difference {difference:+.2f} mL")
        for row, mean, difference in zip(rows, means, differences, strict=True)
    ]
    return svg(title, "mean volume of the two, mL", "difference, mL", body)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers, evenly spread, from at or below ``low`` to at or above ``high``."""
    raw = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]

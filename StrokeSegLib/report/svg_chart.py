"""The parts that every chart of a page is made of, as SVG text: frame, line, dot and the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

WIDTH, HEIGHT = 400, 330
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 46

#: From a value to a pixel.
Scale = Callable[[float], float]


def linear_scale(low: float, high: float, start: float, end: float) -> Scale:
    """Values from ``low`` to ``high`` on pixels from ``start`` to ``end``."""
    return lambda value: start + (end - start) * (value - low) / (high - low)


def frame(
    x: Scale,
    y: Scale,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    words: Callable[[float], str] | None = None,
) -> str:
    """Grid lines and the numbers beside them, in ``words`` or as short as they are."""
    words = words or "{:g}".format
    parts = []
    for tick in x_ticks:
        parts.append(line(x(tick), TOP, x(tick), HEIGHT - BOTTOM, "grid"))
        parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" class="tick middle">{words(tick)}</text>')
    for tick in y_ticks:
        parts.append(line(LEFT, y(tick), WIDTH - RIGHT, y(tick), "grid"))
        parts.append(f'<text x="{LEFT - 7}" y="{y(tick) + 4:.1f}" class="tick end">{words(tick)}</text>')
    return "".join(parts)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """One line of a class of the page's style."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def dot(x: float, y: float, words: str) -> str:
    """One case; the words show under the pointer."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="dot"><title>{escape(words)}</title></circle>'


def svg(title: str, x_words: str, y_words: str, body: Sequence[str]) -> str:
    """The whole chart with its title and the words of its axes."""
    middle_y = (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'<text x="{LEFT}" y="20" class="title">{escape(title)}</text>{"".join(body)}'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.1f}" y="{HEIGHT - 10}" class="tick middle">{escape(x_words)}</text>'
        f'<text transform="translate(15 {middle_y:.1f}) rotate(-90)" class="tick middle">{escape(y_words)}</text></svg>'
    )

"""Fonts of the PDF: every character of a name or a warning is shown, with a font of the system where it is needed.

ReportLab brings Bitstream Vera, which has Latin letters only. Other scripts are taken from fonts that systems usually
have; Chinese, Japanese and Korean, where the system has none, from those that PDF viewers have. A character that none
of them has is written as its Unicode number: nothing is left out silently.
"""

from __future__ import annotations

from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from StrokeSegLib.report.optional import needed

#: Where systems keep fonts with many scripts; the first that has a character gives it.
_SYSTEM_FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "/Library/Fonts/Arial Unicode.ttf",
    "C:/Windows/Fonts/segoeui.ttf",
    "C:/Windows/Fonts/arial.ttf",
    "C:/Windows/Fonts/tahoma.ttf",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/opentype/ipafont-gothic/ipag.ttf",
    "C:/Windows/Fonts/msyh.ttc",
    "C:/Windows/Fonts/msgothic.ttc",
    "C:/Windows/Fonts/malgun.ttf",
)
#: Scripts, by their ranges of Unicode, and the fonts that every viewer of PDF has for them.
_VIEWER_FONTS = (
    ("HeiseiKakuGo-W5", ((0x3040, 0x30FF),)),
    ("HYGothic-Medium", ((0xAC00, 0xD7A3),)),
    ("STSong-Light", ((0x3000, 0x303F), (0x4E00, 0x9FFF), (0xFF00, 0xFFEF))),
)
PLAIN, BOLD = "StrokeSeg", "StrokeSeg-Bold"


@cache
def fonts() -> list[tuple[str, Any]]:
    """Registers the fonts; name and the characters of each, the page's own first.

    Raises:
        InputError: ReportLab is not installed.
    """
    metrics = needed("reportlab.pdfbase.pdfmetrics", "the PDF")
    ttfonts = needed("reportlab.pdfbase.ttfonts", "the PDF")
    own = Path(needed("reportlab", "the PDF").__file__).parent / "fonts"
    found = []
    for name, path in ((PLAIN, own / "Vera.ttf"), (BOLD, own / "VeraBd.ttf"), *_on_this_system()):
        try:
            font = ttfonts.TTFont(name, str(path))
        except ttfonts.TTFError:  # a font with outlines of another kind
            continue
        metrics.registerFont(font)
        found.append((name, font.face.charToGlyph))
    metrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)
    return [entry for entry in found if entry[0] != BOLD]


def _on_this_system() -> list[tuple[str, Path]]:
    return [(f"System{n}", Path(path)) for n, path in enumerate(_SYSTEM_FONTS) if Path(path).is_file()]


def markup(text: str) -> str:
    """Text as ReportLab's paragraphs take it, each run of characters in a font that has them."""
    shown = "".join(c if _font_of(c) is not None else f"[U+{ord(c):04X}]" for c in " ".join(text.split()))
    runs = [(name, "".join(run)) for name, run in groupby(shown, key=_font_of)]
    return "".join(escape(run) if name == PLAIN else f'<font name="{name}">{escape(run)}</font>' for name, run in runs)


@cache
def _font_of(character: str) -> str | None:
    for name, glyphs in fonts():
        if ord(character) in glyphs:
            return name
    for name, ranges in _VIEWER_FONTS:
        if any(low <= ord(character) <= high for low, high in ranges):
            _register_viewer_font(name)
            return name
    return None


@cache
def _register_viewer_font(name: str) -> None:
    cid = needed("reportlab.pdfbase.cidfonts", "the PDF")
    needed("reportlab.pdfbase.pdfmetrics", "the PDF").registerFont(cid.UnicodeCIDFont(name))

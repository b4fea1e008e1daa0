"""report.pdf: the report of a case on one page of A4, or on more where there are many lesions. Nothing is cut off.

Made with ReportLab: BSD licence, pure Python, kept since 2000; its paragraphs and tables break over lines and pages.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from StrokeSegLib.report.case_pictures import legend_colors
from StrokeSegLib.report.case_words import headline, lesion_table, origin, remarks, signature_words, totals
from StrokeSegLib.report.optional import needed
from StrokeSegLib.report.pdf_fonts import BOLD, PLAIN, fonts, markup

#: A4 and its margins, points (1/72 inch).
PAGE = (595.28, 841.89)
MARGIN, FOOT = 40.0, 44.0
WIDTH = PAGE[0] - 2 * MARGIN
HEIGHT = PAGE[1] - MARGIN - FOOT
#: The picture takes what the text leaves of the page, within these bounds; without room it is drawn large.
LEAST_PICTURE, MOST_PICTURE = 150.0, 400.0
#: A heading with less than this below it goes to the next page.
TITLE_ROOM = 70.0
#: Columns of the lesion table, by their share of the width; the uncertainty's last.
SHARES = (0.5, 1.7, 0.9, 1.15, 1.3, 1.5, 1.2, 1.1)
INK, QUIET, RULE = "#1c2430", "#4c5766", "#d5dae1"


def case_pdf(content: Mapping[str, Any], picture: bytes | None, caption: str) -> bytes:
    """The PDF's bytes.

    Args:
        content: As ``build_content`` makes it.
        picture: PNG of the key slices.
        caption: The sentence below it, or why there is none.

    Raises:
        InputError: ReportLab is not installed.
    """
    platypus = needed("reportlab.platypus", "the PDF")
    fonts()
    above, below = _above(content), _below(content, caption, shown=picture is not None)
    story = [*above, *below]
    if picture is not None:
        room = HEIGHT - sum(_height(flowable) for flowable in story) - 24
        room = room if room > LEAST_PICTURE else MOST_PICTURE  # with more than a page, no need to shrink
        story = [*above, _picture(picture, room), *below]
    file = io.BytesIO()
    document = platypus.BaseDocTemplate(
        file, pagesize=PAGE, title=str(content["title"]), author="", creator="StrokeSeg", subject=str(content["use"]),
        leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=FOOT,
    )  # fmt: skip
    frame = platypus.Frame(MARGIN, FOOT, WIDTH, HEIGHT, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    document.addPageTemplates([platypus.PageTemplate(frames=[frame])])
    document.build(story, canvasmaker=_counting_canvas(str(content["use"])))
    return file.getvalue()


def _height(flowable: Any) -> float:
    """Height on a page, with the space around it."""
    height: float = flowable.wrap(WIDTH, 10 * HEIGHT)[1]
    return height + float(flowable.getSpaceBefore()) + float(flowable.getSpaceAfter())


def _above(content: Mapping[str, Any]) -> list[Any]:
    """Title, patient, finding, signature and what must be looked at."""
    head = [
        [_words(content["title"], 15, bold=True), _words(content["use"], 9, color="#7a4b00", bold=True, right=True)]
    ]
    parts = [_table(head, (1.2, 1), rules=False)]
    if content.get("patient"):
        parts.append(_facts(content["patient"].items()))
    parts.append(_words(headline(content), 16, bold=True, before=6))
    signed = content["signature"] is not None
    parts.append(
        _box([_words(signature_words(content), 9)], *(("#1769aa", "#eef4fa") if signed else ("#b7791f", "#fdf6e7")))
    )
    for title, lines in remarks(content):
        # One row a line, so that a long list goes on over the page.
        listed = [_words(f"• {line}", 8.5) for line in lines]
        parts.append(_box([_words(title, 9, bold=True), *listed], "#b3261e", "#fdeeed"))
    return parts


def _below(content: Mapping[str, Any], caption: str, *, shown: bool) -> list[Any]:
    """Caption and legend, totals, lesions, and how it was made."""
    present = {one["value"]: one["name"] for one in content["labels"] if one["lesion_count"]}
    legend = "&nbsp;&nbsp; ".join(
        f'<font color="{color}" size="13">•</font> {markup(name)}' for name, color in legend_colors(present).items()
    ) if shown else ""  # fmt: skip
    parts = [_words(caption, 8, color=QUIET, more=legend, before=4), *_title("Totals"), _facts(totals(content))]
    if content["lesions"]:
        heads, rows = lesion_table(content)
        cells = [[_words(head, 8, bold=True, right=n > 2) for n, head in enumerate(heads)]]
        cells += [[_words(cell, 8, right=n > 2) for n, cell in enumerate(row)] for row in rows]
        parts += [*_title("Lesions"), _table(cells, SHARES[: len(heads)], repeat=1)]
    return [*parts, *_title("How it was made"), _facts(origin(content))]


def _picture(png: bytes, room: float) -> Any:
    platypus = needed("reportlab.platypus", "the PDF")
    with Image.open(io.BytesIO(png)) as image:
        width, height = image.size
    tall = min(room, MOST_PICTURE, WIDTH * height / width)
    return platypus.Image(io.BytesIO(png), width=tall * width / height, height=tall)


def _title(text: str) -> list[Any]:
    """A heading that does not stand alone at the foot of a page."""
    room = needed("reportlab.platypus", "the PDF").CondPageBreak(TITLE_ROOM)
    return [room, _words(text, 10, bold=True, before=7)]


def _facts(facts: Any) -> Any:
    rows = [[_words(term, 8.5, color=QUIET), _words(words, 8.5)] for term, words in facts]
    return _table(rows, (1, 4.2))


def _words(
    text: str, size: float, *, bold: bool = False, right: bool = False, color: str = INK, before: float = 0.0,
    more: str = "",
) -> Any:  # fmt: skip
    """A paragraph; a word that is too long for its line goes on in the next one."""
    styles = needed("reportlab.lib.styles", "the PDF")
    paragraph = needed("reportlab.platypus", "the PDF").Paragraph
    style = styles.ParagraphStyle(
        "words", fontName=BOLD if bold else PLAIN, fontSize=size, leading=1.28 * size, textColor=color,
        alignment=2 if right else 0, spaceBefore=before, spaceAfter=2, splitLongWords=1,
    )  # fmt: skip
    return paragraph(markup(text) + (f"&nbsp;&nbsp; {more}" if more else ""), style)


def _table(rows: Sequence[Sequence[Any]], shares: Sequence[float], *, repeat: int = 0, rules: bool = True) -> Any:
    widths = [WIDTH * share / sum(shares) for share in shares]
    style: list[Any] = [
        ("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 5),
        ("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]  # fmt: skip
    style += [("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE)] if rules else []
    return _flowing_table(rows, widths, style, repeat)


def _box(parts: Sequence[Any], edge: str, fill: str) -> Any:
    style = [
        ("LINEBEFORE", (0, 0), (0, -1), 3, edge), ("BACKGROUND", (0, 0), (-1, -1), fill),
        ("LEFTPADDING", (0, 0), (-1, -1), 8),
        ("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
    ]  # fmt: skip
    return _flowing_table([[part] for part in parts], [WIDTH], style, 0)


def _flowing_table(rows: Sequence[Sequence[Any]], widths: list[float], style: list[Any], repeat: int) -> Any:
    table = needed("reportlab.platypus", "the PDF").Table
    return table(rows, colWidths=widths, style=style, repeatRows=repeat, splitInRow=1, spaceBefore=3, spaceAfter=3)


def _counting_canvas(use: str) -> Any:
    """A canvas that writes "page 1 of n" on each page, which is only known at the end."""
    canvas_class: Any = needed("reportlab.pdfgen.canvas", "the PDF").Canvas

    class CountingCanvas(canvas_class):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802  ReportLab's name
            self.pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self.pages, start=1):
                self.__dict__.update(page)
                self.setFont(PLAIN, 7.5)
                self.setFillColor(QUIET)
                self.drawString(MARGIN, FOOT / 2, use)
                self.drawRightString(PAGE[0] - MARGIN, FOOT / 2, f"page {number} of {len(self.pages)}")
                super().showPage()
            super().save()

    return CountingCanvas

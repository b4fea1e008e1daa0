"""report.html: the report of a case as one file with everything in it; one page of A4 when it is printed."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from StrokeSegLib.report.case_pictures import legend_colors
from StrokeSegLib.report.case_words import headline, lesion_table, origin, remarks, signature_words, totals

STYLE = """
@page { size: A4; margin: 12mm 14mm }
:root { color-scheme: light }
body { font: 14px/1.4 system-ui,"DejaVu Sans",sans-serif; color: #1c2430; background: #eceef1; margin: 0 }
main { max-width: 780px; margin: 20px auto; padding: 28px 34px; background: #fff; overflow-wrap: anywhere }
header { display: flex; justify-content: space-between; align-items: baseline; gap: 12px }
h1 { font-size: 20px; margin: 0 }
h2 { font-size: 14px; margin: 14px 0 4px }
.use { font-weight: 600; color: #7a4b00 }
.found { font-size: 22px; font-weight: 600; margin: 10px 0 2px }
.signed { border-left: 4px solid #1769aa; padding: 4px 10px; background: #eef4fa; margin: 8px 0 }
.signed.open { border-color: #b7791f; background: #fdf6e7 }
.review { border-left: 4px solid #b3261e; padding: 1px 10px 4px; background: #fdeeed; margin: 8px 0 }
.review ul { margin: 2px 0; padding-left: 18px }
figure { margin: 10px 0 }
figure img { width: 100%; display: block }
figcaption, .legend { font-size: 12px; color: #4c5766; margin-top: 3px }
.legend span { margin-right: 16px }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px }
table { border-collapse: collapse; width: 100%; font-size: 12.5px }
th, td { padding: 3px 8px 3px 0; text-align: left; border-bottom: 1px solid #dfe3e8; vertical-align: top }
th { font-weight: 600 }
.lesions td:nth-child(n+4), .lesions th:nth-child(n+4) { text-align: right }
.facts th { width: 128px; color: #4c5766; font-weight: 400 }
tr, figure { break-inside: avoid }
thead { display: table-header-group }
footer { font-size: 11px; color: #4c5766; margin-top: 8px }
@media print { body { background: #fff; font-size: 11.5px } main { max-width: none; margin: 0; padding: 0 }
  table { font-size: 10.5px } th, td { padding-top: 2px; padding-bottom: 2px } h2 { margin: 9px 0 2px }
  .review h2 { margin-top: 3px } figure { margin: 6px 0 }
  figure img { width: auto; max-width: 100%; max-height: 105mm; margin: 0 auto } .found { margin-top: 5px }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
"""


def case_page(content: Mapping[str, Any], picture: bytes | None, caption: str) -> str:
    """The page as text.

    Args:
        content: As ``build_content`` makes it.
        picture: PNG of the key slices.
        caption: The sentence below it, or why there is none.
    """
    parts = [
        f'<header><h1>{escape(content["title"])}</h1><span class="use">{escape(content["use"])}</span></header>',
        _facts(content["patient"].items()) if content.get("patient") else "",
        f'<p class="found">{escape(headline(content))}</p>',
        f'<p class="signed{"" if content["signature"] else " open"}">{escape(signature_words(content))}</p>',
        *(_remark(title, lines) for title, lines in remarks(content)),
        _figure(content, picture, caption),
        f"<h2>Totals</h2>{_facts(totals(content))}",
        _lesions(content),
        f"<h2>How it was made</h2>{_facts(origin(content))}",
        f"<footer>{escape(content['use'])}.</footer>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(content['title'])}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _facts(facts: Any) -> str:
    rows = "".join(f"<tr><th>{escape(term)}</th><td>{escape(words)}</td></tr>" for term, words in facts)
    return f'<table class="facts">{rows}</table>'


def _remark(title: str, lines: Sequence[str]) -> str:
    listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="review"><h2>{escape(title)}</h2><ul>{listed}</ul></div>'


def _figure(content: Mapping[str, Any], picture: bytes | None, caption: str) -> str:
    if picture is None:
        return f'<p class="legend">{escape(caption)}</p>'
    present = {one["value"]: one["name"] for one in content["labels"] if one["lesion_count"]}
    legend = "".join(
        f'<span><i style="background:{color}"></i>{escape(name)}</span>'
        for name, color in legend_colors(present).items()
    )
    data = base64.b64encode(picture).decode("ascii")
    return (
        f'<figure><img alt="Key slices with the lesions outlined" src="data:image/png;base64,{data}">'
        f'<figcaption>{escape(caption)}</figcaption><div class="legend">{legend}</div></figure>'
    )


def _lesions(content: Mapping[str, Any]) -> str:
    if not content["lesions"]:
        return ""
    heads, rows = lesion_table(content)
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<h2>Lesions</h2><table class="lesions"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'

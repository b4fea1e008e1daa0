"""followup.html: what changed between two scans, on one page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

from StrokeSegLib.report.evaluation_page import RESEARCH_USE
from StrokeSegLib.report.evaluation_style import STYLE

#: Quality of the registration in words.
QUALITY = {
    "good": "The scans were registered well",
    "doubtful": "The registration of the scans is doubtful",
    "failed": "The scans could not be registered",
}


def followup_page(summary: Mapping[str, Any], picture: bytes | None) -> str:
    """The page as text.

    Args:
        summary: The content of followup.json.
        picture: PNG of both scans side by side; None where they could not be registered.
    """
    parts = [
        "<h1>Follow-up</h1>",
        f"<p>{_source('Before', summary['before'])}; {_source('after', summary['after'])}.</p>",
        f'<div class="use">{RESEARCH_USE}</div>',
        *[f'<p class="bad">{escape(warning)}.</p>' for warning in summary["warnings"]],
        _cards(summary),
        _expansion(summary["hematoma_expansion"]),
    ]
    if picture is not None:
        encoded = base64.b64encode(picture).decode("ascii")
        parts.append(f'<figure><img alt="both scans side by side" src="data:image/png;base64,{encoded}"></figure>')
    parts += [_lesions(summary), _method(summary)]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Follow-up</title><style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _source(when: str, point: Mapping[str, Any]) -> str:
    if point["model"] is None:
        return f"{when}: a label map"
    return f"{when}: {escape(str(point['role']).upper())}, model {escape(point['model'])}"


def _cards(summary: Mapping[str, Any]) -> str:
    if not summary["labels"]:
        return "<p>No lesion on either scan.</p>"
    cards = [
        f'<div class="card"><span class="what">{escape(one["name"].capitalize())}</span>'
        f"<b>{one['change_ml']:+.1f} mL</b><small>{one['before_ml']:.1f} mL before, {one['after_ml']:.1f} mL after"
        f"</small><small>{_percent(one['change_percent'], 'there was none before')}</small></div>"
        for one in summary["labels"]
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _expansion(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    if found["expanded"] is None:
        words = "There was no hemorrhage before: it is new, which is not called expansion."
    elif found["expanded"]:
        reached = [
            words for words, met in (("6 mL or more", found["by_volume"]), ("33% or more", found["by_part"])) if met
        ]
        words = f"<b>Hematoma expansion</b>: growth by {' and by '.join(reached)}."
    else:
        words = "No hematoma expansion: growth below 6 mL and below 33%."
    return (
        f'<h2>Hematoma expansion</h2><p>{words}</p><p class="quiet">Defined as growth of a parenchymal hemorrhage by 6 '
        "mL or by 33% (Dowlatshahi et al., Neurology 2011;76:1238; Brouwers et al., Lancet Neurol 2014;13:364). All "
        "marked hemorrhage is counted; take blood in ventricles or outside the brain out of the marks first. How much "
        "time lies between the scans is not known here.</p>"
    )


def _lesions(summary: Mapping[str, Any]) -> str:
    if summary["lesions"] is None:
        return "<h2>Lesions</h2><p>Not matched, since the scans could not be registered.</p>"
    names = {one["value"]: one["name"] for one in summary["labels"]}
    lines = []
    for one in summary["lesions"]:
        at = ", ".join(f"{value:.0f}" for value in one["centroid_ras_mm"])
        cells = (
            escape(names[one["label"]]), one["state"], _numbers(one["before"]), _numbers(one["after"]),
            f"{one['before_ml']:.2f}", f"{one['after_ml']:.2f}", f"{one['change_ml']:+.2f}",
            _percent(one["change_percent"], "–"), at,
        )  # fmt: skip
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = (
        "<tr><th>Label</th><th>State</th><th>Before, no.</th><th>After, no.</th><th>Before, mL</th><th>After, mL</th>"
        "<th>Change, mL</th><th>Change</th><th>Center, mm RAS</th></tr>"
    )
    if not lines:
        return ""
    return f'<h2>Lesion by lesion</h2><div class="scroll"><table>{head}{"".join(lines)}</table></div>'


def _method(summary: Mapping[str, Any]) -> str:
    found = summary["registration"]
    return (
        f'<h2>How it was measured</h2><p class="quiet">{QUALITY[found["quality"]]}: made once each way the two differ '
        f"by {found['inverse_error_mm']:.2f} mm, the heads overlap by {found['head_overlap']:.1%}, "
        f"{found['coverage']:.0%} of the head is on both scans; turned by {found['turned_deg']:.1f} degrees, moved by "
        f"{found['moved_mm']:.1f} mm. Rigid, mutual information. Volumes are measured on each scan's own voxels; the "
        "registration only tells which lesion is which. A lesion is unchanged where its volume changed by less than "
        f'10%.</p><p class="quiet">StrokeSeg {escape(summary["strokeseg"])}. {RESEARCH_USE}.</p>'
    )


def _numbers(numbers: list[int] | tuple[int, ...]) -> str:
    return ", ".join(str(number) for number in numbers) or "–"


def _percent(value: float | None, without: str) -> str:
    return without if value is None else f"{value:+.0f}%"

"""What is said about the open case of a review, line by line."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp.panels.review_tables import statusText


def caseTitle(work: Any) -> str:
    """The case's name and how far the reader is with it; ``work`` is a ``Reviewing``."""
    files = work.files
    title = _("{case}: {status}").format(case=files.case_id, status=statusText(files.reading.status))
    if files.reading.signature is not None:
        title = _("{title}, signed").format(title=title)
    return _("{title}, edits not stored yet").format(title=title) if work.edited else title


def caseNotes(work: Any) -> list[str]:
    """Why a human must look, the reader's own words, then the others' once they may be seen, and what is not stored."""
    return [*_reasons(work), *_comments(work), *_others(work), *_strangers(work)]


def _reasons(work: Any) -> list[str]:
    reasons = work.files.measurements.get("needs_review", {}).get("reasons", [])
    own = [work.files.reading.reason] if work.files.reading.reason else []
    return [_("Please check: {reason}").format(reason=reason) for reason in reasons] + [
        _("Your reason: {reason}").format(reason=reason) for reason in own
    ]


def _comments(work: Any) -> list[str]:
    return [_("You: {text}").format(text=each.text) for each in work.files.reading.comments]


def _others(work: Any) -> list[str]:
    if not work.files.reading.finished_once and not work.adjudicates:
        return [_("What other readers did is hidden until you have decided.")]
    lines = []
    for name, reading in sorted(work.others().items()):
        words = [statusText(reading.status), reading.reason, *(each.text for each in reading.comments)]
        lines.append(_("{reader}: {text}").format(reader=name, text=", ".join(word for word in words if word)))
    return lines


def _strangers(work: Any) -> list[str]:
    names = work.nodes.strangers() if work.nodes is not None else []
    return [_("Segment {name} is none of this case's findings and is not stored.").format(name=name) for name in names]

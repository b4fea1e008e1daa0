"""The two tables of the review section: the worklist, and the lesions of the open case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from StrokeSegApp.panels.lesions import volumeText
from StrokeSegApp.panels.run_view import durationText

LOOK_COLUMN, CASE_COLUMN = 0, 1
HEADER_FRAME_PX = 8
FRAME_PX = 4
WORK_ROWS, LESION_ROWS = 6, 6
LOOK = "!"


def prepareWorklist(table: Any) -> None:
    """Columns of the worklist."""
    _prepare(
        table,
        [LOOK, _("Case"), _("Status"), _("mL"), _("Doubt")],
        [
            _("A human must look: the row's tip says why"),
            _("Name of the case"),
            _("How far you are with it; * is signed"),
            _("Volume of all lesions that the model found, in milliliters"),
            _("Largest doubt of the model about a lesion: 1 minus its mean probability"),
        ],
        CASE_COLUMN,
    )


def fillWorklist(table: Any, items: Sequence[Any], openCase: str | None) -> None:
    """A row a case; the open one is selected."""
    table.blockSignals(True)  # filling is not clicking
    table.setRowCount(len(items))
    for number, item in enumerate(items):
        texts = [
            LOOK if item.needs_human else "",
            item.case_id,
            statusText(item.status) + (" *" if item.signed else ""),
            "" if item.volume_ml is None else volumeText(item.volume_ml),
            "" if item.uncertainty is None else f"{item.uncertainty:.2f}",
        ]
        tip = "\n".join([item.case_id, *item.reasons, *([durationText(item.seconds)] if item.seconds >= 1 else [])])
        _fillRow(table, number, texts, tip)
    ids = [item.case_id for item in items]
    table.setCurrentCell(ids.index(openCase) if openCase in ids else -1, CASE_COLUMN)
    table.blockSignals(False)
    _fit(table, len(items), WORK_ROWS)


def prepareLesions(table: Any) -> None:
    """Columns of the lesion table."""
    _prepare(
        table,
        [_("Finding"), _("mL"), _("Side"), _("Prob."), _("Yours")],
        [
            _("What was found"),
            _("Volume of the lesion in milliliters"),
            _("Side of the patient; empty for a lesion that you changed"),
            _("Mean probability that the model gives the voxels of the lesion, 0 to 1"),
            _("Your decision on this lesion"),
        ],
        0,
    )


def fillLesions(table: Any, rows: Sequence[Any], names: Mapping[int, str], chosen: int | None) -> None:
    """A row a lesion."""
    table.blockSignals(True)
    table.setRowCount(len(rows))
    for number, row in enumerate(rows):
        texts = [
            names.get(row.label, str(row.label)).capitalize(),
            volumeText(row.volume_ml),
            sideText(row.side),
            "" if row.mean_probability is None else f"{row.mean_probability:.2f}",
            {"accepted": _("yes"), "rejected": _("no")}.get(row.decision, ""),
        ]
        _fillRow(table, number, texts, _("Click to go to this lesion"))
    table.setCurrentCell(-1 if chosen is None or chosen >= len(rows) else chosen, 0)
    table.blockSignals(False)
    _fit(table, len(rows), LESION_ROWS)


def statusText(status: str) -> str:
    """A status of a case, as people read it."""
    known = {
        "new": _("new"),
        "opened": _("begun"),
        "corrected": _("edited"),
        "accepted": _("accepted"),
        "rejected": _("rejected"),
        "flagged": _("flagged"),
    }
    return known.get(status, status)


def sideText(side: str) -> str:
    """A side of the patient, as people read it."""
    known = {"left": _("left"), "right": _("right"), "midline": _("midline"), "both": _("both")}
    return known.get(side, side)


def _prepare(table: Any, headers: list[str], tips: list[str], wide: int) -> None:
    table.setColumnCount(len(headers))
    table.setHorizontalHeaderLabels(headers)
    for column, tip in enumerate(tips):
        table.horizontalHeaderItem(column).setToolTip(tip)
    header = table.horizontalHeader()
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    header.setSectionResizeMode(wide, qt.QHeaderView.Stretch)
    table.verticalHeader().setVisible(False)


def _fillRow(table: Any, number: int, texts: Sequence[str], tip: str) -> None:
    for column, text in enumerate(texts):
        item = qt.QTableWidgetItem(text)
        item.setToolTip(tip)
        table.setItem(number, column, item)


def _fit(table: Any, rows: int, most: int) -> None:
    """As high as its rows; a longer one scrolls."""
    header_px = table.fontMetrics().height() + HEADER_FRAME_PX
    table.horizontalHeader().setFixedHeight(header_px)
    table.setFixedHeight(header_px + max(1, min(rows, most)) * table.verticalHeader().defaultSectionSize + FRAME_PX)

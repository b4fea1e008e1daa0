"""summary.csv: a row a case, in the table's order, whole at any moment."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from StrokeSegLib.case_table import write_text_whole
from StrokeSegLib.models import ModelCard

SUMMARY = "summary.csv"
MEASUREMENTS = "measurements.json"
Status = Literal["done", "failed", "waiting"]


@dataclass(frozen=True)
class Row:
    """How it stands with a case.

    Attributes:
        case_id: As in the case table.
        status: ``done``, ``failed``, or ``waiting`` where the batch has not come to it or was stopped.
        volumes_ml: Label value -> mL; empty unless done.
        seconds: The case's own stages together, which run beside those of other cases; None unless done.
        error: One line; empty unless failed.
    """

    case_id: str
    status: Status
    volumes_ml: Mapping[int, float] = field(default_factory=dict)
    seconds: float | None = None
    error: str = ""


def write_summary(rows: Sequence[Row], card: ModelCard, out: Path) -> None:
    """Writes ``out``/summary.csv beside its place and renames it; ``out`` is made where it is missing.

    Columns: case_id, status, ``<label>_ml`` of each label (spaces become ``_``), seconds, error.

    Raises:
        InputError: The place can not be written to.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", "status", *volume_columns(card), "seconds", "error"])
    for row in rows:
        volumes = [f"{row.volumes_ml[label.value]:.3f}" if row.status == "done" else "" for label in card.labels]
        seconds = "" if row.seconds is None else f"{row.seconds:.2f}"
        writer.writerow([row.case_id, row.status, *volumes, seconds, row.error])
    write_text_whole(out / SUMMARY, text.getvalue())


def volume_columns(card: ModelCard) -> list[str]:
    """Names of the volume columns, in the order of the model's labels."""
    return [f"{label.name.replace(' ', '_')}_ml" for label in card.labels]


def row_of_result(case_id: str, folder: Path) -> Row | None:
    """The row of a result folder; None where it holds no whole measurements.json."""
    measured = read_measurements(folder)
    if measured is None:
        return None
    try:
        volumes = {int(label["value"]): float(label["volume_ml"]) for label in measured["labels"]}
        return Row(case_id, "done", volumes, sum(map(float, measured["seconds"].values())))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def read_measurements(folder: Path) -> dict[str, Any] | None:
    """The content of a result folder's measurements.json; None where there is none that can be read."""
    try:
        content = json.loads((folder / MEASUREMENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def result_mark(folder: Path) -> str | None:
    """What tells one result in a folder from the next one; None where there is none."""
    try:
        return hashlib.sha256((folder / MEASUREMENTS).read_bytes()).hexdigest()
    except OSError:
        return None

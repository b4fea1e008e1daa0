"""Our rows beside the papers' in plain text; also the one comparison of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from StrokeSegLib.training.ablate_rows import Row
from StrokeSegLib.training.tables import (
    DIFFUSION_RESULTS,
    NONCONTRAST_ABLATION,
    PERFUSION_RESULTS,
    PROJECTIONS_DICE,
    THEIRS,
    Published,
    Table,
)

#: The row of a paper that a cross-validation of its preset compares with.
BEST_ROW: dict[str, tuple[Table, str]] = {
    "ct-perfusion": (PERFUSION_RESULTS, "proposed, test"),
    "noncontrast-ct": (NONCONTRAST_ABLATION, "+ standardization + weighted loss"),
    "mri": (DIFFUSION_RESULTS, "proposed"),
    "three-projection": (PROJECTIONS_DICE, "+ closing"),
}
#: Columns that are Dice of one label, or of both.
_LABEL_COLUMNS = {"hemorrhage": "hemorrhage", "ischemia": "ischemic lesion"}
RESEARCH_USE = "Research use only, not a medical device"


def ablation_lines(result: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """Each table of the paper: our rows, below each the paper's, below the table what is wrong with it.

    Args:
        result: The content of ablation.json.
        rows: Those that were asked for, in order.
    """
    changes = f" ({', '.join(result['words'])})" if result["words"] else ""
    lines = [
        f"{result['system']}, preset {result['preset']}{changes}, {result['folds']} folds by patient; {RESEARCH_USE}"
    ]
    done = {one["key"]: one for one in result["rows"]}
    tables: dict[str, Table] = {row.table.title: row.table for row in rows}
    for table in tables.values():
        cells = [["", *table.columns]]
        for row in (row for row in rows if row.table is table):
            one = done[row.key]
            if "not_run" in one:
                cells.append([f"{row.title}: not run, {one['not_run']}"])
            else:
                cells.append([row.title, *(_ours(one["ours"], column) for column in table.columns)])
            if row.published is not None:
                cells.append([f"    {THEIRS}", *_theirs(table, row.published)])
        lines += ["", f"{table.paper}: {table.title}", *_aligned(cells), "Found in the paper's table:"]
        lines += [f"  - {note}" for note in table.notes]
    return lines


def crossval_lines(result: Mapping[str, Any]) -> list[str]:
    """A cross-validation, mean ± SD over folds, and the paper's best row.

    Args:
        result: The content of crossval.json.
    """
    table, published = BEST_ROW[result["system"]]
    metrics = ("dice", "sensitivity", "specificity", "precision", "jaccard", "lesion_f1")
    cells = [["", *metrics]]
    for label, found in result["labels"].items():
        cells.append([label, *(_spread(found[metric]) if metric in found else "-" for metric in metrics)])
    lines = [
        f"{result['system']}, preset {result['preset']}: {result['folds']} folds by patient, {result['cases']} cases "
        f"({len(result['errors'])} failed); mean ± SD over folds, of lesion-bearing cases; {RESEARCH_USE}",
        *_aligned(cells),
        "",
        f"{table.paper}: {THEIRS}",
        *_aligned([["", *table.columns], [published, *_theirs(table, published)]]),
        "Found in the paper's table:",
    ]
    return lines + [f"  - {note}" for note in table.notes]


def _ours(ours: Mapping[str, Any], column: str) -> str:
    if column == "seconds":
        return f"{ours['seconds_per_case']['mean']:.1f}"
    if column == "both":
        return _spread(ours["both_dice"])
    if column in _LABEL_COLUMNS:
        found = ours["labels"].get(_LABEL_COLUMNS[column], {}).get("dice")
    else:
        found = next(iter(ours["labels"].values())).get(column)
    return _spread(found) if found else "-"


def _spread(one: Mapping[str, Any]) -> str:
    decimals = 4 if one["mean"] > 0.99 else 3
    return f"{one['mean']:.{decimals}f} ± {one['sd']:.{decimals}f}"


def _theirs(table: Table, row: str) -> list[str]:
    def text(number: Published | None) -> str:
        return "-" if number is None else str(number)

    return [text(number) for number in table.rows[row]]


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Columns of one width each; a line of one cell is a remark and widens nothing."""
    full = [line for line in cells if len(line) > 1]
    widths = [max(len(line[n]) for line in full) for n in range(len(full[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=False)).rstrip() for line in cells]

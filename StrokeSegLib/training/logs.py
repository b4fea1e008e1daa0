"""The log of a run: log.csv for programs and people, TensorBoard where it is installed."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOG, TENSORBOARD = "log.csv", "tensorboard"


class RunLog:
    """Rows of numbers, one every so many steps; begun anew behind the step that a resumed run goes on from.

    Args:
        run: The run folder.
        network: Name of the network, the first column.
        step: Rows of this network beyond it are dropped: they were written after the checkpoint.
    """

    def __init__(self, run: Path, network: str, step: int) -> None:
        self._file, self._network = run / LOG, network
        _drop_rows(self._file, network, step)
        self._board = _board(run / TENSORBOARD / network, step)

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Adds a row; None leaves a cell empty, to be filled by ``fill`` or not at all."""
        row: dict[str, Any] = {"network": self._network, "step": step}
        row |= {name: _cell(value) for name, value in values.items()}
        new = not self._file.exists()
        with self._file.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        self._show(step, values)

    def fill(self, step: int, values: Mapping[str, float]) -> None:
        """Fills cells of the row of a step, where there is one."""
        rows = []
        if self._file.exists():
            with self._file.open(newline="", encoding="utf-8") as old:
                rows = list(csv.reader(old))
        for row in rows[1:]:
            if row[:2] == [self._network, str(step)]:
                for name in values.keys() & set(rows[0]):
                    row[rows[0].index(name)] = _cell(values[name])
        if rows:
            _write_rows(self._file, rows)
        self._show(step, values)

    def _show(self, step: int, values: Mapping[str, float | None]) -> None:
        for name, value in values.items() if self._board is not None else ():
            if value is not None:
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Ends the TensorBoard file."""
        if self._board is not None:
            self._board.close()


def read_log(run: Path) -> list[dict[str, str]]:
    """The rows of a run's log."""
    with (run / LOG).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _drop_rows(file: Path, network: str, step: int) -> None:
    """Removes rows beyond a step, and one that a kill cut short."""
    if not file.exists():
        return
    with file.open(newline="", encoding="utf-8") as old:
        reader = csv.reader(old)
        header = next(reader, None)
        rows = [r for r in reader if header and len(r) == len(header) and (r[0] != network or int(r[1]) <= step)]
    _write_rows(file, [header, *rows] if header else [])


def _write_rows(file: Path, rows: Sequence[Sequence[str]]) -> None:
    beside = file.with_suffix(".tmp")
    with beside.open("w", newline="", encoding="utf-8") as new:
        csv.writer(new).writerows(rows)
    os.replace(beside, file)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step)  # type: ignore[no-untyped-call]

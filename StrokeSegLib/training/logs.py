"""The log of a run: log.csv for programs and people, TensorBoard where it is installed."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
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

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a row."""
        row: dict[str, Any] = {"network": self._network, "step": step}
        row |= {name: f"{value:.6g}" for name, value in values.items()}
        new = not self._file.exists()
        with self._file.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        if self._board is not None:
            for name, value in values.items():
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
    beside = file.with_suffix(".tmp")
    with beside.open("w", newline="", encoding="utf-8") as new:
        csv.writer(new).writerows([header, *rows] if header else [])
    os.replace(beside, file)


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step)  # type: ignore[no-untyped-call]

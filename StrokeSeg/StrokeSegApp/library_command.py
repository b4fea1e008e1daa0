"""A command of ``strokeseg`` that writes into a folder of the user's, for the console: evaluate and export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from StrokeSegApp.command_run import CommandRun


class LibraryCommand(CommandRun):
    """A command in progress; ``finish`` gives the folder that it has written. See ``CommandRun``."""

    def __init__(
        self, name: str, out: str | Path, options: Mapping[str, Any], command: Sequence[str] | None = None
    ) -> None:
        """Start the command.

        Args:
            name: Of the command.
            out: The folder.
            options: The command's other words, such as ``{"threshold": 0.4, "force": True}``; None and False leave one
                out. A path must be absolute: the command works in another folder.
            command: Stands for ``PythonSlicer -m StrokeSegLib`` (tests).

        Raises:
            RunError: The process cannot be started.
        """
        self.out = Path(out).expanduser().absolute()
        words = [name, "--out", str(self.out)]
        for key, value in options.items():
            if value is not None and value is not False:
                words += [f"--{key}"] if value is True else [f"--{key}", str(value)]
        super().__init__(lambda folder: words, command)

    def finish(self) -> Path:  # type: ignore[override]
        """Judge the end; see ``CommandRun.finish``."""
        super().finish()
        return self.out

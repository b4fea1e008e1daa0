"""A trained run becomes a model of the user: ``strokeseg export``, then the same checks as for any import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp import model_store
from StrokeSegApp.command_run import CommandRun
from StrokeSegLib.errors import InputError


class ExportRun(CommandRun):
    """An export in progress; see ``CommandRun``. ``card`` is the new model's after ``finish``."""

    card: Any = None

    def __init__(self, run: Path, modelId: str, command: Sequence[str] | None = None) -> None:
        """Start the command.

        Args:
            run: A folder made by a training.
            modelId: Of the new model: small letters, digits and -.
            command: Stands for ``PythonSlicer -m StrokeSegLib`` (tests).

        Raises:
            InputError: A model of this id is installed.
        """
        if modelId in {card.id for card in model_store.cards()}:
            raise InputError(
                _("a model '{model}' is installed already: choose another name, or remove it under Models").format(
                    model=modelId
                )
            )
        self._id = modelId
        run = run.expanduser().absolute()
        super().__init__(
            lambda folder: [
                "export",
                "--model",
                str(run),
                "--format",
                "model",
                "--id",
                modelId,
                "--out",
                str(folder / modelId),
            ],
            command,
        )

    def beforeRemoval(self) -> None:
        self.card = model_store.importModel(self.folder / self._id)

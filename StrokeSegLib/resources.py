"""Finds the Resources folder: in a checkout, an editable install, a wheel and an installed extension."""

from __future__ import annotations

from pathlib import Path


def resources_folder() -> Path:
    """The folder that holds Models, Terminology, Icons and UI.

    In a checkout, an editable install and an installed extension it lies beside ``StrokeSegLib``; a wheel carries it
    inside, so that site-packages gets no folder with so common a name.

    Raises:
        FileNotFoundError: The installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "Resources", package.parent / "Resources"):
        if (folder / "Models").is_dir():
            return folder
    raise FileNotFoundError(f"no Resources/Models in or beside {package}; install StrokeSeg again")


def models_folder() -> Path:
    """The folder with one folder a bundled model."""
    return resources_folder() / "Models"

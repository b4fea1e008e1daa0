"""Where StrokeSegLib and Resources lie: beside StrokeSeg/ in a checkout, beside StrokeSeg.py once installed.

Slicer installs scripted modules flat, so the folder that holds ``StrokeSeg.py`` also holds the library there.
"""

from __future__ import annotations

import sys
from pathlib import Path

#: What the library is written for; Slicer 5.8 and older have 3.9.
PYTHON_NEEDED = (3, 11)


def tooOld() -> bool:
    """Whether this Slicer's Python cannot read the rest of the module. This file and the module's own it can."""
    return sys.version_info[:2] < PYTHON_NEEDED


def rootFolder(moduleFolder: Path | None = None) -> Path:
    """The folder that holds both StrokeSegLib and Resources.

    Args:
        moduleFolder: Folder of ``StrokeSeg.py``; None means the one this file was imported from.

    Raises:
        FileNotFoundError: Neither tree is complete.
    """
    moduleFolder = moduleFolder or Path(__file__).resolve().parent.parent
    for candidate in (moduleFolder, moduleFolder.parent):
        if (candidate / "StrokeSegLib" / "volume.py").is_file() and (candidate / "Resources").is_dir():
            return candidate
    raise FileNotFoundError(
        f"StrokeSegLib and Resources are neither in {moduleFolder} nor beside it; reinstall the extension"
    )


def resourcePath(relative: str) -> str:
    """Absolute path of a file in Resources, such as ``UI/StrokeSeg.ui``."""
    return str(rootFolder() / "Resources" / relative)


def addLibraryToPath() -> None:
    """Make ``import StrokeSegLib`` work; appended last, so nothing of Slicer is shadowed. Calling twice is fine."""
    root = str(rootFolder())
    if root not in sys.path:
        sys.path.append(root)

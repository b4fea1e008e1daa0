r"""Paths that Windows would cut: it refuses more than 259 characters, unless they begin with \\?\.

Other systems have no such limit.
"""

from __future__ import annotations

import ntpath
import os
import sys
from pathlib import Path

#: Windows' limit, less what a run adds below a folder: a staging folder's name, and the deepest file of a model.
LONGEST_FOLDER = 259 - 110
_PREFIX, _SHARE = "\\\\?\\", "\\\\?\\UNC\\"


def reachable(folder: Path) -> Path:
    """The folder as it can be written to: itself, or on Windows, where it is long, its extended name."""
    if sys.platform != "win32":
        return folder
    return Path(extended(os.path.abspath(folder)))


def extended(path: str) -> str:
    """The extended name of an absolute Windows path that is too long for what lies in it; a short one as it is."""
    path = ntpath.normpath(path)
    if len(path) <= LONGEST_FOLDER or path.startswith((_PREFIX, "\\\\.\\")):
        return path
    return _SHARE + path[2:] if path.startswith("\\\\") else _PREFIX + path

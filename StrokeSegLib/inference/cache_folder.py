"""Where the user's caches lie on this system; the only place that knows."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NAME = "strokeseg"


def user_cache_folder() -> Path:
    """The folder for what can be made again, by the rules of the system; it need not exist.

    Linux: ``$XDG_CACHE_HOME`` or ``~/.cache`` (XDG Base Directory Specification); macOS: ``~/Library/Caches``;
    Windows: ``%LOCALAPPDATA%``, not the roaming one.
    """
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / NAME
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / NAME / "Cache"
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification: a relative path is to be ignored.
    return (named if named.is_absolute() else Path.home() / ".cache") / NAME

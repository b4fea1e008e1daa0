"""Packages that only some reports need: asked for when they are needed, and named when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from StrokeSegLib.errors import InputError


def needed(module: str, why: str) -> Any:
    """The module.

    Raises:
        InputError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise InputError(
            f"{why} needs the Python package {package}, which is not installed: pip install 'strokeseg[report]'"
        ) from error

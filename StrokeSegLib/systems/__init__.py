"""The clinical systems, one page each; reading them imports no torch."""

from __future__ import annotations

from StrokeSegLib.systems.base import System
from StrokeSegLib.systems.mri import MRI

#: Every system by name.
SYSTEMS: dict[str, System] = {MRI.name: MRI}

__all__ = ["SYSTEMS", "System"]

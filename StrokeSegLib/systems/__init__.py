"""The clinical systems, one page each; reading them imports no torch."""

from __future__ import annotations

from StrokeSegLib.systems.base import System
from StrokeSegLib.systems.ct_perfusion import CT_PERFUSION
from StrokeSegLib.systems.mri import MRI
from StrokeSegLib.systems.noncontrast_ct import NONCONTRAST_CT
from StrokeSegLib.systems.three_projection import THREE_PROJECTION

#: Every system by name.
SYSTEMS: dict[str, System] = {system.name: system for system in (MRI, NONCONTRAST_CT, THREE_PROJECTION, CT_PERFUSION)}

__all__ = ["SYSTEMS", "System"]

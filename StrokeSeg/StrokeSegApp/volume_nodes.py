"""Volumes of the library as volume nodes of the scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from StrokeSegLib.volume import LPS_TO_RAS, Volume


def addVolume(volume: Volume, name: str) -> Any:
    """A new scalar volume node with a volume's voxels and geometry."""
    ijkToRas = np.eye(4)
    ijkToRas[:3, :3] = LPS_TO_RAS @ np.asarray(volume.direction) @ np.diag(volume.spacing_mm)
    ijkToRas[:3, 3] = LPS_TO_RAS @ np.asarray(volume.origin)
    node = slicer.util.addVolumeFromArray(
        np.ascontiguousarray(volume.array), slicer.util.vtkMatrixFromArray(ijkToRas), name
    )
    node.CreateDefaultDisplayNodes()
    return node

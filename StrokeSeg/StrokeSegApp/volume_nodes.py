"""Volumes of the library as volume nodes of the scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from StrokeSegLib.volume import LPS_TO_RAS, Volume


def addVolume(volume: Volume, name: str) -> Any:
    """A new scalar volume node with a volume's voxels and geometry."""
    node = slicer.util.addVolumeFromArray(np.ascontiguousarray(volume.array), ijkToRas(volume), name)
    node.CreateDefaultDisplayNodes()
    return node


def ijkToRas(grid: Volume) -> Any:
    """Where the voxels of a grid lie, as MRML has it: from ``(i, j, k)`` to mm, RAS, a ``vtkMatrix4x4``."""
    matrix = np.eye(4)
    matrix[:3, :3] = LPS_TO_RAS @ np.asarray(grid.direction) @ np.diag(grid.spacing_mm)
    matrix[:3, 3] = LPS_TO_RAS @ np.asarray(grid.origin)
    return slicer.util.vtkMatrixFromArray(matrix)

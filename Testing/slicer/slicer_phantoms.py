"""Small volume nodes with known geometry and known lesions."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk


def rotation(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """The 3x3 rotation about an axis."""
    transform = vtk.vtkTransform()
    transform.RotateWXYZ(degrees, axis)
    return slicer.util.arrayFromVTKMatrix(transform.GetMatrix())[:3, :3]


#: IJK to RAS (mm) of every kind of grid the module must keep: 4x4, name of the kind as key.
GRIDS = {
    "axial": np.diag([2.0, 2.0, 3.0, 1.0]),
    "left_handed": np.array([[-2.0, 0, 0, 40], [0, 2.0, 0, -30], [0, 0, 3.0, 10], [0, 0, 0, 1]]),
    "sagittal": np.array([[0, 0, 3.0, -20], [-1.5, 0, 0, 25], [0, -1.5, 0, 30], [0, 0, 0, 1.0]]),
}
_oblique = np.eye(4)
_oblique[:3, :3] = rotation((1, 2, 3), 25) @ np.diag([1.2, 1.2, 5.0])
_oblique[:3, 3] = (-35.25, 12.5, 61.125)
GRIDS["oblique"] = _oblique


def addHead(
    name: str = "DWI b1000",
    grid: str = "axial",
    shape: tuple[int, int, int] = (10, 14, 12),
    values: tuple[int, int] = (100, 400),
) -> Any:
    """A volume node of 100 everywhere with two brighter blocks (value 400): 3x3x3 and 1x2x2 voxels (k, j, i)."""
    array = np.full(shape, values[0], dtype=np.int16)
    array[3:6, 4:7, 5:8] = values[1]
    array[8:9, 10:12, 2:4] = values[1]
    matrix = slicer.util.vtkMatrixFromArray(GRIDS[grid])
    node = slicer.util.addVolumeFromArray(array, matrix, name)
    node.CreateDefaultDisplayNodes()
    return node


def addAdc(name: str = "ADC", grid: str = "axial") -> Any:
    """The ADC map of addHead, in 10^-6 mm2/s: lower in the blocks, and no two columns alike, as in no real one."""
    node = addHead(name, grid, values=(800, 450))
    slicer.util.arrayFromVolume(node)[:] += np.arange(12, dtype=np.int16)
    slicer.util.arrayFromVolumeModified(node)
    return node


#: Voxels of the two blocks of addHead.
BLOCK_VOXELS = (27, 4)


def voxelVolumeMl(grid: str) -> float:
    return float(abs(np.linalg.det(GRIDS[grid][:3, :3]))) / 1000.0


def addRotationTransform(degrees: float = 30.0) -> Any:
    """A linear transform node: a turn about an oblique axis and a shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((0, 1, 2), degrees)
    matrix[:3, 3] = (7.0, -11.0, 13.0)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turn")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def addCt(name: str = "head CT") -> Any:
    """A volume node with the values of a CT: air around a block of brain at 35 HU."""
    array = np.full((10, 14, 12), -1000, dtype=np.int16)
    array[2:8, 3:11, 3:9] = 35
    node = slicer.util.addVolumeFromArray(array, slicer.util.vtkMatrixFromArray(GRIDS["axial"]), name)
    node.CreateDefaultDisplayNodes()
    return node

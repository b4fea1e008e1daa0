"""Volumes that a result keeps out of sight; of images that are mostly 0, the box that is not.

A thin-slice scan has 50 million voxels: kept whole, its probabilities would take longer to put into the scene, and
more of a scene file, than all the rest of a result.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import slicer
import vtk

from StrokeSegApp import scene
from StrokeSegLib.errors import InputError
from StrokeSegLib.volume import Volume

#: First voxel ``[k, j, i]`` of a box within the grid of the input.
START_ATTRIBUTE = "StrokeSeg.FirstVoxel"


def hide(segmentation: Any, role: str, reference: Any, volume: Volume, what: str, boxed: bool = False) -> None:
    """A hidden volume node on the voxels of the reference, kept by the segmentation; it gets a display when shown.

    Args:
        segmentation: Node that refers to it.
        role: Of the reference.
        reference: Volume node with the grid that ``volume`` must have.
        volume: The voxels.
        what: What people call it.
        boxed: Only the box around what is not 0, see ``whole``.

    Raises:
        InputError: The grids differ.
    """
    if not volume.same_grid(scene.volumeFromNode(reference)):
        raise InputError(
            f"the {what} of the result lies on another grid than volume '{reference.GetName()}': press Apply again"
        )
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    node.UnRegister(None)
    node.SetName(slicer.mrmlScene.GenerateUniqueName(f"{segmentation.GetName()} {what}"))
    node.SetHideFromEditors(True)  # before it is added: nobody takes it for an input
    slicer.mrmlScene.AddNode(node)
    node.CopyOrientation(reference)
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    array = volume.array
    if boxed:
        box = scene.boxOf(array) or (slice(0, 1),) * 3
        start = [each.start for each in box]
        node.SetAttribute(START_ATTRIBUTE, json.dumps(start))
        toRas = vtk.vtkMatrix4x4()
        reference.GetIJKToRASMatrix(toRas)
        node.SetOrigin(toRas.MultiplyPoint((*start[::-1], 1))[:3])
        array = array[box]
    slicer.util.updateVolumeFromArray(node, array)
    segmentation.SetNodeReferenceID(role, node.GetID())
    scene.placeBeside(reference, node)


def whole(node: Any, grid: Any) -> Volume:
    """What ``hide`` was given: a box put back into the grid of the whole image, 0 around it.

    Args:
        node: A hidden volume node.
        grid: A volume node of the input's grid.

    Raises:
        InputError: Somebody changed the node.
    """
    part, start = scene.volumeFromNode(node), node.GetAttribute(START_ATTRIBUTE)
    if start is None:
        return part
    target = scene.volumeFromNode(grid)
    first = json.loads(start)
    box = tuple(slice(a, a + n) for a, n in zip(first, part.array.shape, strict=True))
    if any(each.stop > n for each, n in zip(box, target.array.shape, strict=True)):
        raise InputError(f"volume '{node.GetName()}' does not fit into the image any more: press Apply again")
    array = np.zeros(target.array.shape, part.array.dtype)
    array[box] = part.array
    return target.with_array(array)

"""Volumes that a result keeps out of sight: of each the box that is not 0.

A thin-slice scan has 50 million voxels: kept whole, its probabilities would take longer to put into the scene, and
more of a scene file, than all the rest of a result.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from StrokeSegApp import scene
from StrokeSegLib.errors import InputError
from StrokeSegLib.io.box import BoxedImage
from StrokeSegLib.volume import Volume

#: ``first`` voxel ``[k, j, i]`` of the node within the image that it was cut out of, and the ``shape`` of that image.
BOX_ATTRIBUTE = "StrokeSeg.Box"


def hide(segmentation: Any, role: str, reference: Any, image: BoxedImage, what: str) -> None:
    """A hidden volume node on the voxels of the reference, kept by the segmentation; it gets a display when shown.

    Args:
        segmentation: Node that refers to it.
        role: Of the reference.
        reference: Volume node with the grid that ``image`` must have.
        image: The voxels, see ``whole``.
        what: What people call it.

    Raises:
        InputError: The grids differ, or the voxels can not be read any more.
    """
    if not image.grid.same_grid(scene.volumeFromNode(reference)):
        raise InputError(
            _("the {what} of the result lies on another grid than volume '{volume}': press Apply again").format(
                what=what, volume=reference.GetName()
            )
        )
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    node.UnRegister(None)
    node.SetName(slicer.mrmlScene.GenerateUniqueName(f"{segmentation.GetName()} {what}"))
    node.SetHideFromEditors(True)  # before it is added: nobody takes it for an input
    node.CopyOrientation(reference)
    node.SetOrigin(scene.ijkToRas(reference).MultiplyPoint((*image.first[::-1], 1))[:3])
    node.SetAttribute(BOX_ATTRIBUTE, json.dumps({"first": image.first, "shape": image.grid.array.shape}))
    node.SetAndObserveImageData(_imageData(image))
    slicer.mrmlScene.AddNode(node)
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    segmentation.SetNodeReferenceID(role, node.GetID())
    # Not beside the image in the study: an export of the study to DICOM would write it as a scan of the patient.


def whole(node: Any) -> Volume:
    """What ``hide`` was given: the box put back into the grid of the whole image, 0 around it, in world coordinates.

    Raises:
        InputError: Somebody changed the node.
    """
    part = scene.volumeFromNode(node)
    first, shape = _place(node)
    box = tuple(slice(a, a + n) for a, n in zip(first, part.array.shape, strict=True))
    if any(each.stop > n for each, n in zip(box, shape, strict=True)):
        raise InputError(
            _("volume '{volume}' does not fit into the image any more: press Apply again").format(volume=node.GetName())
        )
    array = np.zeros(shape, part.array.dtype)
    array[box] = part.array
    x, y, z = part.ijk_to_lps([-each for each in first[::-1]])
    return Volume(array, part.spacing_mm, (float(x), float(y), float(z)), part.direction)


def wholeIjkToRas(node: Any) -> Any:
    """Matrix of the whole image's grid, without the transform that the node is under."""
    matrix = scene.ijkToRas(node)
    first, _shape = _place(node)
    corner = matrix.MultiplyPoint((*(-each for each in first[::-1]), 1))
    for row in range(3):
        matrix.SetElement(row, 3, corner[row])
    return matrix


def _place(node: Any) -> tuple[list[int], list[int]]:
    """First voxel within the whole image and the whole image's shape, ``[k, j, i]``."""
    text = node.GetAttribute(BOX_ATTRIBUTE)
    if not text:
        raise InputError(
            _("volume '{volume}' does not say where it lies any more: press Apply again").format(volume=node.GetName())
        )
    place = json.loads(text)
    return place["first"], place["shape"]


def _imageData(image: BoxedImage) -> Any:
    """Filled where it is to stay: memory that is used for the first time costs more than what is done with it."""
    data = vtk.vtkImageData()
    data.SetDimensions(*image.shape[::-1])
    data.AllocateScalars(get_vtk_array_type(image.grid.array.dtype), 1)
    image.fill(vtk_to_numpy(data.GetPointData().GetScalars()).reshape(image.shape))
    return data

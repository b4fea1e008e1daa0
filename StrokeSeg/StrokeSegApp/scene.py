"""The only place where MRML nodes become a Volume and a Volume becomes MRML nodes.

MRML is RAS and a Volume is LPS; both index voxels as ``[k, j, i]``. A Volume made here is in world coordinates: linear
parent transforms are part of its geometry. A segmentation goes under the same transform as its reference volume
instead, so that both keep moving together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from StrokeSegApp.paths import resourcePath
from StrokeSegApp.volume_facts import dicomUids
from StrokeSegLib.errors import InputError
from StrokeSegLib.io.box import BoxedImage, box_of, boxed
from StrokeSegLib.io.dicom_header import looks_like_dicom
from StrokeSegLib.terminology import color_rgb, terminology_entry
from StrokeSegLib.volume import LPS_TO_RAS, Volume

TERMINOLOGY_FILE = "Terminology/SegmentationCategoryTypeModifier-StrokeSeg.term.json"
MEASUREMENTS_ATTRIBUTE = "StrokeSeg.Measurements"
#: Where a volume came from that has no file of its own: ``FOLDER#SERIES_UID``.
SOURCE_ATTRIBUTE = "StrokeSeg.Source"
#: Segments are called so and by their label value.
SEGMENT_PREFIX = "StrokeSeg_"
FILL_OPACITY_2D = 0.4


def volumeFromNode(node: Any) -> Volume:
    """The node's voxels (a view, not a copy) with its geometry in world coordinates.

    Raises:
        InputError: The node has no voxels, several components a voxel, a non-linear transform, or sheared axes.
    """
    image = node.GetImageData()
    if not hasVoxels(node):
        raise InputError(
            _("volume '{volume}' holds no voxels; load it again or choose another volume").format(volume=node.GetName())
        )
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            _(
                "volume '{volume}' has {count} components a voxel (color or vector); one number a voxel is"
                " needed: extract a component first"
            ).format(volume=node.GetName(), count=image.GetNumberOfScalarComponents())
        )
    ijkToRas = _ijkToWorldRas(node)
    columns = LPS_TO_RAS @ ijkToRas[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    try:
        return Volume(
            slicer.util.arrayFromVolume(node), tuple(spacing), tuple(LPS_TO_RAS @ ijkToRas[:3, 3]), columns / spacing
        )
    except InputError as error:
        raise InputError(_("volume '{volume}': {error}").format(volume=node.GetName(), error=error)) from error


def hasVoxels(node: Any) -> bool:
    """False for a volume node that was made but not filled yet."""
    image = node.GetImageData()
    return image is not None and image.GetNumberOfPoints() > 0 and image.GetPointData().GetScalars() is not None


def addSegmentation(
    reference: Any, labels: Volume, names: Mapping[int, str], algorithmName: str, nodeName: str | None = None
) -> Any:
    """A new segmentation node on exactly the grid of ``reference``, see ``addBoxedSegmentation``."""
    return addBoxedSegmentation(reference, boxed(labels), names, algorithmName, nodeName)


def addBoxedSegmentation(
    reference: Any, labels: BoxedImage, names: Mapping[int, str], algorithmName: str, nodeName: str | None = None
) -> Any:
    """A new segmentation node on exactly the grid of ``reference``; nothing that exists is touched.

    Args:
        reference: Volume node whose voxels the labels were computed on.
        labels: Label values on the grid of the reference.
        names: A segment for each label value, also for values that do not occur: an empty segment is a finding.
        algorithmName: What made the labels, for DICOM, such as ``StrokeSeg mri 1.0``.
        nodeName: Of the node; made unique in the scene.

    Raises:
        InputError: The reference no longer has the grid of the labels, or a label value is none of ours.
    """
    if not labels.grid.same_grid(volumeFromNode(reference)):
        raise InputError(
            _("volume '{volume}' changed its geometry during the run; press Apply again").format(
                volume=reference.GetName()
            )
        )
    loadTerminology()
    scene = slicer.mrmlScene
    name = scene.GenerateUniqueName(nodeName or f"{reference.GetName()} lesions")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    for value, segmentName in names.items():
        identifier = node.GetSegmentation().AddEmptySegment(
            f"{SEGMENT_PREFIX}{value}", segmentName, [c / 255 for c in color_rgb(value)]
        )
        segment = node.GetSegmentation().GetSegment(identifier)
        segment.SetTag(segment.GetTerminologyEntryTagName(), terminology_entry(value))
        # Without these two, Slicer exports an automatic result to DICOM as if a person had drawn it.
        segment.SetTag("DICOM.SegmentAlgorithmType", "AUTOMATIC")
        segment.SetTag("DICOM.SegmentAlgorithmName", algorithmName)
    writeLabels(node, labels, names, ijkToRas(reference))
    placeBeside(reference, node)
    return node


def writeLabels(segmentation: Any, labels: BoxedImage, values: Iterable[int], ijkToRas: Any) -> None:
    """Give the segments of label values their voxels, also where there are none; a segment that is gone stays gone.

    Args:
        segmentation: Under the same transform as the volume that the labels lie on.
        labels: On the whole grid of that volume.
        values: Label values.
        ijkToRas: Matrix of the whole grid, without the transform.
    """
    part, first = labels.part(), labels.first
    for value in values:
        identifier = f"{SEGMENT_PREFIX}{value}"
        if segmentation.GetSegmentation().GetSegment(identifier) is not None:
            _writeSegment(segmentation, identifier, part == value, first, ijkToRas)


def _writeSegment(
    segmentation: Any, identifier: str, mask: np.ndarray, first: tuple[int, int, int], ijkToRas: Any
) -> None:
    """Of a mask whose first voxel lies at ``first``, the segment's box alone.

    A lesion is a small part of a scan, and Slicer copies what it is given several times.
    """
    box = box_of(mask)
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetGeometryFromImageToWorldMatrix(ijkToRas)
    if box is None:
        before = segmentation.GetBinaryLabelmapInternalRepresentation(identifier)
        if before is None or before.IsEmpty():
            return
        matrix = vtk.vtkMatrix4x4()
        before.GetImageToWorldMatrix(matrix)
        labelmap.SetGeometryFromImageToWorldMatrix(matrix)
        labelmap.SetExtent(before.GetExtent())  # nothing is written over all that was there
        mask = np.zeros(before.GetNumberOfPoints(), np.uint8)
    else:
        at = [(start + each.start, start + each.stop - 1) for start, each in zip(first, box, strict=True)]
        labelmap.SetExtent(*(edge for edges in at[::-1] for edge in edges))
        mask = mask[box]
    labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = mask.ravel()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.SetBinaryLabelmapToSegment(labelmap, segmentation, identifier):
        raise RuntimeError(f"Slicer did not take the voxels of segment {identifier}")


def showResult(segmentation: Any, reference: Any) -> None:
    """Fill the segments in the slice views, show them in 3D, and put the reference volume behind them."""
    segmentation.GetDisplayNode().SetOpacity2DFill(FILL_OPACITY_2D)
    segmentation.CreateClosedSurfaceRepresentation()
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    # Fit only when the background changes: a reader who has zoomed in keeps the view.
    fit = any(composite.GetBackgroundVolumeID() != reference.GetID() for composite in composites)
    slicer.util.setSliceViewerLayers(background=reference, fit=fit)
    if slicer.app.layoutManager() is not None:  # None when Slicer runs without its main window
        slicer.util.resetThreeDViews()


def jumpTo(ras_mm: Sequence[float]) -> None:
    """Center every slice view on a position in world RAS, mm."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *ras_mm, slicer.vtkMRMLSliceNode.CenteredJumpSlice)


def storeMeasurements(segmentation: Any, measurements: Mapping[str, Any]) -> None:
    """Keep what was measured, and how it came about, as attributes of the node: they travel with the scene file."""
    segmentation.SetAttribute(MEASUREMENTS_ATTRIBUTE, json.dumps(measurements))
    segmentation.SetAttribute("StrokeSeg.Time", datetime.now(UTC).isoformat(timespec="seconds"))
    for key in ("model", "version", "sha256", "system"):
        segmentation.SetAttribute(f"StrokeSeg.{key.capitalize()}", str(measurements.get(key, "")))


def storedMeasurements(segmentation: Any) -> dict[str, Any] | None:
    """What storeMeasurements kept, or None when the node is not a result of StrokeSeg."""
    text = segmentation.GetAttribute(MEASUREMENTS_ATTRIBUTE) if segmentation else None
    return json.loads(text) if text else None


def sourceOf(node: Any) -> str:
    """The file or DICOM series a volume node was loaded from, or its name when it was not loaded from a file."""
    storage = node.GetStorageNode()
    file = storage.GetFileName() if storage else None
    uids = dicomUids(node)
    if uids and (file is None or not os.path.isfile(file) or looks_like_dicom(Path(file))):
        file = uids  # of a DICOM series, a file is one slice; where the volume was saved, it is all
    return node.GetAttribute(SOURCE_ATTRIBUTE) or file or node.GetName()


def loadTerminology() -> None:
    """Give Slicer the names and codes of the segments; calling twice is fine."""
    logic = getattr(slicer.modules, "terminologies", None)
    path = resourcePath(TERMINOLOGY_FILE)
    if logic is not None and os.path.isfile(path):
        logic.logic().LoadTerminologyFromFile(path)


def ijkToRas(node: Any) -> Any:
    """Where the voxels of a volume node lie, without the transform that it is under: a ``vtkMatrix4x4``."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def _ijkToWorldRas(node: Any) -> np.ndarray:
    matrix = ijkToRas(node)
    transform = node.GetParentTransformNode()
    if transform is not None:
        if not transform.IsTransformToWorldLinear():
            raise InputError(
                _(
                    "volume '{volume}' is under the non-linear transform '{transform}'; harden it (Data module, right"
                    " click) or take the volume out of the transform"
                ).format(volume=node.GetName(), transform=transform.GetName())
            )
        toWorld = vtk.vtkMatrix4x4()
        transform.GetMatrixTransformToWorld(toWorld)
        vtk.vtkMatrix4x4.Multiply4x4(toWorld, matrix, matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def placeBeside(reference: Any, node: Any) -> None:
    """Put the node under the same parent as the reference in the subject hierarchy: the same study, if it has one."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None:  # the scene is being closed
        return
    referenceItem = hierarchy.GetItemByDataNode(reference)
    parent = hierarchy.GetItemParent(referenceItem) if referenceItem else hierarchy.GetSceneItemID()
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)

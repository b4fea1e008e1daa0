"""Keeps results truthful, whoever changes them: a segment that was edited by hand no longer says AUTOMATIC.

Every result carries a fingerprint of each segment's voxels. When a segment's voxels change without this module having
changed them, DICOM's algorithm type becomes SEMIAUTOMATIC; tag and fingerprint travel with the scene, so an edit that
was made where this module was not loaded is noticed when the scene is opened. Hidden volumes go with their result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from StrokeSegApp import scene

ALGORITHM_TYPE = "DICOM.SegmentAlgorithmType"
AUTOMATIC, SEMIAUTOMATIC = "AUTOMATIC", "SEMIAUTOMATIC"
FINGERPRINT_ATTRIBUTE = "StrokeSeg.Fingerprint."
_ownChanges = 0
_observedScenes: dict[int, tuple[Any, list[int]]] = {}
#: Of the observer on each result, by the node's ID.
_tags: dict[str, int] = {}


def install() -> None:
    """Watch the results of the scene, those that come with a scene file, and what is removed; calling twice is fine."""
    mrmlScene = slicer.mrmlScene
    if id(mrmlScene) in _observedScenes:
        return
    tags = [
        mrmlScene.AddObserver(mrmlScene.EndImportEvent, _onImported),
        mrmlScene.AddObserver(mrmlScene.NodeAboutToBeRemovedEvent, _onRemoved),
        mrmlScene.AddObserver(mrmlScene.StartCloseEvent, _onClose),
    ]
    _observedScenes[id(mrmlScene)] = (mrmlScene, tags)
    _onImported()


def uninstall() -> None:
    """Watch no more, as before the module is reloaded; ``install`` takes over then."""
    for mrmlScene, tags in _observedScenes.values():
        for identifier, tag in _tags.items():
            node = mrmlScene.GetNodeByID(identifier)
            if node is not None:
                node.RemoveObserver(tag)
        for tag in tags:
            mrmlScene.RemoveObserver(tag)
    _tags.clear()
    _observedScenes.clear()


def watch(segmentation: Any) -> None:
    """Take the segments as they are now for the machine's own, and watch for edits."""
    install()
    _takeFingerprints(segmentation)
    _observe(segmentation)


@contextmanager
def ownChange(segmentation: Any) -> Iterator[None]:
    """What happens to the segments inside the block is the machine's work."""
    global _ownChanges
    _ownChanges += 1
    try:
        yield
    finally:
        _ownChanges -= 1
        _takeFingerprints(segmentation)


def isEdited(segmentation: Any) -> bool:
    """True when a segment was edited by hand since the run, or was added or removed."""
    segments = segmentation.GetSegmentation()
    ids = [segments.GetNthSegmentID(index) for index in range(segments.GetNumberOfSegments())]
    known = [name for name in segmentation.GetAttributeNames() if name.startswith(FINGERPRINT_ATTRIBUTE)]
    return sorted(FINGERPRINT_ATTRIBUTE + each for each in ids) != sorted(known) or any(
        algorithmType(segments.GetSegment(each)) != AUTOMATIC for each in ids
    )


def algorithmType(segment: Any) -> str:
    """``AUTOMATIC``, ``SEMIAUTOMATIC``, or empty for a segment that does not say."""
    value = vtk.mutable("")
    return str(value) if segment.GetTag(ALGORITHM_TYPE, value) else ""


def _observe(segmentation: Any) -> None:
    """Only the own observer is replaced: Slicer's editor and modules have theirs on the same event."""
    tag = _tags.pop(segmentation.GetID(), None)
    if tag is not None:
        segmentation.RemoveObserver(tag)
    event = slicer.vtkSegmentation.SourceRepresentationModified
    _tags[segmentation.GetID()] = segmentation.AddObserver(event, _onEdited)


def _onEdited(segmentation: Any, event: Any = None) -> None:
    if not _ownChanges and not slicer.mrmlScene.IsBatchProcessing():
        _check(segmentation)


def _check(segmentation: Any) -> None:
    """Segments whose voxels are not those that the machine made say so from now on."""
    changed = False
    segments = segmentation.GetSegmentation()
    for index in range(segments.GetNumberOfSegments()):
        identifier = segments.GetNthSegmentID(index)
        segment = segments.GetSegment(identifier)
        known = segmentation.GetAttribute(FINGERPRINT_ATTRIBUTE + identifier)
        if algorithmType(segment) == AUTOMATIC and known and _differ(known, _fingerprint(segment)):
            segment.SetTag(ALGORITHM_TYPE, SEMIAUTOMATIC)
            changed = True
    if changed:
        segmentation.Modified()


def _onImported(caller: Any = None, event: Any = None) -> None:
    # A scene that is opened in the place of another one is one batch to its end, though all of it is there by now.
    for segmentation in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if scene.storedMeasurements(segmentation) is not None:
            _check(segmentation)
            _observe(segmentation)


def _onClose(caller: Any = None, event: Any = None) -> None:
    _tags.clear()  # the next scene's nodes have the same IDs


@vtk.calldata_type(vtk.VTK_OBJECT)
def _onRemoved(caller: Any, event: Any, node: Any) -> None:
    if node is None or not node.IsA("vtkMRMLSegmentationNode") or slicer.mrmlScene.IsClosing():
        return
    _tags.pop(node.GetID(), None)
    from StrokeSegApp import result_nodes

    result_nodes.removeHidden(result_nodes.hiddenNodes(node))


def _takeFingerprints(segmentation: Any) -> None:
    segments = segmentation.GetSegmentation()
    for index in range(segments.GetNumberOfSegments()):
        identifier = segments.GetNthSegmentID(index)
        segmentation.SetAttribute(FINGERPRINT_ATTRIBUTE + identifier, _fingerprint(segments.GetSegment(identifier)))


def _fingerprint(segment: Any) -> str:
    """Voxel count, center (mm) and mean squared distance from it (mm2) of a segment.

    They stay the same when Slicer stores the voxels in another image or turns its axes, as it does in scene files.
    """
    name = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    labelmap = segment.GetRepresentation(name)
    scalars = labelmap.GetPointData().GetScalars() if labelmap is not None else None
    i0, i1, j0, j1, k0, k1 = labelmap.GetExtent() if labelmap is not None else (0, -1, 0, -1, 0, -1)
    if scalars is None or i1 < i0 or j1 < j0 or k1 < k0:
        return "0 0 0 0 0"
    array = vtk_to_numpy(scalars).reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
    hit = array == segment.GetLabelValue()
    first = []
    for axis in range(3):  # cut to the segment's box, an axis after the other: a lesion is a small part of a scan
        where = np.flatnonzero(hit.any(axis=tuple(a for a in range(3) if a != axis)))
        if len(where) == 0:
            return "0 0 0 0 0"
        first.append(int(where[0]))
        hit = hit.take(range(where[0], where[-1] + 1), axis=axis)
    ijk = np.argwhere(hit)[:, ::-1] + (i0 + first[2], j0 + first[1], k0 + first[0])
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    place = slicer.util.arrayFromVTKMatrix(matrix)
    ras = ijk @ place[:3, :3].T + place[:3, 3]
    center = ras.mean(axis=0)
    spread = float(((ras - center) ** 2).sum(axis=1).mean())
    return " ".join([str(len(ijk)), *(f"{value:.4f}" for value in (*center, spread))])


def _differ(one: str, other: str) -> bool:
    return not np.allclose([float(v) for v in one.split()], [float(v) for v in other.split()], rtol=0, atol=0.01)

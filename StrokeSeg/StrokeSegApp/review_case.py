"""A case of a review as nodes of the scene, and its segmentation back as a label map on exactly the grid it came on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from StrokeSegApp import result_nodes, result_watch, scene, views
from StrokeSegApp.volume_nodes import addVolume, ijkToRas
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.io.box import boxed
from StrokeSegLib.review.versions import read_version
from StrokeSegLib.volume import Volume

#: Volumes of these kinds get a window of their own (see ``views.setWindow``); others are shown as Slicer does.
WINDOWS = {"ct": "brain", "dwi": "dwi"}
#: Label values that a reader can draw where no model has said what it looks for.
NAMES = {1: "ischemic lesion", 2: "hemorrhage"}
OTHER_NAMES = {3: "penumbra"}
#: Of another reader's outlines; no label has it.
MARKS_COLOR = (1.0, 1.0, 0.0)


@dataclass(frozen=True)
class CaseVolumes:
    """What the files of a case hold.

    Attributes:
        images: By role.
        labels: The segmentation to show, on the grid of one of the images; None where there is none yet.
    """

    images: Mapping[str, Volume]
    labels: Volume | None


def readVolumes(images: Mapping[str, Path], segmentation: Path | None, version: str | None) -> CaseVolumes:
    """Read a case's files; touches neither the scene nor Qt, so that any thread may do it.

    Raises:
        InputError: A file is gone, damaged, or not what its hash says.
    """
    labels = read_version(segmentation, version) if segmentation is not None and version is not None else None
    return CaseVolumes({role: read_image(str(path)).volume for role, path in images.items()}, labels)


@contextmanager
def atOnce() -> Iterator[None]:
    """Nodes come and go inside, and the application looks at the scene once, at the end. The images of a case are not
    offered as inputs of a run, as those are that a user loads.
    """
    slicer.mrmlScene.StartState(slicer.mrmlScene.BatchProcessState)
    try:
        yield
    finally:
        slicer.mrmlScene.EndState(slicer.mrmlScene.BatchProcessState)


class CaseNodes:
    """The nodes of one open case; all of them are this module's own.

    Attributes:
        volumes: Volume node by role.
        segmentation: The segmentation node, a segment for each label value.
        reference: The volume node on whose grid the segmentation lies.
    """

    def __init__(self, caseId: str, read: CaseVolumes, names: Mapping[int, str], algorithm: str, edited: bool) -> None:
        """Add the nodes.

        Args:
            caseId: Stands in the nodes' names.
            read: From ``readVolumes``.
            names: What each label value is called; empty where no model has seen the case.
            algorithm: What made the labels, for DICOM.
            edited: Whether a reader has changed them.

        Raises:
            InputError: The segmentation lies on the grid of none of the images; nothing was added.
        """
        role = _roleOfGrid(caseId, read)
        image = read.images[role]
        self._grid = read.labels or image.with_array(np.zeros(image.array.shape, np.uint8))
        self._ownChanges = 0
        self.volumes: dict[str, Any] = {}
        self.segmentation: Any = None
        self._outOfSight: list[Any] = []
        self._marks: Any = None
        try:
            for each, volume in read.images.items():
                name = slicer.mrmlScene.GenerateUniqueName(f"{caseId} {each.upper()}")
                self.volumes[each] = addVolume(volume, name)
            self.reference = self.volumes[role]
            title = _("{case} review").format(case=caseId)
            named = {value: name.capitalize() for value, name in _allNames(names, self._grid).items()}
            self.segmentation = scene.addSegmentation(self.reference, self._grid, named, algorithm, title)
        except BaseException:
            self.remove()
            raise
        result_watch.watch(self.segmentation)
        if edited:
            for segment in self._segments().values():
                segment.SetTag(result_watch.ALGORITHM_TYPE, result_watch.SEMIAUTOMATIC)

    @property
    def there(self) -> bool:
        """False once somebody has removed the segmentation."""
        return bool(slicer.mrmlScene.IsNodePresent(self.segmentation))

    def show(self) -> None:
        """Put the case into the slice views: its image, and the segmentation over it.

        Results of this module go out of sight meanwhile: lesions of another head must not lie over this one.
        """
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            display = node.GetDisplayNode() if node.GetAttribute(scene.MEASUREMENTS_ATTRIBUTE) else None
            if display is not None and display.GetVisibility():
                display.SetVisibility(False)
                self._outOfSight.append(node)
        self.segmentation.GetDisplayNode().SetOpacity2DFill(scene.FILL_OPACITY_2D)
        for role, node in self.volumes.items():
            if role in WINDOWS:
                views.setWindow([node], WINDOWS[role])
        slicer.util.setSliceViewerLayers(background=self.reference, foreground=None, label=None, fit=True)

    def showImage(self, role: str) -> None:
        """Another image of the case behind the segmentation; the views stay where they are."""
        slicer.util.setSliceViewerLayers(background=self.volumes[role], fit=False)

    def showMarks(self, labels: Volume | None, who: str = "") -> None:
        """Another reader's marks as yellow outlines over the case's own; None takes them away. Nothing stores them."""
        if self._marks is not None:
            result_nodes.removeHidden([self._marks])
            self._marks = None
        if labels is None or not slicer.mrmlScene.IsNodePresent(self.reference):
            return
        named = {value: name.capitalize() for value, name in _allNames({}, labels).items()}
        title = _("{segmentation}, marks of {reader}").format(segmentation=self.segmentation.GetName(), reader=who)
        self._marks = scene.addSegmentation(self.reference, labels, named, who, title)
        for segment in _segmentsOf(self._marks).values():
            segment.SetColor(*MARKS_COLOR)
            segment.SetTag(result_watch.ALGORITHM_TYPE, result_watch.SEMIAUTOMATIC)
        display = self._marks.GetDisplayNode()
        display.SetVisibility2DFill(False)
        display.SetVisibility3D(False)
        display.SetSliceIntersectionThickness(2)

    def setStatus(self, status: str) -> None:
        """Slicer's own status of every segment, as its segment tables show it: ``NotStarted``, ``Completed`` ..."""
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        for segment in self._segments().values():
            if logic.GetSegmentStatus(segment) != getattr(logic, status):
                logic.SetSegmentStatus(segment, getattr(logic, status))

    def labels(self) -> Volume:
        """The segmentation as it is now, a label map on exactly the grid that it came on.

        Works also when the volumes, or the segmentation itself, have left the scene.
        """
        return labelsOf(self.segmentation, self._grid)

    def setLabels(self, labels: Volume) -> None:
        """Show another label map on the same grid; no edit by hand."""
        if not slicer.mrmlScene.IsNodePresent(self.reference):
            return
        with result_watch.ownChange(self.segmentation):
            self._ownChanges += 1
            try:
                values = [value for value in map(_value, self._segments()) if value is not None]
                scene.writeLabels(self.segmentation, boxed(labels), values, scene.ijkToRas(self.reference))
            finally:
                self._ownChanges -= 1

    @property
    def firstLabel(self) -> int:
        """The label value to draw with where nothing else is said."""
        return next(value for value in map(_value, self._segments()) if value is not None)

    def segmentId(self, label: int) -> str:
        """Of the segment with a label value."""
        return f"{scene.SEGMENT_PREFIX}{label}"

    def strangers(self) -> list[str]:
        """Names of segments that are none of the case's labels: nothing stores them."""
        return [segment.GetName() for identifier, segment in self._segments().items() if _value(identifier) is None]

    def observe(self, edited: Any) -> None:
        """Have ``edited()`` called when somebody changes voxels."""
        event = slicer.vtkSegmentation.SourceRepresentationModified
        self.segmentation.AddObserver(event, lambda caller, event: None if self._ownChanges else edited())

    def remove(self) -> None:
        """Take the nodes out of the scene, and nothing else; what was put out of sight is seen again."""
        for node in self._outOfSight:
            if slicer.mrmlScene.IsNodePresent(node) and node.GetDisplayNode() is not None:
                node.GetDisplayNode().SetVisibility(True)
        self._outOfSight.clear()
        nodes = [self._marks, self.segmentation, *self.volumes.values()]
        result_nodes.removeHidden([node for node in nodes if node is not None])

    def _segments(self) -> dict[str, Any]:
        return _segmentsOf(self.segmentation)


def labelsOf(segmentation: Any, grid: Volume) -> Volume:
    """The segments of a result as a label map on a grid; segments that are not named by a label value are left out."""
    array = np.zeros(grid.array.shape, np.uint8)
    place = _orientedImage(grid)
    for identifier in _segmentsOf(segmentation):
        value = _value(identifier)
        if value is None:
            continue
        mask = slicer.vtkOrientedImageData()
        segmentation.GetBinaryLabelmapRepresentation(identifier, mask)
        i0, i1, j0, j1, k0, k1 = mask.GetExtent()
        if i1 < i0 or j1 < j0 or k1 < k0 or mask.GetPointData().GetScalars() is None:
            continue  # an empty segment has no voxels at all
        onGrid = slicer.vtkOrientedImageData()
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(mask, place, onGrid)
        array[vtk_to_numpy(onGrid.GetPointData().GetScalars()).reshape(array.shape) > 0] = value
    return grid.with_array(array)


def _segmentsOf(segmentation: Any) -> dict[str, Any]:
    segments = segmentation.GetSegmentation()
    ids = [segments.GetNthSegmentID(index) for index in range(segments.GetNumberOfSegments())]
    return {identifier: segments.GetSegment(identifier) for identifier in ids}


def _roleOfGrid(caseId: str, read: CaseVolumes) -> str:
    """The image on whose grid the segmentation lies; the first one without a segmentation."""
    if not read.images:
        raise InputError(
            _("case {case} has no image; add one to the case table and make the study again").format(case=caseId)
        )
    for role, image in read.images.items():
        if read.labels is None or read.labels.same_grid(image):
            return role
    raise InputError(
        _(
            "case {case}: the segmentation has the grid of none of its images ({images}); segment the images"
            " that the study names"
        ).format(case=caseId, images=", ".join(read.images))
    )


def _allNames(names: Mapping[int, str], labels: Volume) -> dict[int, str]:
    known = {**NAMES, **OTHER_NAMES}
    values = np.flatnonzero(np.bincount(labels.array.ravel(), minlength=1)[1:]) + 1  # many times faster than unique
    found = {int(value): known.get(int(value), str(value)) for value in values}
    return dict(sorted({**found, **(names or NAMES)}.items()))


def _value(identifier: str) -> int | None:
    """The label value of one of our segments."""
    text = identifier.removeprefix(scene.SEGMENT_PREFIX)
    return int(text) if text != identifier and text.isdecimal() else None


def _orientedImage(grid: Volume) -> Any:
    """A grid as Slicer's segmentations have it: RAS, no voxels."""
    image = slicer.vtkOrientedImageData()
    size_i, size_j, size_k = grid.size_ijk
    image.SetDimensions(size_i, size_j, size_k)
    image.SetGeometryFromImageToWorldMatrix(ijkToRas(grid))
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    return image

"""What a reader has made of a result by hand is measured anew, so that the numbers are of what is seen."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from StrokeSegApp import hidden_volumes, relabel, result_nodes, scene
from StrokeSegLib.errors import InputError
from StrokeSegLib.report.measurements import reasons_for_review

#: Of the measurements: they are of segments that a reader has changed.
EDITED = "edited"


def state(segmentation: Any) -> tuple[Any, ...]:
    """Differs from an earlier one once the voxels of a segment may have changed."""
    segments = segmentation.GetSegmentation()
    ids = [segments.GetNthSegmentID(index) for index in range(segments.GetNumberOfSegments())]
    images = [segmentation.GetBinaryLabelmapInternalRepresentation(each) for each in ids]
    times = [image.GetMTime() if image is not None else 0 for image in images]
    return (segmentation.GetID(), *ids, *times)


def remeasure(segmentation: Any) -> dict[str, Any] | None:
    """Measure the model's segments as they are now and keep that on the node; segments that were added do not count.

    Returns:
        The new measurements; None where the grid of the result is gone, and the old ones stay.
    """
    found = result_nodes.asFound(segmentation)
    stored = scene.storedMeasurements(segmentation)
    if found is None or stored is None:
        return None
    node, run = found
    try:
        grid, probability = result_nodes.foundLabels(segmentation), result_nodes.probabilities(segmentation)
        matrix = hidden_volumes.wholeIjkToRas(node)
        lesions = []
        for label in run["labels"]:  # one after the other: segments that a reader has edited may overlap
            value = label["value"]
            mask = grid.with_array(maskOf(segmentation, value, matrix, grid.array.shape))
            own = {value: probability[value]} if value in probability else {}
            lesions += relabel.lesionsOf(segmentation, mask, own)
    except InputError:  # a hidden volume was changed
        return None
    # How sure the model was says nothing about what a reader has drawn; what is strange about the input stays.
    reasons = reasons_for_review([], run["warnings"], {}, {})
    anew = relabel.withLesions(run, lesions, reasons)
    measurements = {**stored, **{key: anew[key] for key in relabel.FOLLOWING if key in anew}, EDITED: True}
    segmentation.SetAttribute(scene.MEASUREMENTS_ATTRIBUTE, json.dumps(measurements))
    return measurements


def maskOf(segmentation: Any, value: int, ijkToRas: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """A label's segment on the whole grid, ``value`` where it marks; only the segment's own box is looked at."""
    whole = np.zeros(shape, np.uint8)
    identifier = f"{scene.SEGMENT_PREFIX}{value}"
    segment = segmentation.GetSegmentation().GetSegment(identifier)
    if segment is None:
        return whole
    # As it lies in the scene, perhaps with other segments in it: a copy would be of the whole scan's size.
    labelmap = segmentation.GetBinaryLabelmapInternalRepresentation(identifier)
    extent = [0] * 6
    if (
        labelmap is None
        or labelmap.GetPointData().GetScalars() is None
        or not slicer.vtkOrientedImageDataResample.CalculateEffectiveExtent(labelmap, extent)
    ):
        return whole  # an empty segment has no voxels at all
    box = _boxOnGrid(labelmap, extent, ijkToRas, shape)
    if any(each.stop <= each.start for each in box):
        return whole
    place, onGrid = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    place.SetExtent(*(edge for each in box[::-1] for edge in (each.start, each.stop - 1)))
    place.SetGeometryFromImageToWorldMatrix(ijkToRas)
    place.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(labelmap, place, onGrid)
    part = vtk_to_numpy(onGrid.GetPointData().GetScalars()).reshape([each.stop - each.start for each in box])
    whole[box][part == segment.GetLabelValue()] = value
    return whole


def _boxOnGrid(
    labelmap: Any, extent: list[int], ijkToRas: Any, shape: tuple[int, int, int]
) -> tuple[slice, slice, slice]:
    """Slices along k, j, i of the grid around an extent of a labelmap, which may lie on a grid of its own."""
    own = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(own)
    toGrid = np.linalg.inv(slicer.util.arrayFromVTKMatrix(ijkToRas)) @ slicer.util.arrayFromVTKMatrix(own)
    i0, i1, j0, j1, k0, k1 = extent
    corners = np.array([[i, j, k, 1] for i in (i0, i1) for j in (j0, j1) for k in (k0, k1)]) @ toGrid.T
    low, high = np.floor(corners.min(axis=0) + 0.01), np.ceil(corners.max(axis=0) - 0.01)
    first, last = np.clip(low[2::-1], 0, None), np.minimum(high[2::-1] + 1, shape)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return k, j, i

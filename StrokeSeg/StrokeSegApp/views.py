"""What the slice and 3D views show: windows, overlays, two results side by side, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

#: Width and level in HU. Stroke brings out early ischemia, blood is wide enough for a clot beside the skull.
WINDOWS_HU = {"stroke": (40.0, 40.0), "brain": (80.0, 40.0), "blood": (200.0, 75.0)}
#: DWI has no unit: from and to these percentiles of the values that are not background.
DWI_PERCENTILES = (1.0, 99.5)
UNCERTAINTY_COLORS = "vtkMRMLColorTableNodeWarm1"
UNCERTAINTY_OPACITY = 0.5
LEFT_VIEW, RIGHT_VIEW = "Red", "Yellow"
SAMPLED_VOXELS = 1_000_000


def setWindow(volumes: list[Any], preset: str) -> None:
    """Give volumes a window: ``stroke``, ``brain``, ``blood`` (CT) or ``dwi``."""
    for volume in volumes:
        display = volume.GetDisplayNode()
        if display is None or volume.GetImageData() is None:
            continue
        width, level = WINDOWS_HU[preset] if preset in WINDOWS_HU else _dwiWindow(volume)
        display.AutoWindowLevelOff()
        display.SetWindowLevel(width, level)


def shownVolumes() -> list[Any]:
    """The volumes behind the slice views."""
    ids = [composite.GetBackgroundVolumeID() for composite in _composites()]
    nodes = [slicer.mrmlScene.GetNodeByID(each) for each in dict.fromkeys(ids) if each]
    return [node for node in nodes if node is not None]


def showUncertainty(volume: Any) -> None:
    """Lay a volume over the slices in color; None takes it away."""
    if volume is not None and volume.GetDisplayNode() is None:
        volume.CreateDefaultDisplayNodes()
    for composite in _composites():
        composite.SetForegroundVolumeID(volume.GetID() if volume else None)
        composite.SetForegroundOpacity(UNCERTAINTY_OPACITY if volume else 0.0)
    if volume is not None:
        display = volume.GetDisplayNode()
        display.SetAndObserveColorNodeID(UNCERTAINTY_COLORS)
        high = float(slicer.util.arrayFromVolume(volume).max())
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(0, max(high, 1e-6))
        display.SetApplyThreshold(True)  # what is sure stays uncovered
        display.SetLowerThreshold(0.1 * high)
        display.SetUpperThreshold(max(high, 1e-6))


def isForeground(volume: Any) -> bool:
    """True when a view shows the volume over its background."""
    return volume is not None and any(each.GetForegroundVolumeID() == volume.GetID() for each in _composites())


def showSideBySide(left: Any, leftVolume: Any, right: Any, rightVolume: Any) -> None:
    """Two axial views: one segmentation each, over its own volume, moving together."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is not None:  # None without a main window
        layoutManager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
    pairs = {LEFT_VIEW: (left, leftVolume), RIGHT_VIEW: (right, rightVolume)}
    for sliceNode in _sliceNodes():
        name = sliceNode.GetLayoutName()
        if name not in pairs:
            continue
        segmentation, volume = pairs[name]
        sliceNode.SetOrientation("Axial")
        display = segmentation.GetDisplayNode()
        display.RemoveAllViewNodeIDs()
        display.AddViewNodeID(sliceNode.GetID())
        display.SetVisibility(True)
        for composite in _composites():
            if composite.GetLayoutName() == name:
                composite.SetLinkedControl(True)
                composite.SetHotLinkedControl(True)
                if volume is not None:
                    composite.SetBackgroundVolumeID(volume.GetID())


def remember() -> dict[str, Any]:
    """All that this module changes in the views, as plain JSON values."""
    layoutManager = slicer.app.layoutManager()
    return {
        "layout": layoutManager.layout if layoutManager is not None else None,
        "slices": {
            node.GetLayoutName(): {
                "orientation": _elements(node.GetSliceToRAS()),
                "fieldOfView": list(node.GetFieldOfView()),
                "origin": list(node.GetXYZOrigin()),
            }
            for node in _sliceNodes()
        },
        "layers": {
            node.GetLayoutName(): [
                node.GetBackgroundVolumeID(),
                node.GetForegroundVolumeID(),
                node.GetLabelVolumeID(),
                node.GetForegroundOpacity(),
                node.GetLinkedControl(),
                node.GetHotLinkedControl(),
            ]
            for node in _composites()
        },
        "windows": {
            node.GetID(): [node.GetAutoWindowLevel(), node.GetWindow(), node.GetLevel()]
            for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeDisplayNode")
        },
        "segmentations": {
            node.GetID(): [list(node.GetViewNodeIDs()), node.GetVisibility()]
            for node in slicer.util.getNodesByClass("vtkMRMLSegmentationDisplayNode")
        },
    }


def restore(state: dict[str, Any]) -> None:
    """Bring the views back as ``remember`` found them; what has been removed meanwhile is passed over."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is not None and state["layout"] is not None:
        layoutManager.setLayout(state["layout"])
    for node in _composites():
        _restoreLayers(node, state["layers"].get(node.GetLayoutName()))
    for node in _sliceNodes():
        _restorePlace(node, state["slices"].get(node.GetLayoutName()))
    for identifier, was in state["windows"].items():
        _restoreWindow(slicer.mrmlScene.GetNodeByID(identifier), was)
    for identifier, was in state["segmentations"].items():
        _restoreVisibility(slicer.mrmlScene.GetNodeByID(identifier), was)


def _restorePlace(node: Any, was: dict[str, Any] | None) -> None:
    if was is not None:
        for index, element in enumerate(was["orientation"]):
            node.GetSliceToRAS().SetElement(index // 4, index % 4, element)
        node.SetFieldOfView(*was["fieldOfView"])
        node.SetXYZOrigin(*was["origin"])
        node.UpdateMatrices()


def _restoreWindow(display: Any, was: list[Any]) -> None:
    if display is not None:
        auto, window, level = was
        display.SetAutoWindowLevel(auto)
        if not auto:
            display.SetWindowLevel(window, level)


def _restoreVisibility(display: Any, was: list[Any]) -> None:
    if display is not None:
        viewIds, visible = was
        display.RemoveAllViewNodeIDs()
        for each in viewIds:
            display.AddViewNodeID(each)
        display.SetVisibility(visible)


def _restoreLayers(composite: Any, was: list[Any] | None) -> None:
    if was is None:
        return
    ids = [each if each and slicer.mrmlScene.GetNodeByID(each) else None for each in was[:3]]
    # Linking comes last, or the layers of one view would become those of all.
    composite.SetHotLinkedControl(False)
    composite.SetLinkedControl(False)
    composite.SetBackgroundVolumeID(ids[0])
    composite.SetForegroundVolumeID(ids[1])
    composite.SetLabelVolumeID(ids[2])
    composite.SetForegroundOpacity(was[3])
    composite.SetLinkedControl(was[4])
    composite.SetHotLinkedControl(was[5])


def _dwiWindow(volume: Any) -> tuple[float, float]:
    array = slicer.util.arrayFromVolume(volume)
    sample = array.ravel()[:: max(1, array.size // SAMPLED_VOXELS)]
    inside = sample[sample > 0]
    low, high = np.percentile(inside, DWI_PERCENTILES) if inside.size else (0.0, 1.0)
    return float(high - low), float(high + low) / 2


def _composites() -> list[Any]:
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


def _sliceNodes() -> list[Any]:
    return slicer.util.getNodesByClass("vtkMRMLSliceNode")


def _elements(matrix: Any) -> list[float]:
    return [matrix.GetElement(row, column) for row in range(4) for column in range(4)]

"""Pictures of the real scene without a screen: Slicer's own displayable managers drawing into memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

ORIENTATIONS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}
_SLICE_MANAGERS = ("vtkMRMLSegmentationsDisplayableManager2D",)
_THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)


def canDraw() -> bool:
    """True when a render window can draw without a display here."""
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(8, 8)
    renderer = vtk.vtkRenderer()
    renderer.SetBackground(1, 0, 0)
    window.AddRenderer(renderer)
    window.Render()
    return window.SupportsOpenGL() and bool((_pixels(window)[..., 0] == 255).all())


class _View:
    def __init__(self, factory: Any, managers: tuple[str, ...], renderer: Any) -> None:
        self.renderer = vtk.vtkRenderer()
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.AddRenderer(self.renderer)
        if renderer is not self.renderer and renderer is not None:
            # The segments go into a layer above the slice, or their fill would not be blended with it.
            self.window.SetNumberOfLayers(2)
            self.window.SetAlphaBitPlanes(1)
            renderer.SetLayer(1)
            renderer.GetActiveCamera().ParallelProjectionOn()
            self.window.AddRenderer(renderer)
        interactor = vtk.vtkRenderWindowInteractor()
        interactor.SetRenderWindow(self.window)
        interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        interactor.Initialize()
        self.interactor = interactor
        instance = factory.GetInstance()
        instance.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for manager in managers:
            if not instance.IsDisplayableManagerRegistered(manager):
                instance.RegisterDisplayableManager(manager)
        self.managers = slicer.vtkMRMLDisplayableManagerGroup()
        target = renderer or self.renderer
        self.managers.SetRenderer(target)
        self.managers.Initialize(instance, target)

    def _draw(self, width: int, height: int) -> np.ndarray:
        self.window.SetSize(width, height)
        self.interactor.UpdateSize(width, height)
        self.prepare(width, height)
        self.window.Render()
        return _pixels(self.window)


class SliceView(_View):
    """A slice view as the application has it: the reformatted volume below, the segments above."""

    def __init__(self, name: str) -> None:
        super().__init__(slicer.vtkMRMLSliceViewDisplayableManagerFactory, _SLICE_MANAGERS, vtk.vtkRenderer())
        application = slicer.app.applicationLogic()
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application)
        application.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.node = self.logic.AddSliceNode(name)
        self.node.SetOrientation(ORIENTATIONS[name])
        self.managers.SetMRMLDisplayableNode(self.node)
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        actor = vtk.vtkActor2D()
        actor.SetMapper(self._mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(actor)

    def prepare(self, width: int, height: int) -> None:
        self.logic.ResizeSliceNode(width, height)
        self._mapper.SetInputConnection(self.logic.GetImageDataConnection())

    def picture(self, width: int = 400, height: int = 400, zoom: float = 1.0) -> np.ndarray:
        """RGB of shape (height, width, 3), uint8, top row first; the whole slice, magnified, at its offset."""
        offset = self.node.GetSliceOffset()
        self.logic.ResizeSliceNode(width, height)
        self.logic.FitSliceToBackground()
        x, y, z = self.node.GetFieldOfView()
        self.node.SetFieldOfView(x / zoom, y / zoom, z)
        self.node.SetSliceOffset(offset)
        return self._draw(width, height)


class ThreeDView(_View):
    """The 3D view."""

    def __init__(self) -> None:
        super().__init__(slicer.vtkMRMLThreeDViewDisplayableManagerFactory, _THREE_D_MANAGERS, None)
        application = slicer.app.applicationLogic()
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(application)
        application.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.node = self.logic.AddViewNode("1")
        self.managers.SetMRMLDisplayableNode(self.node)

    def prepare(self, width: int, height: int) -> None:
        # The camera shall frame what is in the scene, not the box around it; closing a scene brings the box back.
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        self.renderer.ResetCamera()
        self.renderer.GetActiveCamera().Zoom(self._zoom)

    def picture(self, width: int = 400, height: int = 400, zoom: float = 1.0) -> np.ndarray:
        """RGB of shape (height, width, 3), uint8, top row first; everything in the scene, magnified."""
        self._zoom = zoom
        return self._draw(width, height)


class _SliceWidget:
    def __init__(self, view: SliceView) -> None:
        self.view = view

    def sliceLogic(self) -> Any:
        return self.view.logic

    def mrmlSliceNode(self) -> Any:
        return self.view.node


class Layout:
    """Stand-in for ``slicer.app.layoutManager()`` over three slice views and a 3D view."""

    def __init__(self) -> None:
        self.slices = {name: SliceView(name) for name in ORIENTATIONS}
        self.threeD = ThreeDView()
        #: Number of the layout, as vtkMRMLLayoutNode has them; all views can be drawn in any of them here.
        self.layout = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView

    def setLayout(self, layout: int) -> None:
        self.layout = layout

    def sliceViewNames(self) -> list[str]:
        return list(self.slices)

    def sliceWidget(self, name: str) -> _SliceWidget:
        return _SliceWidget(self.slices[name])

    def resetThreeDViews(self) -> None:
        self.threeD.renderer.ResetCamera()

    def mrmlSliceLogics(self) -> Any:
        return slicer.app.applicationLogic().GetSliceLogics()


def _pixels(window: Any) -> np.ndarray:
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()

"""A real MRML scene with Slicer's module logics, and small stand-ins for what only the application has.

Import ``start`` before anything that imports StrokeSegApp.
"""

from __future__ import annotations

import atexit
import sys
import tempfile
import types
import unittest
from pathlib import Path
from typing import Any

import slicer
import slicer.util
import vtk

#: Slicer's name of each module that the tests need, and the class of its logic.
LOGICS = {
    "Colors": "vtkMRMLColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
}
_keepAlive: list[Any] = []


class Application:
    """Stand-in for ``slicer.app``: no window until ``layout`` is set, always in testing mode."""

    applicationName = "Slicer stand-in"
    majorVersion, minorVersion = 5, 13

    def __init__(self, logic: Any) -> None:
        self.temporaryPath = _temporaryFolder()
        self.slicerUserSettingsFilePath = str(Path(_temporaryFolder()) / "Slicer.ini")
        self._logic = logic
        self.layout: Any = None
        self.startupCallbacks: list[Any] = []

    def applicationLogic(self) -> Any:
        return self._logic

    def layoutManager(self) -> Any:
        return self.layout

    def userSettings(self) -> Any:
        """The user's settings file; it stays when the panel is made anew."""
        from PySide6.QtCore import QSettings

        return QSettings(self.slicerUserSettingsFilePath, QSettings.IniFormat)

    def testingEnabled(self) -> bool:
        return True

    def processEvents(self) -> None:
        if "qt" in sys.modules:
            sys.modules["qt"].QApplication.processEvents()

    def connect(self, signal: str, callback: Any) -> None:
        if signal != "startupCompleted()":
            raise ValueError(f"QObject::connect: slicer.app has no signal {signal!r} in this stand-in")
        self.startupCallbacks.append(callback)


def start() -> Application:
    """Build scene, logics and application once; later calls return the same application."""
    if isinstance(getattr(slicer, "app", None), Application):
        return slicer.app
    _importVtkModulesUnderSlicersNames()
    scene = slicer.vtkMRMLScene()
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    slicer.mrmlScene = scene
    slicer.modules = types.SimpleNamespace()
    for name, className in LOGICS.items():
        logic = getattr(slicer, className)()
        if name == "Terminologies":
            # The logic looks for Slicer's own dictionaries here; an empty folder leaves it with those we load.
            logic.SetModuleShareDirectory(_temporaryFolder())
        logic.SetMRMLScene(scene)
        logic.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, logic)
        setattr(slicer.modules, name.lower(), types.SimpleNamespace(logic=lambda logic=logic: logic))
    _enableSceneBundles(scene, application)
    slicer.app = Application(application)
    _installPythonModules()
    return slicer.app


def loadModule(path: Path) -> Any:
    """Import the unmodified scripted module and construct it as Slicer does; returns the Python module."""
    import importlib.util

    name = path.stem
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # Slicer puts every module folder on the path
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    setattr(slicer.modules, name.lower(), types.SimpleNamespace(path=str(path)))
    module.instance = getattr(module, name)(types.SimpleNamespace(path=str(path)))
    return module


def _importVtkModulesUnderSlicersNames() -> None:
    import slicer_core

    for name in ("vtkITK", "vtkSegmentationCore", "MRMLCore", "MRMLLogic"):
        if hasattr(slicer_core, name):
            sys.modules.setdefault(name, getattr(slicer_core, name))


def _enableSceneBundles(scene: Any, application: Any) -> None:
    """Reading an .mrb needs the remote input logic with a cache folder, kept alive."""
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLScene(scene)
    remote.SetMRMLApplicationLogic(application)
    remote.GetCacheManager().SetRemoteCacheDirectory(_temporaryFolder())
    data = slicer.vtkDataIOManagerLogic()
    data.SetMRMLScene(scene)
    data.SetMRMLApplicationLogic(application)
    data.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    _keepAlive.extend([remote, data, application])


def _temporaryFolder() -> str:
    """An empty folder that is removed when Python ends."""
    folder = tempfile.TemporaryDirectory(prefix="StrokeSeg-tests-")
    atexit.register(folder.cleanup)  # left to the garbage, a process of pytest-xdist warns of it
    _keepAlive.append(folder)
    return folder.name


class _Module:
    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__


class _Widget:
    def __init__(self, parent: Any = None) -> None:
        self.parent = parent
        self.layout = parent.layout()

    def setup(self) -> None:
        pass

    def cleanup(self) -> None:
        pass

    def onReload(self) -> None:
        """As ``slicer.util.reloadScriptedModule``: the source is read, then the old widget ends, then one begins."""
        module = loadModule(Path(sys.modules[type(self).__module__].__file__))
        self.cleanup()
        while self.layout.count():
            self.layout.takeAt(0).widget().hide()
        self.anew = getattr(module, type(self).__name__)(self.parent)
        self.anew.setup()


class _Logic:
    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> Any:
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetModuleName(self.moduleName)
            node.SetName(self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        return node


class _Test(unittest.TestCase):
    def delayDisplay(self, message: str, msec: int | None = None) -> None:
        print(message)


def _installPythonModules() -> None:
    scripted = types.ModuleType("slicer.ScriptedLoadableModule")
    for suffix, base in (("", _Module), ("Widget", _Widget), ("Logic", _Logic), ("Test", _Test)):
        setattr(scripted, f"ScriptedLoadableModule{suffix}", base)
    translation = types.ModuleType("slicer.i18n")
    translation.tr = lambda text: text
    translation.translate = lambda context, text: text
    packaging = types.ModuleType("slicer.packaging")
    packaging.load_requirements = lambda path: [line for line in Path(path).read_text().splitlines() if line]
    packaging.pip_ensure = _refuseToInstall
    for module in (scripted, translation, packaging):
        sys.modules[module.__name__] = module
        setattr(slicer, module.__name__.split(".")[1], module)


def _refuseToInstall(requirements: list[str], requester: str | None = None) -> None:
    raise RuntimeError("User declined package installation")

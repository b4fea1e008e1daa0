"""Fixtures of the module's tests: a clean real MRML scene (marker mrml) and the clicked panel on a stand-in (gui)."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WHAT_IS_MISSING = (
    "on Debian and Ubuntu: apt-get install libegl1 libgl1 libgl1-mesa-dri libglib2.0-0 libdbus-1-3 libfontconfig1"
    " libxkbcommon0 fonts-dejavu-core"
)
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # pictures and clicks without a display

if importlib.util.find_spec("slicer_core") is None or importlib.util.find_spec("PySide6") is None:
    collect_ignore_glob = ["test_*.py"]
    REASON = 'pip install slicer-core==5.13.31053.0 "PySide6-Essentials>=6.8,<6.12" first'
else:
    REASON = None
    for folder in (HERE, ROOT, ROOT / "StrokeSeg"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    try:
        from PySide6 import QtWidgets  # noqa: F401 - found out at once, not in the middle of the tests
        from stand_in import application
    except ImportError as error:
        raise pytest.UsageError(f"Testing/slicer: {error}; {WHAT_IS_MISSING}") from error
    application.start()
    from review_clicks import start, study  # noqa: F401 - fixtures of the review section's tests


def pytest_report_header():
    return f"Testing/slicer does not run: {REASON}" if REASON else None


def pytest_configure(config):
    config.addinivalue_line("markers", "mrml: runs on Slicer's own MRML (the slicer-core wheel), without Qt")
    config.addinivalue_line("markers", "gui: clicks the unmodified panel on a Qt stand-in, not in Slicer")


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("gui" if "stand_in" in item.name else "mrml")
            item.add_marker(pytest.mark.xdist_group("slicer"))  # one application a process, its tests in their order


@pytest.fixture
def scene():
    """The one MRML scene, emptied before the test; nothing of the application is open."""
    import slicer

    slicer.mrmlScene.Clear(0)
    slicer.app.layout = None
    return slicer.mrmlScene


@pytest.fixture(scope="session")
def qtApplication():
    """PythonQt's manners and the stand-in widgets are in place."""
    from stand_in import pythonqt, widgets

    instance = pythonqt.install()
    widgets.install()
    return instance


@pytest.fixture(scope="module")
def sharedLayout():
    """Three slice views and a 3D view on the real scene, drawing into memory; made once a file of tests."""
    from stand_in import views

    if not views.canDraw():
        pytest.fail(f"VTK cannot draw without a display here; {WHAT_IS_MISSING}")
    import slicer

    # Those of earlier tests survive a cleared scene, and a new view would take them for its own.
    for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode", "vtkMRMLViewNode"):
        for node in slicer.util.getNodesByClass(kind):
            slicer.mrmlScene.RemoveNode(node)
    return views.Layout()


@pytest.fixture
def layout(scene, sharedLayout):
    """The views as the application's layout, for one test."""
    import slicer

    slicer.app.layout = sharedLayout
    yield sharedLayout
    slicer.app.layout = None


@pytest.fixture
def module(qtApplication, scene):
    """The unmodified StrokeSeg.py, loaded as Slicer loads it."""
    from stand_in import application

    return application.loadModule(ROOT / "StrokeSeg" / "StrokeSeg.py")


@pytest.fixture
def openPanel(module, monkeypatch, capfd):
    """A function that opens the module's panel with some models.

    An error in a slot or in an observer of the scene is only printed by Qt and VTK: here it fails the test at its end.
    """
    from stand_in import panel, pythonqt
    from stand_in_cards import STAND_IN_COMMAND, card

    opened = []

    def openWith(*models):
        monkeypatch.setattr(module.StrokeSegLogic, "models", lambda self: list(models or [card("bright")]))
        monkeypatch.setattr(module.StrokeSegLogic, "command", STAND_IN_COMMAND)
        opened.append(panel.OpenPanel(module))
        return opened[-1]

    pythonqt.slotErrors.clear()
    yield openWith
    for each in opened:
        each.close()
        assert pythonqt.strayAttributes(each.frame) == []
    assert pythonqt.slotErrors == []
    assert "Traceback" not in capfd.readouterr().err

"""StrokeSeg: stroke lesions in CT and MRI, found, measured and drawn. The module's face to Slicer; see StrokeSegApp."""

from __future__ import annotations

import importlib
import os
import sys

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from StrokeSegApp import paths
from StrokeSegApp.console import Console


class StrokeSeg(ScriptedLoadableModule):
    """What Slicer's module list shows."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        paths.addLibraryToPath()
        parent.title = "StrokeSeg"
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "Terminologies", "Volumes"]
        parent.contributors = ["The StrokeSeg contributors"]
        parent.helpText = _(
            "Finds stroke lesions in CT and MRI volumes and shows them as a segmentation with volumes in milliliters."
            " Research use only, not a medical device."
        )
        parent.acknowledgementText = _("Bundled models name their data, licence and measured results in their cards.")
        icon = paths.resourcePath("Icons/StrokeSeg.png")
        if os.path.isfile(icon):
            import qt

            parent.icon = qt.QIcon(icon)
        slicer.app.connect("startupCompleted()", _onStartup)


def _onStartup():
    if paths.tooOld():
        return
    from StrokeSegApp import result_watch, sample_data, scene

    scene.loadTerminology()
    result_watch.install()
    sample_data.registerSampleData()


class StrokeSegWidget(ScriptedLoadableModuleWidget):
    """Loads StrokeSeg.ui and hands it to the panel."""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        if paths.tooOld():
            import qt

            label = qt.QLabel(_("StrokeSeg needs Slicer 5.12 or newer: install it from download.slicer.org."))
            label.setWordWrap(True)
            self.layout.addWidget(label)
            self.layout.addStretch(1)
            return
        from StrokeSegApp.widget import StrokeSegPanel

        uiWidget = slicer.util.loadUI(paths.resourcePath("UI/StrokeSeg.ui"))
        self.layout.addWidget(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        self.logic = StrokeSegLogic()
        self.panel = StrokeSegPanel(self.ui, self.logic)

    def enter(self):
        if hasattr(self, "panel"):
            self.panel.enter()

    def exit(self):
        if hasattr(self, "panel"):
            self.panel.exit()

    def cleanup(self):
        if hasattr(self, "panel"):  # absent when setup failed
            self.panel.close()
            del self.panel
        if hasattr(self, "logic"):
            self.logic.close()
            del self.logic

    def onReload(self):
        """Slicer reads only this file anew: end what the packages' old code runs, and forget it, to read it too."""
        self.cleanup()
        importlib.import_module("StrokeSegApp.result_watch").uninstall()
        for name in [each for each in sys.modules if each.split(".")[0] in ("StrokeSegApp", "StrokeSegLib")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)
        importlib.import_module("StrokeSegApp.result_watch").install()


class StrokeSegLogic(ScriptedLoadableModuleLogic, Console):
    """Segmentation from Python: ``StrokeSegLogic().segment({"dwi": volumeNode, "adc": volumeNode}, model="mri")``."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        Console.__init__(self)
        paths.addLibraryToPath()


class StrokeSegTest(ScriptedLoadableModuleTest):
    """The self test of the module in the application."""

    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def runTest(self):
        self.setUp()
        self.test_selftest()

    def test_selftest(self):
        from StrokeSegApp import selftest

        selftest.runAll(StrokeSegLogic())
        self.delayDisplay("StrokeSeg: all checks passed")

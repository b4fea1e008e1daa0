"""StrokeSeg: stroke lesions in CT and MRI, found, measured and drawn. The module's face to Slicer; see StrokeSegApp."""

from __future__ import annotations

import os

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
        slicer.app.connect("startupCompleted()", _loadTerminology)


def _loadTerminology():
    from StrokeSegApp.scene import loadTerminology

    loadTerminology()


class StrokeSegWidget(ScriptedLoadableModuleWidget):
    """Loads StrokeSeg.ui and hands it to the panel."""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from StrokeSegApp.widget import StrokeSegPanel

        uiWidget = slicer.util.loadUI(paths.resourcePath("UI/StrokeSeg.ui"))
        self.layout.addWidget(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        self.logic = StrokeSegLogic()
        self.panel = StrokeSegPanel(self.ui, self.logic)

    def enter(self):
        self.panel.enter()

    def cleanup(self):
        if hasattr(self, "panel"):  # absent when setup failed
            self.panel.close()


class StrokeSegLogic(ScriptedLoadableModuleLogic):
    """Segmentation from Python: ``StrokeSegLogic().segment({"dwi": volumeNode, "adc": volumeNode}, model="mri")``."""

    #: Stands for ``PythonSlicer -m StrokeSegLib`` when it is not None (tests).
    command = None

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        paths.addLibraryToPath()

    def models(self):
        """The cards of the bundled models."""
        from StrokeSegLib.models import list_models

        return list_models()

    def segment(self, volumes, model="mri", progress=None):
        """Segment volume nodes, given by role, and wait; opens no dialogs.

        Args:
            volumes: A volume node for each role, such as ``{"dwi": node, "adc": node}``.
            model: Id of a bundled model.
            progress: Called with (stage, done, total) as the work goes on.

        Returns:
            The new segmentation node, and the measurements as a dictionary.

        Raises:
            StrokeSegLib.errors.InputError: The input or the request was wrong; the message says what to do.
            StrokeSegApp.logic.RunError: The run failed.
        """
        from StrokeSegApp.logic import segment

        return segment(volumes, model, progress, self.command)

    def start(self, volumes, model):
        """Start a run that does not block, of a model card; see StrokeSegApp.logic.SegmentationRun."""
        from StrokeSegApp.logic import SegmentationRun

        return SegmentationRun(volumes, model, self.command)

    def train(self, system, data, out, progress=None, **choices):
        """Train a network in a process of its own and wait; opens no dialogs.

        Args:
            system: ``mri``, ``noncontrast-ct``, ``three-projection`` or ``ct-perfusion``.
            data: A case table (CSV), or ``"synth"`` for images that are generated on the way.
            out: The run folder. It stays, also after a cancel: ``resume=True`` goes on.
            progress: Called with (stage, done, total) as the work goes on; what it raises ends the training.
            **choices: ``preset`` ("paper" or "bundled"), ``settings`` (as ``{"steps": 500}``), ``init``, ``resume``.

        Returns the run folder, of which ``strokeseg export`` makes a model. Raises as ``segment`` does.
        """
        from StrokeSegApp.training import train

        return train(self.startTraining(system, data, out, **choices), progress)

    def startTraining(self, system, data, out, **choices):
        """Start a training that does not block; see StrokeSegApp.training.TrainingRun."""
        from StrokeSegApp.training import TrainingRun

        return TrainingRun(system, data, out, command=self.command, **choices)


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

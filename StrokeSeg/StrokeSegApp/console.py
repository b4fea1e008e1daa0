"""What the module can do, for Python scripts: segment, segmentBatch, train, evaluate, export, models. No dialogs.

Each either waits for its result or, with ``finished``, returns at once and calls back. Keep one logic for many calls:
its worker stays warm between them.
"""

from __future__ import annotations

import weakref
from pathlib import Path


class Console:
    """The part of StrokeSegLogic that is no concern of Slicer's. Imports at file scope only what is always there."""

    #: Stands for ``PythonSlicer -m StrokeSegLib`` when it is not None (tests).
    command = None

    def __init__(self):
        self._worker = None

    def models(self):
        """The cards of the bundled models and of the user's own."""
        from StrokeSegApp.model_store import cards

        return cards()

    def segment(self, volumes, model="mri", progress=None, finished=None, **choices):
        """Segment volume nodes, given by role; opens no dialogs.

        Args:
            volumes: A volume node for each role, such as ``{"dwi": node, "adc": node}``.
            model: Id of an installed model.
            progress: Called with (stage, done, total) as the work goes on.
            finished: With it the call returns at once; later it is called with (result, None) or (None, error).
            **choices: ``device`` ("auto", "cpu", "cuda", "cuda:N", "mps"), ``threshold`` (0-1).

        Returns:
            The new segmentation node, and the measurements as a dictionary; with ``finished``, something to cancel.

        Raises:
            StrokeSegLib.errors.InputError: The input or the request was wrong; the message says what to do.
            StrokeSegApp.worker_client.RunError: The run failed.
        """
        from StrokeSegApp.logic import checkRequirements

        checkRequirements()
        return self._carriedOut(self.start(volumes, self._card(model), **choices), progress, finished)

    def segmentBatch(self, cases, model="mri", out=None, progress=None, finished=None, **choices):
        """Segment many cases; one that fails does not stop the others. Opens no dialogs.

        Args:
            cases: For each case a dictionary of nodes or of files by role, with its name under ``case_id``; or the path
                of a case table or of a folder.
            out: For cases of files: gets a result folder for each.
            progress: Called with ("cases", done, total).
            **choices: ``device``, ``threshold``, and ``resume=True`` to go on with what lies in ``out``.

        Returns a StrokeSegApp.case_list.CaseResult for each case; see ``segment`` for the rest.
        """
        from StrokeSegApp.case_list import CaseListRun
        from StrokeSegApp.logic import checkRequirements

        checkRequirements()
        run = CaseListRun(cases, self._card(model), self.worker(), out, **choices)
        return self._carriedOut(run, progress, finished)

    def start(self, volumes, model, device="auto", threshold=None):
        """Start a run that does not block, of a model card; see StrokeSegApp.logic.SegmentationRun."""
        from StrokeSegApp.logic import SegmentationRun

        return SegmentationRun(volumes, model, worker=self.worker(), device=device, threshold=threshold)

    def train(self, system, data, out, progress=None, finished=None, **choices):
        """Train a network in a process of its own, which keeps no segmentation waiting; opens no dialogs.

        Args:
            system: ``mri``, ``noncontrast-ct``, ``three-projection`` or ``ct-perfusion``.
            data: A case table (CSV), or ``"synth"`` for images that are generated on the way.
            out: The run folder. It stays, also after a cancel: ``resume=True`` goes on.
            progress: Called with (stage, done, total) as the work goes on; what it raises ends the training.
            finished: As for ``segment``.
            **choices: ``preset`` ("paper" or "bundled"), ``settings`` (as ``{"steps": 500}``), ``init``, ``resume``,
                ``device``.

        Returns the run folder, of which ``export`` makes a model. Raises as ``segment`` does.
        """
        return self._carriedOut(self.startTraining(system, data, out, **choices), progress, finished)

    def startTraining(self, system, data, out, **choices):
        """Start a training that does not block; see StrokeSegApp.training.TrainingRun."""
        from StrokeSegApp.training import TrainingRun

        return TrainingRun(system, data, out, command=self.command, **choices)

    def evaluate(self, model, data, out, progress=None, finished=None, **choices):
        """Compare a model with the truth of a case table, as ``strokeseg evaluate`` does; opens no dialogs.

        Args:
            model: Id of an installed model, or the path of a model's folder.
            data: A case table (CSV) with a column ``lesion``.
            out: Gets evaluation.html, summary.json and evaluation.csv.
            progress: Called with ("evaluate", done, total).
            finished: As for ``segment``.
            **choices: ``device``, ``threshold``, ``force``.

        Returns the folder ``out``. Raises as ``segment`` does, also where some cases could not be evaluated.
        """
        from StrokeSegApp.library_command import LibraryCommand
        from StrokeSegApp.logic import checkRequirements, wordOf

        checkRequirements()
        options = {"model": wordOf(self._card(str(model))), "data": _absolute(data), **choices}
        return self._carriedOut(LibraryCommand("evaluate", out, options, self.command), progress, finished)

    def export(self, model, format, out, progress=None, finished=None, **choices):
        """Write a model or a trained run for other programs, as ``strokeseg export`` does; opens no dialogs.

        Args:
            model: Id of an installed model, or the path of a model's folder or of a run folder.
            format: ``onnx``, ``monai-bundle`` or, of a run, ``model``.
            out: The folder to write.
            progress: Called with (stage, done, total).
            finished: As for ``segment``.
            **choices: ``id``, ``calibrate`` (a case table or ``"synth"``), ``cases``, ``force``.

        Returns the folder ``out``. Raises as ``segment`` does.
        """
        from StrokeSegApp.library_command import LibraryCommand
        from StrokeSegApp.logic import wordOf

        word = _absolute(model) if Path(model).is_dir() else wordOf(self._card(str(model)))
        calibrate = choices.pop("calibrate", None)
        if calibrate not in (None, "synth"):
            calibrate = _absolute(calibrate)
        options = {"model": word, "format": format, "calibrate": calibrate, **choices}
        return self._carriedOut(LibraryCommand("export", out, options, self.command), progress, finished)

    def worker(self):
        """The process that segments; it starts when it is needed, and stays warm until ``close`` or long idleness."""
        if self._worker is None:
            from StrokeSegApp.worker_client import newWorker

            self._worker = newWorker(self.command)
            self._end = weakref.finalize(self, self._worker.close)  # also when Slicer ends
        return self._worker

    def close(self):
        """End the worker's process; the next run starts another."""
        if self._worker is not None:
            self._worker.close()

    def _card(self, model):
        from StrokeSegApp import model_store

        return {card.id: card for card in self.models()}.get(model) or model_store.findModel(model)

    def _carriedOut(self, run, progress, finished):
        """Wait for a run, or have a timer look after it."""
        if finished is not None:
            from StrokeSegApp.following import Follower

            return Follower(run, finished, progress)
        from StrokeSegApp.worker_client import waitFor

        waitFor(run, progress)
        return run.finish()


def _absolute(path):
    """Commands work in another folder."""
    return str(Path(path).expanduser().absolute())

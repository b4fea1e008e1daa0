"""One run, from volume nodes to a segmentation node: the console's and the panel's way to a result. Opens no dialogs.

The network runs in the worker's process, so that Slicer neither freezes nor loads torch or OpenVINO. Volumes go there,
and the mask comes back, as files in a private temporary folder.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from StrokeSegApp import dependencies, result_nodes, scene
from StrokeSegApp.model_store import modelWord
from StrokeSegApp.worker_client import RunError, WorkerRun, newWorker, waitFor
from StrokeSegLib.disk import DISK_FULL, disk_full
from StrokeSegLib.errors import InputError
from StrokeSegLib.io.handover import written_in_steps
from StrokeSegLib.models import CARD, ModelCard, find_model
from StrokeSegLib.worker.client import Worker

#: Uncompressed, and with all digits of the geometry.
INPUT_SUFFIX = ".mha"
#: Slicer's event loop waits no longer than about this for a part of a volume to be written.
HAND_OVER_S = 0.02


def missingInputs(model: ModelCard, roles: Sequence[str]) -> list[str]:
    """The required roles of the model that are not among ``roles``; all its other roles when too few are there."""
    missing = [each.role for each in model.inputs if each.required and each.role not in roles]
    known = [each.role for each in model.inputs]
    if not missing and len(set(roles) & set(known)) < model.minimum_inputs:
        missing = [role for role in known if role not in roles]
    return missing


class SegmentationRun(WorkerRun):
    """A run in progress. Call ``poll`` until it says True, then ``finish``; or ``cancel`` at any time.

    Nodes are remembered by id: one that the user deletes meanwhile is noticed, not touched.

    Attributes:
        seconds: What took how long: ``hand_over`` and ``build`` here; ``import``, ``load`` and ``run`` in the worker,
            of which the first two are 0 when it was warm.
    """

    def __init__(
        self,
        volumes: Mapping[str, Any],
        model: ModelCard,
        command: Sequence[str] | None = None,
        *,
        worker: Worker | None = None,
        device: str = "auto",
        threshold: float | None = None,
    ) -> None:
        """Start the worker, unless it runs, and prepare the inputs, which ``poll`` hands over.

        Args:
            volumes: A volume node for each role, such as ``{"dwi": node, "adc": node}``.
            model: What to run.
            command: Stands for ``PythonSlicer -m StrokeSegLib`` (tests).
            worker: A warm one, which stays; one of this run's own when None.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            threshold: Probability from which a voxel counts; the model's own when None.

        Raises:
            InputError: A role is unknown or missing, or a volume cannot be used.
            RunError: The process cannot be started.
        """
        volumes = {role: node for role, node in volumes.items() if node is not None}
        checkRoles(model, volumes)
        self.model = model
        self.seconds: dict[str, float] = {"hand_over": 0.0}
        self._sources = {role: scene.sourceOf(node) for role, node in volumes.items()}
        self._names = {role: node.GetName() for role, node in volumes.items()}
        self._ids = {role: node.GetID() for role, node in volumes.items()}
        # The result lies on the grid of the first input, in the model's order, not in the caller's.
        roles = [each.role for each in model.inputs if each.role in volumes]
        self._referenceId = volumes[roles[0]].GetID()
        self._referenceName = self._names[roles[0]]
        images = {role: scene.volumeFromNode(volumes[role]) for role in roles}
        own = worker is None
        super().__init__(newWorker(command) if worker is None else worker, keepWorker=not own)
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="run-", dir=self._worker.folder))
        except OSError as error:
            super().release()
            raise self._startError(error) from error
        self._request = {
            "model": wordOf(model),
            "inputs": {role: str(self._inputPath(role)) for role in roles},
            "out": str(self._out),
            "device": device,
            "threshold": threshold,
            "compress": False,  # the files are read at once and thrown away
        }
        self._handing: Iterator[None] | None = self._handOver(images)

    def poll(self) -> bool:
        """Hand over a part of the inputs, or read the worker's progress; True once the run has ended.

        Raises:
            InputError: There is no room for the temporary files.
            RunError: They cannot be written, or the process cannot be started again.
        """
        if self._handing is None:
            return super().poll()
        started = time.perf_counter()
        try:
            for _step in self._handing:
                if time.perf_counter() - started > HAND_OVER_S:
                    return False
        except OSError as error:
            if error.errno in DISK_FULL:
                raise disk_full(self._folder) from error
            raise RunError(_("The volumes could not be handed over: {error}").format(error=error)) from error
        finally:
            self.seconds["hand_over"] += time.perf_counter() - started
        self._handing = None
        self.ask("segment", self._request)
        return False

    def finish(self) -> tuple[Any, dict[str, Any]]:
        """Bring the result into the scene.

        Returns:
            The new segmentation node and the content of measurements.json.

        Raises:
            InputError: The worker refused the input, or the first volume was deleted or moved during the run.
            RunError: The worker failed.
        """
        try:
            self.poll()
            try:
                self.seconds.update(self.answer().get("seconds", {}))
            except InputError as error:
                raise InputError(self._inWordsOfTheScene(str(error))) from error
            started = time.perf_counter()
            reference = slicer.mrmlScene.GetNodeByID(self._referenceId)
            if reference is None:
                raise InputError(
                    _("volume '{volume}' was removed during the run; nothing was added").format(
                        volume=self._referenceName
                    )
                )
            result = self._build(reference)
            self.seconds["build"] = time.perf_counter() - started
            told = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.seconds.items())
            logging.info("StrokeSeg, model %s: %s", self.model.id, told)
            return result
        finally:
            self.release()

    def release(self) -> None:
        """Remove the temporary files, and end a worker of this run's own."""
        if self._handing is not None:
            self._handing.close()  # type: ignore[attr-defined]  # a generator: closes the file
            self._handing = None
        shutil.rmtree(self._folder, ignore_errors=True)
        super().release()

    @property
    def _out(self) -> Path:
        return self._folder / "result"

    def _inputPath(self, role: str) -> Path:
        return self._folder / f"{role}{INPUT_SUFFIX}"

    def _handOver(self, images: Mapping[str, Any]) -> Iterator[None]:
        for role, volume in images.items():
            yield from written_in_steps(volume, self._inputPath(role))

    def _build(self, reference: Any) -> tuple[Any, dict[str, Any]]:
        try:
            reader = self.model.reading(self._names)
            result = result_nodes.bringIn(self._out, reader, reference, self._names, self._sources)
            volumes = {role: slicer.mrmlScene.GetNodeByID(identifier) for role, identifier in self._ids.items()}
            result_nodes.keepValueImage(result[0], volumes)
            return result
        except InputError:
            raise
        except (OSError, ValueError) as error:
            said = f"{error}\n{self._log}"
            raise RunError(_("The segmentation ended without a readable result."), said) from error

    def _inWordsOfTheScene(self, text: str) -> str:
        """A message about a temporary copy, about the volume instead."""
        for role, name in self._names.items():
            text = text.replace(str(self._inputPath(role)), f"volume '{name}'")
        return text


def segment(
    volumes: Mapping[str, Any],
    model: str = "mri",
    progress: Callable[[str, int, int], None] | None = None,
    command: Sequence[str] | None = None,
    *,
    worker: Worker | None = None,
    **choices: Any,
) -> tuple[Any, dict[str, Any]]:
    """Segment and wait for the result.

    Args:
        volumes: A volume node for each role, such as ``{"dwi": node, "adc": node}``.
        model: Id of a bundled model.
        progress: Called with (stage, done, total) as the work goes on.
        command: Stands for ``PythonSlicer -m StrokeSegLib`` (tests).
        worker: A warm one, which stays.
        **choices: ``device`` and ``threshold``, see SegmentationRun.

    Returns:
        The new segmentation node and the content of measurements.json.

    Raises:
        InputError: The input or the request was wrong.
        RunError: The run failed, or a package that it needs is missing.
    """
    checkRequirements()
    run = SegmentationRun(volumes, find_model(model), command, worker=worker, **choices)
    waitFor(run, progress)
    return run.finish()


def checkRequirements() -> None:
    """Whether a run can be started at all.

    Raises:
        RunError: A package that it needs is missing.
    """
    missing = dependencies.missingRequirements()
    if missing:
        needed = " ".join(missing)
        raise RunError(
            _("StrokeSeg needs {packages}: press Apply in the panel once, or pip_install('{packages}').").format(
                packages=needed
            )
        )


def wordOf(model: ModelCard) -> str:
    """How the worker finds the model: by its id where it is bundled, else by its folder."""
    return modelWord(model) if (Path(model.folder) / CARD).is_file() else model.id


def checkRoles(model: ModelCard, volumes: Mapping[str, Any]) -> None:
    """Refuses roles that the model does not take, and too few of them.

    Raises:
        InputError: A role is unknown or a needed one is missing.
    """
    known = [each.role for each in model.inputs]
    unknown = [role for role in volumes if role not in known]
    if unknown:
        raise InputError(
            _("model '{model}' has no input '{role}'; its inputs are {known}").format(
                model=model.id, role=unknown[0], known=", ".join(known)
            )
        )
    missing = missingInputs(model, list(volumes))
    if missing:
        raise InputError(
            _("model '{model}' needs {missing} as well; got {given}").format(
                model=model.id, missing=", ".join(missing), given=", ".join(volumes) or _("nothing")
            )
        )

"""A result as DICOM: its lesions as a segmentation object, and its numbers as a structured report.

The library writes both as ``strokeseg report --dicom`` does, in a process of its own: what it needs for that is never
imported by Slicer. It is given the segments as they are now.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from StrokeSegApp import edits, hidden_volumes, result_nodes, result_watch, scene
from StrokeSegApp.command_run import CommandRun
from StrokeSegApp.volume_facts import INSTANCES_ATTRIBUTE
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import write_image
from StrokeSegLib.io.dicom_header import looks_like_dicom
from StrokeSegLib.report.case_files import CORRECTED, MASK
from StrokeSegLib.report.dicom_results import SEG_NAME, SR_NAME
from StrokeSegLib.volume import Volume

NAMES = (SEG_NAME, SR_NAME)
SERIES_UID_TAG = "0020,000E"


def hindrance(segmentation: Any) -> str:
    """Why this result cannot become DICOM, and what to do; empty when it can."""
    found = result_nodes.asFound(segmentation)
    if found is None:
        return _("This result is not whole any more: press Apply again.")
    if _series(found[1]) or _images(segmentation):
        return ""
    return _(
        "The images did not come from DICOM files, or these are not there any more: load them under Input with"
        " 'DICOM...', and press Apply again."
    )


class DicomExport(CommandRun):
    """An export in progress; see ``CommandRun``. ``finish`` puts the files of ``NAMES`` into the folder."""

    def __init__(self, segmentation: Any, folder: Path, command: Sequence[str] | None = None) -> None:
        """Write the result as it is now and start the command.

        Args:
            segmentation: A result without a ``hindrance``.
            folder: Where the files go.
            command: Stands for ``PythonSlicer -m StrokeSegLib`` (tests).

        Raises:
            InputError: The folder holds such files, or the DICOM files of the scan are not together.
            RunError: The process cannot be started.
        """
        self.target = folder.expanduser().absolute()
        if any((self.target / name).exists() for name in NAMES):
            raise InputError(
                _("'{folder}' holds an exported result already: choose another folder").format(folder=self.target.name)
            )
        super().__init__(lambda private: self._words(segmentation, private), command)

    def _words(self, segmentation: Any, private: Path) -> list[str]:
        source = sourceOf(segmentation)
        (private / "result").mkdir()
        _writeResult(private / "result", segmentation, source)
        words = ["report", "--result", str(private / "result"), "--source", source, "--dicom"]
        return [*words, "--out", str(private / "report")]

    def beforeRemoval(self) -> None:
        """Both files appear under their names only once both are whole."""
        mark = secrets.token_hex(4)
        beside = {name: self.target / f".{name}-{mark}" for name in NAMES}
        try:
            for name, path in beside.items():
                shutil.copyfile(self.folder / "report" / name, path)
            for name, path in beside.items():
                os.replace(path, self.target / name)
        except OSError as error:
            for path in beside.values():
                path.unlink(missing_ok=True)
            raise InputError(
                _("'{folder}' cannot be written to ({reason}): choose another folder").format(
                    folder=self.target.name, reason=error.strerror
                )
            ) from error


def sourceOf(segmentation: Any) -> str:
    """The DICOM files of a result's first input, as ``strokeseg report --source`` takes them.

    Raises:
        InputError: The files that Slicer's DICOM database knows are gone, or lie in several folders.
    """
    found = result_nodes.asFound(segmentation)
    series = _series(found[1]) if found is not None else ""
    if series:
        return series
    images, database = _images(segmentation), slicer.dicomDatabase
    files = [Path(database.fileForInstance(uid) or "") for uid in images]
    folders = {file.parent for file in files if file.is_file()}
    if len(folders) != 1 or not all(file.is_file() for file in files):
        raise InputError(
            _(
                "the DICOM files of the images are gone or lie in several folders: put the series into a folder of its"
                " own, load it under Input with 'DICOM...', and press Apply again"
            )
        )
    return f"{folders.pop()}#{database.instanceValue(images[0], SERIES_UID_TAG)}"


def _series(measurements: dict[str, Any]) -> str:
    """The DICOM folder, ``FOLDER#SERIES_UID`` or DICOM file that the first input was read from; empty for any other."""
    text = str(next(iter(measurements["inputs"].values()))["path"])
    folder = text.rpartition("#")[0]
    if not Path(folder or text).is_absolute():
        return ""
    isThere = Path(text).is_dir() or (folder and Path(folder).is_dir())
    return text if isThere or (Path(text).is_file() and looks_like_dicom(Path(text))) else ""


def _images(segmentation: Any) -> list[str]:
    """The images, by their UIDs, that Slicer's DICOM module made the first input of; none for any other volume."""
    node = result_nodes.referenceOf(segmentation)
    if node is None or getattr(slicer, "dicomDatabase", None) is None:
        return []
    return (node.GetAttribute(INSTANCES_ATTRIBUTE) or "").split()


def _writeResult(folder: Path, segmentation: Any, source: str) -> None:
    """As ``strokeseg segment`` leaves it, with a reader's edits beside it; of the files those that are needed."""
    node, found = result_nodes.asFound(segmentation) or (None, {})
    grid = result_nodes.foundLabels(segmentation)
    now = _labelsNow(segmentation, grid, [label["value"] for label in found["labels"]], node)
    if result_watch.isEdited(segmentation):
        write_image(grid, folder / MASK)
        write_image(now, folder / CORRECTED)
        measurements = found
    else:  # perhaps at another threshold, which is the model's work as well
        write_image(now, folder / MASK)
        measurements = scene.storedMeasurements(segmentation) or found
    role = next(iter(measurements["inputs"]))
    measurements["inputs"][role]["path"] = source
    (folder / "measurements.json").write_text(json.dumps(measurements), encoding="utf-8")


def _labelsNow(segmentation: Any, grid: Volume, values: Sequence[int], node: Any) -> Volume:
    """The model's segments as they are now; of segments that overlap, the last one counts."""
    matrix = hidden_volumes.wholeIjkToRas(node)
    labels = np.zeros(grid.array.shape, np.uint8)
    for value in values:
        np.copyto(labels, value, where=edits.maskOf(segmentation, value, matrix, labels.shape) > 0)
    return grid.with_array(labels)

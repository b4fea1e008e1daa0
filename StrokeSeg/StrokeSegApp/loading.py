"""Loads a file or a DICOM series into a volume node.

A file goes through Slicer's own reader, so that the node remembers its file. A DICOM folder goes through the reader of
the command line, StrokeSegLib.io: it places each slice by its own position, needs no DICOM database, and copies nothing
that names the patient into the scene. Who wants the patient and the study loads in Slicer's DICOM module as always.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from StrokeSegApp import scene, volume_facts
from StrokeSegApp.volume_nodes import addVolume
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import Series, list_series, read_image
from StrokeSegLib.io.dicom_header import looks_like_dicom


def loadFile(path: str) -> Any:
    """A volume node of an image file; it becomes the active volume.

    Raises:
        InputError: The file is no image that can be read.
    """
    if not Path(path).is_file():
        raise InputError(_("{path} does not exist, an image file is needed: check the path").format(path=path))
    if looks_like_dicom(Path(path)):
        return _shown(addVolume(read_image(path).volume, _free(Path(path).stem)))
    name = Path(path).name.removesuffix(".gz")
    node = slicer.modules.volumes.logic().AddArchetypeVolume(path, Path(name).stem)
    if node is None:
        read_image(path)  # says in one line what is wrong with it, where it can
        raise InputError(
            _("{path} could not be read as an image: convert it to NIfTI, or load it in the Data module").format(
                path=path
            )
        )
    return _shown(node)


def seriesIn(folder: str) -> list[Series]:
    """The image series of a DICOM folder and its subfolders; each b-value of a series that holds several.

    Raises:
        InputError: There is none, or a file is damaged.
    """
    return list_series(Path(folder))


def loadSeries(folder: str, series: Series) -> tuple[Any, tuple[str, ...]]:
    """A volume node of one series; it becomes the active volume.

    Returns:
        The node, and what the reader had to say.

    Raises:
        InputError: The series is not one whole 3D image.
    """
    reading = read_image(f"{folder}#{series.uid}")
    node = addVolume(reading.volume, _free(series.description or series.modality or "DICOM"))
    attributes = {
        volume_facts.MODALITY_ATTRIBUTE: series.modality,
        volume_facts.DESCRIPTION_ATTRIBUTE: series.description,
        volume_facts.B_VALUE_ATTRIBUTE: series.b_value,
        volume_facts.IMAGE_TYPE_ATTRIBUTE: series.image_type,
        volume_facts.CONTRAST_ATTRIBUTE: series.contrast,
    }
    node.SetAttribute(scene.SOURCE_ATTRIBUTE, f"{Path(folder).absolute()}#{series.uid}")
    for name, value in attributes.items():
        if value:
            node.SetAttribute(name, value)
    return _shown(node), reading.warnings


def _shown(node: Any) -> Any:
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(node.GetID())
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def _free(name: str) -> str:
    return slicer.mrmlScene.GenerateUniqueName(name)

"""Segmentations of readers: each version a file named by what is in it, so that none is ever overwritten.

Files are .seg.nrrd, whose text header keeps a grid to the last bit (a NIfTI's quaternion does not).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from StrokeSegLib.disk import flush_to_disk
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.review.durable import beside, place_once
from StrokeSegLib.volume import Volume

SUFFIX = ".seg.nrrd"
_FIRST_BYTES = b"StrokeSeg label map 1\n"


def content_hash(labels: Volume) -> str:
    """SHA-256 of a label map: its voxels as uint8, its shape, and its grid in single precision.

    The same mask on the same grid has the same hash, in whatever format it was stored.

    Raises:
        InputError: The voxels are no whole numbers from 0 to 255.
    """
    array = _labels(labels).array
    digest = hashlib.sha256(_FIRST_BYTES)
    digest.update(np.array(array.shape, "<i8").tobytes())
    grid = np.column_stack([labels.direction * np.array(labels.spacing_mm), np.array(labels.origin)])
    digest.update((grid.astype("<f4") + np.float32(0)).tobytes())  # adding 0 turns -0 into 0
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def save_version(folder: Path, labels: Volume) -> str:
    """Writes a segmentation that is on the disk, whole, when this returns; after an error there is none.

    Args:
        folder: Of a reader's segmentations; made where it is not there.
        labels: Whole numbers from 0 to 255.

    Returns:
        Its content hash, by which the file is named. A mask that is there already is not written again.

    Raises:
        InputError: The labels are no label map, or the folder can not be written to.
    """
    labels = _labels(labels)
    version = content_hash(labels)
    path = version_path(folder, version)
    if path.exists() and _holds(path, version):
        return version
    with beside(path) as temporary:
        write_image(labels, temporary)
        if not _holds(temporary, version):
            raise OSError(5, "the file does not hold what was written to it")
        if path.exists():  # damaged since it was written, and named by what it must hold
            os.replace(temporary, path)
            flush_to_disk(path.parent)
        else:
            _place(temporary, path)
    return version


def version_path(folder: Path, version: str) -> Path:
    """Where a reader's folder of segmentations has a version, or would have it."""
    return folder / f"{version}{SUFFIX}"


def read_version(path: Path, version: str) -> Volume:
    """A segmentation (uint8), if the file holds what its hash says.

    Raises:
        InputError: It can not be read, or holds another mask.
    """
    labels = _labels(read_image(path).volume)
    if (found := content_hash(labels)) != version:
        raise InputError(
            f"{path} holds another mask than when it was reviewed (hash {found[:8]}, needed {version[:8]}): "
            f"it was changed or damaged, bring back the file as it was"
        )
    return labels


def _labels(volume: Volume) -> Volume:
    """The same as uint8.

    Raises:
        InputError: Some voxel is no whole number from 0 to 255.
    """
    array = volume.array
    if array.dtype == np.uint8:
        return volume
    with np.errstate(invalid="ignore"):
        labels = array.astype(np.uint8)
    if not np.array_equal(labels, array):
        raise InputError(
            f"a segmentation needs whole numbers from 0 to 255, got {array.dtype} values from {array.min()} "
            f"to {array.max()}: give a label map"
        )
    return volume.with_array(labels)


def _holds(path: Path, version: str) -> bool:
    try:
        read_version(path, version)
    except InputError:
        return False
    return True


def _place(temporary: Path, path: Path) -> None:
    try:
        place_once(temporary, path)
    except FileExistsError:  # another window of the same reader saved the same mask
        flush_to_disk(path.parent)

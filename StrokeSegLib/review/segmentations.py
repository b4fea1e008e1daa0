"""Finds and reads a version of a case's segmentation, wherever it came from."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from StrokeSegLib.errors import InputError
from StrokeSegLib.review.study import Study
from StrokeSegLib.review.versions import read_version, version_path
from StrokeSegLib.volume import Volume


def segmentation_path(study: Study, case_id: str, version: str) -> Path:
    """The file of a version: a model's or a reader's.

    Raises:
        InputError: No model result of the case and no reader has it.
    """
    return _candidates(study, case_id, version)[0]


def read_segmentation(study: Study, case_id: str, version: str) -> Volume:
    """A version (uint8 label map), if it is what it was.

    Raises:
        InputError: It is gone, changed or damaged, wherever it is.
    """
    return whole_segmentation(study, case_id, version)[1]


def whole_segmentation(study: Study, case_id: str, version: str) -> tuple[Path, Volume]:
    """A file that holds a version, and what it holds; where several readers made the same mask, one is enough.

    Raises:
        InputError: It is gone, changed or damaged, wherever it is.
    """
    *others, last = _candidates(study, case_id, version)
    for path in others:
        with suppress(InputError):
            return path, read_version(path, version)
    return last, read_version(last, version)


def _candidates(study: Study, case_id: str, version: str) -> list[Path]:
    paths = [result.segmentation for result in study.results(case_id) if result.version == version]
    paths += [version_path(study.segmentations(reader), version) for reader in study.readers()]
    there = [path for path in paths if path.exists()]
    if not there:
        raise InputError(
            f"the segmentation {version[:8]} of case {case_id} is nowhere in {study.folder}: bring it back"
        )
    return there

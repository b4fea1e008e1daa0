"""Model results in a study: a small file says where a result folder is, and which mask it held when it was added."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from StrokeSegLib.disk import flush_to_disk
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.result_folder import RESULT_NAMES
from StrokeSegLib.review.durable import make_folder, write_once
from StrokeSegLib.review.names import check_name
from StrokeSegLib.review.versions import content_hash

FORMAT = 1
MODELS, MASK, MEASUREMENTS = "models", "lesion.nii.gz", "measurements.json"


@dataclass(frozen=True)
class ModelResult:
    """What a model found in one case.

    Attributes:
        case_id: The case.
        model: The model's id.
        model_version: Its version.
        model_sha256: Of its weights.
        version: Content hash of the mask: the version that a reader starts from.
        folder: The result folder, as ``strokeseg segment`` writes it.
    """

    case_id: str
    model: str
    model_version: str
    model_sha256: str
    version: str
    folder: Path

    @property
    def segmentation(self) -> Path:
        """The mask."""
        return self.folder / MASK

    def measurements(self) -> dict[str, Any]:
        """Content of measurements.json.

        Raises:
            InputError: It can not be read.
        """
        return read_measurements(self.folder)


def read_measurements(folder: Path) -> dict[str, Any]:
    """measurements.json of a result folder.

    Raises:
        InputError: There is none that can be read.
    """
    try:
        content = json.loads((folder / MEASUREMENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} has no {MEASUREMENTS} that can be read, a result folder of strokeseg segment is needed: "
            f"check the path, or segment the case again"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("model"), str):
        raise InputError(f"{folder / MEASUREMENTS} is not one of StrokeSeg's: segment the case again")
    return content


def write_result(case_folder: Path, case_id: str, result: Path, *, copy: bool, home: Path | None = None) -> ModelResult:
    """Adds a result folder to a case.

    Args:
        case_folder: Where the case's files are.
        case_id: The case.
        result: As ``strokeseg segment`` writes it.
        copy: Copy its files into the study; else only its path is kept.
        home: Where the case's folder will be, when it is written elsewhere and moved; ``case_folder`` when None.

    Raises:
        InputError: It is no result folder, or it can not be written.
    """
    content = read_measurements(result)
    model = check_name(content["model"], "model")
    version = content_hash(read_image(result / MASK).volume)
    name = f"{model}-{version[:8]}"
    models = case_folder / MODELS
    make_folder(models)
    if copy:
        _copy(result, models / name)
    kept = {
        "format": FORMAT,
        "model": model,
        "model_version": str(content.get("version", "")),
        "model_sha256": str(content.get("sha256", "")),
        "version": version,
        "folder": name if copy else relative_path(result, (home or case_folder) / MODELS),
    }
    path = models / f"{name}.json"
    if not path.exists():  # the same model with the same mask once is enough
        write_once(path, (json.dumps(kept, indent=1) + "\n").encode())
    return read_result(path, case_id)


def read_result(path: Path, case_id: str) -> ModelResult:
    """The model result that a file of a case describes.

    Raises:
        InputError: The file is not one.
    """
    try:
        kept: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        folder = Path(os.path.normpath(path.parent / kept["folder"]))
        return ModelResult(case_id, kept["model"], kept["model_version"], kept["model_sha256"], kept["version"], folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} can not be read as a model result's reference: add the result again") from error


def relative_path(target: Path, folder: Path) -> str:
    """A path as a file in ``folder`` holds it: relative, with forward slashes, where that is possible."""
    # The folders are resolved (a link above would make ".." lead elsewhere), the file itself is kept if it is a link.
    absolute = target.parent.resolve() / target.name
    try:
        return Path(os.path.relpath(absolute, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return absolute.as_posix()


def _copy(result: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for pattern in RESULT_NAMES:
        for source in result.glob(pattern):
            shutil.copyfile(source, target / source.name)
            flush_to_disk(target / source.name)
    flush_to_disk(target)

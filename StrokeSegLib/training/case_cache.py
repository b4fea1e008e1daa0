"""Prepared cases on disk, behind MONAI's data set interface.

MONAI's own PersistentDataset stores pickles, which some of its versions load without a guard, and always reads a case
whole. Here a case is a folder of plain .npy files: they hold numbers only, and are mapped, so that drawing a patch
reads that patch alone.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from monai.data.dataset import Dataset

from StrokeSegLib.case_table import Case
from StrokeSegLib.disk import DISK_FULL, disk_full, flush_to_disk
from StrokeSegLib.errors import InputError
from StrokeSegLib.systems.base import System
from StrokeSegLib.training.dataset import TrainingCase, read_case, roles_taken

_LIBRARY = Path(__file__).resolve().parents[1]
#: What takes part in preparing a case: a change in any of these files makes old entries unused.
_PREPARING_CODE = ("io", "preprocess", "systems", "volume.py", "training/dataset.py", "training/case_cache.py")
_ARRAYS = ("channels", "target", "brain")
_FACTS = "case.json"
#: A half-written entry of a run that was killed is removed after this long, s.
_LEFTOVER_AGE_S = 24 * 3600


class CachedCases(Dataset):
    """See ``dataset.cached_cases``."""

    def __init__(
        self,
        cases: Sequence[Case],
        system: System,
        prepare_settings: Mapping[str, Any],
        cache_dir: Path,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        super().__init__(data=list(cases), transform=None)
        self.system = system
        self.prepare_settings = dict(prepare_settings)
        self.cache_dir = Path(cache_dir)
        self.progress = progress
        self._folders: dict[int, Path] = {}
        self._seen: set[int] = set()
        try:
            self.cache_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{cache_dir} can not be a cache folder ({error.strerror}): choose another") from error
        if not os.access(self.cache_dir, os.W_OK | os.X_OK):
            raise InputError(f"the cache folder {cache_dir} can not be written to (no permission): choose another")
        for entry in self.cache_dir.glob(".*.*-*"):
            if time.time() - entry.stat().st_mtime > _LEFTOVER_AGE_S:
                shutil.rmtree(entry, ignore_errors=True)

    def _transform(self, index: int) -> TrainingCase:
        case: Case = self.data[index]
        if index not in self._folders:  # a file that changes under a running training is not looked for
            self._folders[index] = self.cache_dir / case_key(case, self.system, self.prepare_settings)
        folder = self._folders[index]
        self._tell(None)
        found = _load(folder)
        if found is None:
            _store(read_case(case, self.system, self.prepare_settings), folder)
            found = _load(folder)
            if found is None:
                raise InputError(f"the cache folder {self.cache_dir} does not keep what is written: choose another")
        self._tell(index % len(self.data))
        return found

    def _tell(self, done: int | None) -> None:
        if self.progress is None or len(self._seen) == len(self.data) or done in self._seen:
            return
        if done is not None:
            self._seen.add(done)
        self.progress("prepare", len(self._seen), len(self.data))


Sequence.register(CachedCases)


def case_key(case: Case, system: System, prepare_settings: Mapping[str, Any]) -> str:
    """Names what a prepared case depends on: its files (path, size, time of change), system, settings and code."""
    roles = roles_taken(system, prepare_settings, case.images)
    facts = {
        "code": _code_version(),
        "prepare": _source_of(system.prepare),
        "system": [system.name, list(system.labels)],
        "settings": dict(prepare_settings),
        "case": case.case_id,
        "images": [[role, *_file_facts(case.images[role])] for role in roles],
        "lesion": None if case.lesion is None else _file_facts(case.lesion),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:40]


def _file_facts(path: Path) -> list[Any]:
    """Path, size in bytes and time of change of a file, or of all files below a DICOM folder."""
    text = str(path)
    place = path if path.exists() or "#" not in text else Path(text.rpartition("#")[0])
    try:
        if not place.is_dir():
            return [os.path.abspath(text), *_size_and_time(place)]
        files = sorted(file for file in place.rglob("*") if file.is_file())
        return [os.path.abspath(text), [[str(file.relative_to(place)), *_size_and_time(file)] for file in files]]
    except OSError as error:
        raise InputError(f"{path} can not be read ({error.strerror}): check the path") from error


def _size_and_time(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_size, facts.st_mtime_ns


@cache
def _code_version() -> str:
    """Changes with every byte of the code that prepares cases, and with the libraries that it calculates with."""
    digest = hashlib.sha256(f"{np.__version__} {sitk.Version_VersionString()}".encode())
    for name in _PREPARING_CODE:
        place = _LIBRARY / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.relative_to(_LIBRARY).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


@cache
def _source_of(function: Callable[..., Any]) -> str:
    """Hash of a function's file, for systems that live outside of this library."""
    try:
        return hashlib.sha256(Path(inspect.getfile(function)).read_bytes()).hexdigest()
    except (TypeError, OSError):  # typed into a console
        return repr(getattr(function, "__qualname__", ""))


def _load(folder: Path) -> TrainingCase | None:
    """The entry, its arrays mapped and read-only; None where there is none or it is damaged."""
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        channels, target, brain = (
            np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)) for name in _ARRAYS
        )
        i, j, k = facts["spacing_mm"]
        return TrainingCase(facts["case_id"], channels, target, brain, (i, j, k))
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _store(case: TrainingCase, folder: Path) -> None:
    """Writes an entry beside its place and renames it into it; a damaged one is replaced."""
    beside = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        beside.mkdir()
        for name in _ARRAYS:
            np.save(beside / f"{name}.npy", np.ascontiguousarray(getattr(case, name)), allow_pickle=False)
        facts = {"case_id": case.case_id, "spacing_mm": case.spacing_mm}
        (beside / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        for file in beside.iterdir():
            flush_to_disk(file)
        if folder.exists() and _load(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():  # else another process was first
            beside.rename(folder)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(folder.parent) from error
        if _load(folder) is None:
            raise InputError(f"the cache folder {folder.parent} can not be written ({error.strerror})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)

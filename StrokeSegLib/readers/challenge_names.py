"""File names of ISLES 2015 and 2018: ``VSD.Brain.XX.O.MR_DWI.70613.nii``, ``SMIR.Brain.XX.O.CT.345562.nii``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from StrokeSegLib.case_table import Case

_NAME = re.compile(r"^(VSD|SMIR)\.Brain\.XX\.O\.(?P<kind>\w+)\.\d+\.nii(\.gz)?$", re.IGNORECASE)
_TRUTH = "ot"


def case_folders(folder: Path, name: re.Pattern[str]) -> dict[int, Path]:
    """Number -> case folder, rising, in ``folder`` or one level below it (``TRAINING``)."""
    for place in (folder, *sorted(child for child in folder.iterdir() if child.is_dir())):
        found = {
            int(m.group(1)): child for child in place.iterdir() if child.is_dir() and (m := name.match(child.name))
        }
        if found:
            return dict(sorted(found.items()))
    return {}


def files_by_kind(folder: Path) -> dict[str, list[Path]]:
    """Kind in small letters (``mr_dwi``, ``ct_cbf``, ``ot``) -> files, each in the folder or in one of its own name."""
    found: dict[str, list[Path]] = {}
    for file in sorted((*folder.glob("*.nii*"), *folder.glob("*/*.nii*"))):
        if (match := _NAME.match(file.name)) and file.is_file():
            found.setdefault(match["kind"].lower(), []).append(file)
    return found


def challenge_case(name: str, folder: Path, kinds: Mapping[str, str], problems: list[str]) -> Case | None:
    """The case of a folder; None and a line in ``problems`` where a file is missing or comes twice.

    Args:
        kinds: Kind -> role, all of them needed. The truth is not: test cases have none.
    """
    found = files_by_kind(folder)
    missing = [kind.upper() for kind in kinds if kind not in found]
    doubled = [kind.upper() for kind in (*kinds, _TRUTH) if len(found.get(kind, ())) > 1]
    if missing:
        problems.append(f"{folder.name} has no file of kind {', '.join(missing)}")
    if doubled:
        problems.append(f"{folder.name} has several files of kind {', '.join(doubled)}")
    if missing or doubled:
        return None
    images = {role: found[kind][0] for kind, role in kinds.items()}
    return Case(name, name, images, found[_TRUTH][0] if _TRUTH in found else None)

"""nnU-Net's raw data: ``imagesTr/CASE_0000.nii.gz``, ``labelsTr/CASE.nii.gz`` and ``dataset.json``, versions 1 and 2.

``channel_names`` (``modality`` in version 1) gives the role of each channel. nnU-Net knows no patients, so each case
counts as one; where a patient has several, give a list (``with_patients``).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.readers.bids import ROLE_OF_SUFFIX

#: What a label's name says about its value in truth masks; any other name is the ischemic lesion.
_VALUE_OF_NAME = {"background": 0, "hem": 2, "bleed": 2, "blood": 2, "penumbra": 3}


def fits(folder: Path) -> bool:
    """Whether there are ``dataset.json`` and ``imagesTr``."""
    return (folder / "dataset.json").is_file() and (folder / "imagesTr").is_dir()


def read_nnunet(folder: Path) -> tuple[Case, ...]:
    """The training cases, in the order of their names; each is a patient of its own.

    Raises:
        InputError: No such layout, a channel that is no role, labels with other values than here, or missing files.
    """
    if not fits(folder):
        raise InputError(
            f"{folder} is no nnU-Net folder: needed dataset.json, imagesTr and labelsTr; give DatasetXXX_NAME"
        )
    facts = _facts(folder / "dataset.json")
    roles = _roles(folder / "dataset.json", facts)
    _check_labels(folder / "dataset.json", facts)
    ending = str(facts.get("file_ending", ".nii.gz"))
    pattern = re.compile(rf"^(.+)_(\d{{4}}){re.escape(ending)}$")
    found: dict[str, dict[str, Path]] = {}
    for file in sorted((folder / "imagesTr").iterdir()):
        if (match := pattern.match(file.name)) and match[2] in roles:
            found.setdefault(match[1], {})[roles[match[2]]] = file
    problems = []
    cases = []
    for name, images in found.items():
        lesion = folder / "labelsTr" / f"{name}{ending}"
        missing = [role for role in roles.values() if role not in images]
        if missing:
            problems.append(f"{name} has no {', '.join(missing)}")
        if not lesion.is_file():
            problems.append(f"{name} has no labelsTr/{lesion.name}")
        cases.append(Case(name, name, images, lesion))
    if not cases:
        problems.append(f"imagesTr holds no file CASE_0000{ending}")
    if problems:
        raise InputError(f"{folder} is not complete: {'; '.join(problems)}; copy it again")
    return tuple(cases)


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can not be read as JSON ({error}): repair it") from error
    if not isinstance(facts, dict):
        raise InputError(f"{path} holds no object with channel_names and labels: repair it")
    return facts


def _roles(path: Path, facts: dict[str, Any]) -> dict[str, str]:
    """Channel number as in file names -> role."""
    names = facts.get("channel_names", facts.get("modality"))
    if not isinstance(names, dict) or not names:
        raise InputError(f"{path} has no channel_names (such as {{'0': 'DWI', '1': 'ADC'}}): add them")
    roles: dict[str, str] = {}
    for number, name in names.items():
        role = ROLE_OF_SUFFIX.get(str(name).strip().lower())
        if role is None or not str(number).isdigit() or role in roles.values():
            known = ", ".join(sorted(set(ROLE_OF_SUFFIX.values())))
            raise InputError(
                f"{path} calls channel {number} {name!r}, needed one role each of {known}: rename it there"
            )
        roles[f"{int(number):04d}"] = role
    return roles


def _check_labels(path: Path, facts: dict[str, Any]) -> None:
    labels = facts.get("labels", {})
    if not isinstance(labels, dict):
        raise InputError(f"{path} has labels {labels!r}, needed such as {{'background': 0, 'lesion': 1}}: repair it")
    for key, other in labels.items():
        name, value = (str(other), key) if str(key).isdigit() else (str(key), other)  # version 1 has them turned round
        means = next((v for word, v in _VALUE_OF_NAME.items() if word in name.lower()), 1)
        if str(value) != str(means):
            raise InputError(
                f"{path} gives label {name!r} the value {value}, here truth masks hold 1 ischemic lesion or core, "
                f"2 hemorrhage, 3 penumbra: rewrite the masks in labelsTr with {means}"
            )

"""BIDS: ``sub-X/[ses-Y/]FOLDER/sub-X_..._SUFFIX.nii.gz``, with the truth under ``derivatives``.

The suffix gives the role: dwi or trace, adc, FLAIR, T1w, T2w, ct, cbf, cbv, mtt, tmax (capitals do not matter). The
truth is a file below ``derivatives`` of the same subject and session that ends in ``_mask``, ``_msk``, ``_dseg`` or
``-msk``; of several, the one with "lesion" in its name. A session is a case, a subject is a patient.
"""

from __future__ import annotations

import re
from pathlib import Path

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError

ROLE_OF_SUFFIX = {
    "dwi": "dwi", "trace": "dwi", "adc": "adc", "flair": "flair", "t1w": "t1", "t1": "t1", "t2w": "t2", "t2": "t2",
    "ct": "ct", "ncct": "ct", "cbf": "cbf", "cbv": "cbv", "mtt": "mtt", "tmax": "tmax",
}  # fmt: skip
_TRUTH_SUFFIX = re.compile(r"[_-](mask|msk|dseg)$", re.IGNORECASE)
_IMAGE = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)


def bids_root(folder: Path) -> Path | None:
    """The folder that holds ``sub-*``: itself, or one of its children, such as ``rawdata``."""
    children = sorted(child for child in folder.iterdir() if child.is_dir() and child.name.lower() != "derivatives")
    return next((place for place in (folder, *children) if _subjects(place)), None)


def fits(folder: Path) -> bool:
    """Whether there are ``sub-*`` folders."""
    return bids_root(folder) is not None


def read_bids(folder: Path) -> tuple[Case, ...]:
    """A case a session (or a subject without sessions), in the order of their names.

    Sessions without an image of a known role are left out.

    Raises:
        InputError: No such layout, no images, or several files for one role or for the truth: all cases at once.
    """
    root = bids_root(folder)
    if root is None:
        raise InputError(f"{folder} is no BIDS folder: needed folders sub-...; give the dataset's own top folder")
    derivatives = [place for place in (root / "derivatives", root.parent / "derivatives") if place.is_dir()]
    problems: list[str] = []
    cases = []
    for subject in _subjects(root):
        for session in sorted(subject.glob("ses-*")) or [subject]:
            case = _session_case(subject, session, derivatives, problems)
            if case is not None:
                cases.append(case)
    if problems:
        raise InputError(f"{folder}: {'; '.join(problems)}; leave one file for each, or write the table by hand")
    if not cases:
        raise InputError(f"{folder} holds no image that ends in _{', _'.join(ROLE_OF_SUFFIX)}: rename them")
    return tuple(cases)


def _subjects(folder: Path) -> list[Path]:
    return sorted(child for child in folder.glob("sub-*") if child.is_dir())


def _session_case(subject: Path, session: Path, derivatives: list[Path], problems: list[str]) -> Case | None:
    name = subject.name if session == subject else f"{subject.name}_{session.name}"
    images: dict[str, list[Path]] = {}
    for file in sorted((*session.glob("*.nii*"), *session.glob("*/*.nii*"))):
        role = ROLE_OF_SUFFIX.get(_stem(file).rpartition("_")[2].lower())
        if role is not None:
            images.setdefault(role, []).append(file)
    truths: list[Path] = []
    for place in derivatives:
        truths += _truths(place, subject.name, session.name if session != subject else None)
    lesions = [file for file in truths if "lesion" in file.name.lower()]
    truths = lesions if len(truths) > 1 and lesions else truths
    for role, files in (*images.items(), ("truth", truths)):
        if len(files) > 1:
            problems.append(f"{name} has {len(files)} files for {role} ({', '.join(file.name for file in files)})")
    if not images:
        return None
    return Case(name, subject.name, {r: files[0] for r, files in images.items()}, truths[0] if truths else None)


def _truths(derivatives: Path, subject: str, session: str | None) -> list[Path]:
    """Masks of a session, in ``derivatives/sub-X`` or ``derivatives/PIPELINE/sub-X``; brain masks are none."""
    found = []
    for place in sorted((*derivatives.glob(subject), *derivatives.glob(f"*/{subject}"))):
        for file in sorted((place / session if session else place).rglob("*.nii*")):
            if _IMAGE.search(file.name) and _TRUTH_SUFFIX.search(_stem(file)) and "brain" not in file.name.lower():
                found.append(file)
    return found


def _stem(file: Path) -> str:
    return _IMAGE.sub("", file.name)

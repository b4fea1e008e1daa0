"""Cases from folders of DICOM files: which series of an examination plays which role."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from slicer.i18n import tr as _

from StrokeSegApp.input_roles import roleOf
from StrokeSegApp.volume_facts import factsOfSeries
from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import Series, list_series
from StrokeSegLib.io.dicom_header import looks_like_dicom


def casesOfExaminations(source: Path, folders: Sequence[Path], roles: Collection[str]) -> list[Case]:
    """A case for each folder that holds DICOM, or one of all when they hold the series of a single examination.

    Args:
        source: What the user chose.
        folders: Those in it.
        roles: That are looked for.

    Raises:
        InputError: A damaged file, or two series for a role.
    """
    found = {folder: list_series(folder) for folder in folders if _holdsDicom(folder)}
    if not found and _holdsDicom(source):
        found = {source: list_series(source)}
    studies = {each.study for volumes in found.values() for each in volumes}
    if len(found) > 1 and len(studies) == 1 and studies != {""}:
        found = {source: [each for volumes in found.values() for each in volumes]}
    cases = [_case(folder, volumes, roles) for folder, volumes in found.items()]
    return [case for case in cases if case.images]


def _holdsDicom(folder: Path) -> bool:
    return any(looks_like_dicom(Path(root) / name) for root, _inner, names in os.walk(folder) for name in names)


def _case(folder: Path, volumes: Sequence[Series], roles: Collection[str]) -> Case:
    of_role: dict[str, list[Series]] = {}
    for each in volumes:
        role = roleOf(factsOfSeries(each))
        if role in roles:
            of_role.setdefault(str(role), []).append(each)
    images = {role: Path(f"{folder.absolute()}#{_only(folder, role, found).uid}") for role, found in of_role.items()}
    return Case(folder.name, folder.name, images)


def _only(folder: Path, role: str, volumes: Sequence[Series]) -> Series:
    """The one series for a role, with its highest b-value, which a series lists first.

    Raises:
        InputError: There are several.
    """
    if len({each.uid.partition(":")[0] for each in volumes}) > 1:
        listed = ", ".join(f"{each.uid} ({each.description or _('no description')})" for each in volumes)
        raise InputError(
            _(
                "{folder} holds several series for {role}: {listed}; take the others out, or write a case table that"
                " names one as {folder}#SERIES_UID"
            ).format(folder=folder, role=role, listed=listed)
        )
    return volumes[0]

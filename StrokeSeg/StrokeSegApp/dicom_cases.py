"""Cases from folders of DICOM files: which series of an examination plays which role."""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Sequence
from pathlib import Path

from slicer.i18n import tr as _

from StrokeSegApp.input_roles import roleOf
from StrokeSegApp.progress import Progress
from StrokeSegApp.volume_facts import factsOfSeries
from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import Series, series_in_steps
from StrokeSegLib.io.dicom_header import looks_like_dicom


def examinationsInSteps(
    source: Path, folders: Sequence[Path], roles: Collection[str]
) -> Generator[Progress, None, list[Case]]:
    """A case for each folder that holds DICOM, or one of all when they hold the series of a single examination.

    A file takes some milliseconds: what is yielded after each says how many of a folder were read.

    Args:
        source: What the user chose.
        folders: Those in it.
        roles: That are looked for.

    Raises:
        InputError: A damaged file, or two series for a role.
    """
    found: dict[Path, list[Series]] = {}
    for folder in folders:
        if (yield from _holdsDicom(folder)):
            found[folder] = yield from _listSeries(folder)
    if not found and (yield from _holdsDicom(source)):
        found = {source: (yield from _listSeries(source))}
    studies = {each.study for volumes in found.values() for each in volumes}
    if len(found) > 1 and len(studies) == 1 and studies != {""}:
        found = {source: [each for volumes in found.values() for each in volumes]}
    cases = [_case(folder, volumes, roles) for folder, volumes in found.items()]
    return [case for case in cases if case.images]


def _holdsDicom(folder: Path) -> Generator[Progress, None, bool]:
    for root, _inner, names in os.walk(folder):
        for name in names:
            if looks_like_dicom(Path(root) / name):
                return True
            yield Progress(folder.name, 0, 0, None)
    return False


def _listSeries(folder: Path) -> Generator[Progress, None, list[Series]]:
    steps = series_in_steps(folder)
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            found: list[Series] = end.value
            return found
        yield Progress(folder.name, done, total, None)


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

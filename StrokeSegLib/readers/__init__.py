"""Readers of public folder layouts: each turns a folder into the cases of a case table, without opening the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.readers import bids, isles2015, isles2018, isles2022, nnunet
from StrokeSegLib.readers.bids import read_bids
from StrokeSegLib.readers.isles2015 import read_isles2015
from StrokeSegLib.readers.isles2018 import read_isles2018
from StrokeSegLib.readers.isles2022 import read_isles2022
from StrokeSegLib.readers.nnunet import read_nnunet
from StrokeSegLib.readers.patients import with_patients

__all__ = [
    "LAYOUTS", "detect_layout", "read_bids", "read_isles2015", "read_isles2018", "read_isles2022", "read_layout",
    "read_nnunet", "with_patients",
]  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """A folder layout: how to know it, how to read it, and what about the patients is assumed."""

    fits: Callable[[Path], bool]
    read: Callable[[Path], tuple[Case, ...]]
    assumption: str


#: Name on the command line -> layout; special ones before general ones.
LAYOUTS = {
    "isles2015": Layout(isles2015.fits, read_isles2015, "each numbered folder is a patient"),
    "isles2018": Layout(isles2018.fits, read_isles2018, isles2018.ASSUMPTION),
    "isles2022": Layout(isles2022.fits, read_isles2022, "each sub- folder is a patient"),
    "nnunet": Layout(nnunet.fits, read_nnunet, "each case is a patient, as nnU-Net folders do not name patients"),
    "bids": Layout(bids.fits, read_bids, "each sub- folder is a patient"),
}


def detect_layout(folder: Path) -> str | None:
    """Name of the first layout that the folder has; None when it has none."""
    return next((name for name, layout in LAYOUTS.items() if layout.fits(folder)), None)


def read_layout(
    folder: Path, layout: str | None = None, *, patients: Path | None = None
) -> tuple[str, tuple[Case, ...]]:
    """Cases of a folder, and the name of its layout.

    Args:
        layout: A name in ``LAYOUTS``; found from the folder when None.
        patients: Which case belongs to which patient, see ``with_patients``; else the layout's own assumption holds.

    Raises:
        InputError: No such folder or layout, the folder has another layout, or its files are not complete.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder, a folder of one of the layouts {', '.join(LAYOUTS)} is needed")
    if layout is not None and layout not in LAYOUTS:
        raise InputError(
            f"there is no layout {layout!r}, there are {', '.join(LAYOUTS)}; leave it out to have it found"
        )
    found = detect_layout(folder)
    if layout is None and found is None:
        raise InputError(
            f"{folder} has none of the layouts {', '.join(LAYOUTS)}: give the dataset's own top folder, or write the "
            "case table by hand"
        )
    name = layout or found or ""
    if not LAYOUTS[name].fits(folder):
        looks = f"it looks like {found}: use --layout {found}" if found else "it looks like no known layout"
        raise InputError(f"{folder} is no folder of layout {name}, {looks}; or give the dataset's own top folder")
    cases = LAYOUTS[name].read(folder)
    return name, with_patients(cases, patients) if patients is not None else cases

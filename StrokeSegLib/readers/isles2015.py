"""ISLES 2015, task SISS: sub-acute strokes, 28 training cases with FLAIR, T1, T2, DWI and one expert's truth.

Layout (Maier et al., Medical Image Analysis 35, 2017)::

    SISS2015_Training/1/VSD.Brain.XX.O.MR_DWI.70613/VSD.Brain.XX.O.MR_DWI.70613.nii
                        VSD.Brain.XX.O.MR_Flair.70614/...   MR_T1   MR_T2   VSD.Brain.XX.O.OT.70616/...
"""

from __future__ import annotations

import re
from pathlib import Path

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.readers.challenge_names import case_folders, challenge_case, files_by_kind

KINDS = {"mr_dwi": "dwi", "mr_flair": "flair", "mr_t1": "t1", "mr_t2": "t2"}
_FOLDER = re.compile(r"^(\d+)$")


def fits(folder: Path) -> bool:
    """Whether numbered folders hold challenge files of MRI."""
    return any("mr_flair" in files_by_kind(place) for place in case_folders(folder, _FOLDER).values())


def read_isles2015(folder: Path) -> tuple[Case, ...]:
    """Cases ``siss-01`` and on; each is a patient of its own.

    Raises:
        InputError: No such layout, or files are missing: all cases at once.
    """
    if not fits(folder):
        raise InputError(
            f"{folder} is no ISLES 2015 SISS folder: needed folders 1, 2, ... with VSD.Brain.XX.O.MR_Flair.*.nii and "
            "so on; give the folder SISS2015_Training"
        )
    problems: list[str] = []
    cases = [
        challenge_case(f"siss-{number:02d}", place, KINDS, problems)
        for number, place in case_folders(folder, _FOLDER).items()
    ]
    if problems:
        raise InputError(f"{folder} is not complete: {'; '.join(problems)}; unpack it again")
    return tuple(case for case in cases if case is not None)

"""ISLES 2018: acute strokes on CT perfusion, 94 training cases (slabs) of 63 patients.

Layout (Hakim et al., Stroke 52, 2021)::

    TRAINING/case_1/SMIR.Brain.XX.O.CT.345562/SMIR.Brain.XX.O.CT.345562.nii
                    CT_4DPWI (not used here)   CT_CBF   CT_CBV   CT_MTT   CT_Tmax   SMIR.Brain.XX.O.OT.345566/...

A patient may have two cases, slabs A and B of one scan, and the folders do not say which. The challenge published a
list; give it to ``with_patients``. Without it nothing is certain. This reader then takes cases with consecutive
numbers for one patient when their CT has the same pixels and the same field of view. That may join two
patients, which costs nothing but freedom in splitting. It would miss two slabs that were reconstructed differently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.io.reading import quiet_itk
from StrokeSegLib.readers.challenge_names import case_folders, challenge_case, files_by_kind

KINDS = {"ct": "ct", "ct_cbf": "cbf", "ct_cbv": "cbv", "ct_mtt": "mtt", "ct_tmax": "tmax"}
ASSUMPTION = (
    "consecutive cases whose CT has the same in-plane size and spacing are taken for slabs of one patient; give the "
    "challenge's own list with --patients"
)
_FOLDER = re.compile(r"^case_(\d+)$", re.IGNORECASE)


def fits(folder: Path) -> bool:
    """Whether folders ``case_N`` hold challenge files of CT perfusion."""
    return any("ct_cbf" in files_by_kind(place) for place in case_folders(folder, _FOLDER).values())


def read_isles2018(folder: Path) -> tuple[Case, ...]:
    """Cases ``case-001`` and on; patients as the file's head says.

    Raises:
        InputError: No such layout, or files are missing: all cases at once.
    """
    if not fits(folder):
        raise InputError(
            f"{folder} is no ISLES 2018 folder: needed folders case_1, case_2, ... with SMIR.Brain.XX.O.CT_CBF.*.nii "
            "and so on; give the folder TRAINING"
        )
    problems: list[str] = []
    cases = [
        challenge_case(f"case-{number:03d}", place, KINDS, problems)
        for number, place in case_folders(folder, _FOLDER).items()
    ]
    if problems:
        raise InputError(f"{folder} is not complete: {'; '.join(problems)}; unpack it again")
    return _joined([case for case in cases if case is not None])


def _joined(cases: Sequence[Case]) -> tuple[Case, ...]:
    joined: list[Case] = []
    before: tuple[int, tuple[float, ...]] | None = None
    with quiet_itk():
        for case in cases:
            number, plane = int(case.case_id.rpartition("-")[2]), _plane(case.images["ct"])
            one_patient = before is not None and before[0] == number - 1 and before[1] == plane
            patient = joined[-1].patient_id if one_patient else f"patient-of-{case.case_id}"
            joined.append(replace(case, patient_id=patient))
            before = (number, plane)
    return tuple(joined)


def _plane(ct: Path) -> tuple[float, ...]:
    """Size and spacing in the plane, from the header where it can be read alone."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(ct))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        volume = read_image(ct).volume
        return (*volume.size_ijk[:2], *(round(s, 4) for s in volume.spacing_mm[:2]))
    return (*reader.GetSize()[:2], *(round(s, 4) for s in reader.GetSpacing()[:2]))

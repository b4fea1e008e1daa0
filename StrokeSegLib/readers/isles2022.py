"""ISLES 2022: acute and sub-acute strokes on DWI, ADC and FLAIR, 250 training cases; a BIDS folder.

Layout (Hernandez Petzsche et al., Scientific Data 9, 2022)::

    sub-strokecase0001/ses-0001/dwi/sub-strokecase0001_ses-0001_dwi.nii.gz    ..._adc.nii.gz
                                anat/sub-strokecase0001_ses-0001_FLAIR.nii.gz (on a grid of its own)
    derivatives/sub-strokecase0001/ses-0001/sub-strokecase0001_ses-0001_msk.nii.gz (on the grid of the DWI)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.readers.bids import bids_root, read_bids

_PREFIX = "sub-strokecase"


def fits(folder: Path) -> bool:
    """Whether there are ``sub-strokecase*`` folders with a diffusion folder (ISLES 2024 has CT folders)."""
    root = bids_root(folder)
    return root is not None and any(root.glob(f"{_PREFIX}*/ses-*/dwi/*_adc.nii*"))


def read_isles2022(folder: Path) -> tuple[Case, ...]:
    """Cases ``strokecase0001`` and on; each is a patient of its own.

    Raises:
        InputError: No such layout, or files are missing or doubled: all cases at once.
    """
    if not fits(folder):
        raise InputError(
            f"{folder} is no ISLES 2022 folder: needed sub-strokecase*/ses-*/dwi/*_dwi.nii.gz and *_adc.nii.gz; "
            "give the folder ISLES-2022"
        )
    cases = read_bids(folder)
    problems = [
        f"{case.case_id} has no {', '.join(role for role in ('dwi', 'adc') if role not in case.images)}"
        for case in cases
        if not {"dwi", "adc"} <= set(case.images)
    ]
    if problems:
        raise InputError(f"{folder} is not complete: {'; '.join(problems)}; unpack it again")
    names = [case.patient_id.removeprefix("sub-") for case in cases]
    if len(set(names)) < len(names):  # several sessions: the long names stay
        return cases
    return tuple(replace(case, case_id=name, patient_id=name) for case, name in zip(cases, names, strict=True))

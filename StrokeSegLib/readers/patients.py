"""Which case belongs to which patient, from a list that the user gives, such as the one that ISLES 2018 published."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError

#: A slab of a patient: ``39_A`` and ``39_B`` are both patient 39.
_SLAB = re.compile(r"(?<=\d)[ _-]?[A-Za-z]$")


def with_patients(cases: Sequence[Case], path: Path) -> tuple[Case, ...]:
    """The cases with patients from a CSV of two columns, case and patient, with or without a header.

    A case is written as in the table or by its number alone (``case-60``, ``case_60``, ``60``). A slab letter behind
    a patient's number is dropped: ``39_A`` and ``39_B`` are one patient.

    Raises:
        InputError: The list can not be read, a line is wrong, or a case is not in it.
    """
    patient_of = _read(path)
    missing = [case.case_id for case in cases if _key(case.case_id) not in patient_of]
    if missing:
        raise InputError(f"{path} names no patient for {', '.join(missing)}: add a line CASE,PATIENT for each")
    return tuple(replace(case, patient_id=patient_of[_key(case.case_id)]) for case in cases)


def _read(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can not be read, a CSV of the columns case and patient is needed") from error
    separator = max(",;\t", key=text.count)
    patient_of: dict[str, str] = {}
    for line, row in enumerate(csv.reader(text.splitlines(), delimiter=separator), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (line == 1 and "patient" in cells[-1].lower()):
            continue
        if len(cells) != 2 or not all(cells):
            raise InputError(f"{path}, line {line} has the cells {cells}, needed CASE,PATIENT as in case_60,39_A")
        key, patient = _key(cells[0]), _SLAB.sub("", cells[1])
        if patient_of.setdefault(key, patient) != patient:
            raise InputError(f"{path}, line {line}: case {cells[0]} is already of patient {patient_of[key]}")
    return patient_of


def _key(case: str) -> str:
    """The case's number where its name ends with one, else the name in small letters."""
    number = re.search(r"(\d+)$", case)
    return str(int(number.group(1))) if number else case.lower()

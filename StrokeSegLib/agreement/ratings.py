"""Who marked what: one rating is one rater's label map of one case, and the class that it stands for.

The class of a label map: ``hemorrhagic`` where any voxel is hemorrhage (blood decides the treatment, also beside an
infarct), else ``ischemic`` where any voxel is marked, else ``healthy``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.volume import Volume

CLASSES = ("healthy", "ischemic", "hemorrhagic")
READER, MODEL, REFERENCE = "reader", "model", "reference"
KINDS = (READER, MODEL, REFERENCE)
#: Value of hemorrhage in every label map.
HEMORRHAGE = 2
_NEEDED = ("case_id", "rater", "path")
_KNOWN = (*_NEEDED, "patient_id", "kind", "class", "image")
_NOT_IN_A_NAME = set('\\/:*?"<>|')


@dataclass(frozen=True)
class Rating:
    """One rater's label map of one case.

    Attributes:
        case_id: Of the case.
        patient: Cases of one patient are drawn together by the bootstrap.
        rater: Name of the reader or model.
        kind: ``reader``, ``model`` or ``reference``.
        path: The label map (1 ischemic lesion or core, 2 hemorrhage, 3 penumbra).
        stated_class: What the rater called the case, where that is known by more than the label map.
        image: A scan to show beneath it; None where there is none.
    """

    case_id: str
    patient: str
    rater: str
    kind: str
    path: Path
    stated_class: str | None = None
    image: Path | None = None


def class_of_labels(labels: NDArray[Any]) -> str:
    """One of ``CLASSES``, see above."""
    if (labels == HEMORRHAGE).any():
        return "hemorrhagic"
    return "ischemic" if labels.any() else "healthy"


def read_labels(path: Path) -> Volume:
    """A label map.

    Raises:
        InputError: The file cannot be read, or holds other values than 0, 1, 2 and 3.
    """
    volume = read_image(path).volume
    array = np.asarray(volume.array)
    # As integers first: a float file of 0 and 1 is a label map, a probability map is not.
    whole = np.nan_to_num(array, nan=-1.0).astype(np.int64)
    if not np.array_equal(whole, array) or whole.min() < 0 or whole.max() > 3:
        raise InputError(
            f"{path.name} is no label map: its values run from {float(np.nanmin(array)):g} to "
            f"{float(np.nanmax(array)):g}, needed 0 to 3 (1 ischemic lesion, 2 hemorrhage, 3 penumbra)"
        )
    return volume.with_array(whole.astype(np.uint8))


def read_ratings_table(path: Path) -> tuple[Rating, ...]:
    """Ratings of a CSV: ``case_id``, ``rater``, ``path``; optionally ``patient_id``, ``kind``, ``class``, ``image``.

    Relative paths are relative to the table. ``kind`` is ``reader`` unless said. Without ``patient_id`` every case is a
    patient. The images are not opened.

    Raises:
        InputError: The file cannot be read, or some lines are wrong: all of them, with their numbers.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} can not be read as a table of ratings ({error}); a CSV in UTF-8 is needed: check it"
        ) from error
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    columns = [name.strip().lower() for name in reader.fieldnames or ()]
    reader.fieldnames = columns
    missing = [name for name in _NEEDED if name not in columns]
    unknown = [name for name in columns if name and name not in _KNOWN]
    if missing or unknown:
        raise InputError(
            f"{path.name} has the columns {', '.join(columns) or '(none)'}; needed are {', '.join(_NEEDED)}, and known "
            f"besides {', '.join(_KNOWN[3:])}; repair the header"
        )
    ratings: list[Rating] = []
    problems: list[str] = []
    for cells in reader:
        row = {name: value.strip() for name, value in cells.items() if name and isinstance(value, str)}
        if not any(row.values()):
            continue
        wrong = _row_problems(row)
        if wrong:
            problems.append(f"line {reader.line_num}: {', '.join(wrong)}")
        else:
            ratings.append(_rating(row, path.parent))
    problems += _set_problems(ratings)
    if not ratings and not problems:
        problems.append("it has a header and no ratings: add a line a rating")
    if problems:
        raise InputError(f"{path.name} is no table of ratings: {'; '.join(problems)}")
    return tuple(ratings)


def check_ratings(ratings: Sequence[Rating]) -> None:
    """Refuses sets of ratings that nothing can be said about.

    Raises:
        InputError: Fewer than two raters, no case that two of them rated, or one rater rated a case twice.
    """
    raters = {one.rater for one in ratings}
    if len(raters) < 2:
        raise InputError(
            f"agreement needs two or more raters, got {', '.join(sorted(raters)) or 'none'}: add a reader or a model"
        )
    if problems := _set_problems(ratings):
        raise InputError("; ".join(problems))
    cases = [one.case_id for one in ratings]
    if len(set(cases)) == len(cases):
        raise InputError(f"no case was rated by two raters ({len(cases)} ratings of {len(cases)} cases): needed is one")


def _row_problems(row: dict[str, str]) -> list[str]:
    wrong = [f"{name} is empty" for name in _NEEDED if not row.get(name)]
    case_id = row.get("case_id", "")
    if set(case_id) & _NOT_IN_A_NAME or case_id.startswith(".") or case_id.endswith("."):
        wrong.append(f"case_id {case_id!r} can not be a file's name: use letters, digits, - and _")
    if row.get("kind", "").lower() not in ("", *KINDS):
        wrong.append(f"kind is {row['kind']!r}, needed {', '.join(KINDS)}")
    if row.get("class", "").lower() not in ("", *CLASSES):
        wrong.append(f"class is {row['class']!r}, needed {', '.join(CLASSES)}")
    return wrong


def _rating(row: dict[str, str], folder: Path) -> Rating:
    return Rating(
        row["case_id"],
        row.get("patient_id") or row["case_id"],
        row["rater"],
        row.get("kind", "").lower() or READER,
        folder / row["path"],
        row.get("class", "").lower() or None,
        folder / row["image"] if row.get("image") else None,
    )


def _set_problems(ratings: Sequence[Rating]) -> list[str]:
    problems = []
    seen: set[tuple[str, str]] = set()
    kinds: dict[str, str] = {}
    patients: dict[str, str] = {}
    for one in ratings:
        if (one.case_id, one.rater) in seen:
            problems.append(f"{one.rater} rated {one.case_id} twice: keep one of the two")
        seen.add((one.case_id, one.rater))
        if kinds.setdefault(one.rater, one.kind) != one.kind:
            problems.append(f"{one.rater} is both {kinds[one.rater]} and {one.kind}: give two names")
        if patients.setdefault(one.case_id, one.patient) != one.patient:
            problems.append(f"{one.case_id} has two patients: give it one")
    return problems

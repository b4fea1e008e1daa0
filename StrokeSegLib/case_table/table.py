"""The case table: a CSV that says which images, which truth and which patient make a case; and its checks.

Columns are ``case_id``, ``patient_id``, one a role (``dwi``, ``ct``, ...), and optionally ``lesion`` (the truth: a
label map, 1 ischemic lesion or core, 2 hemorrhage, 3 penumbra), ``split`` (``train``, ``val`` or ``test``) and
``truth_by`` (the pseudonym of the reader who accepted the truth in a review). Relative paths are relative to the table.
An empty cell means that the case has no such image.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from StrokeSegLib.disk import DISK_FULL, disk_full, flush_to_disk
from StrokeSegLib.errors import InputError

#: Everything that a system may take, in the order of a table's columns.
ROLES = ("dwi", "adc", "flair", "t1", "t2", "ct", "cbf", "cbv", "mtt", "tmax")
SPLITS = ("train", "val", "test")
_NEEDED = ("case_id", "patient_id")
_KNOWN = (*_NEEDED, *ROLES, "lesion", "split", "truth_by")
#: A case's results go into a folder of its name, so the name has to be one on every system.
_NO_FOLDER_NAME = re.compile(r'[\\/:*?"<>|\x00-\x1f]|^\.|[. ]$')


@dataclass(frozen=True)
class Case:
    """One case of a table.

    Attributes:
        case_id: Unique in its table, fit for a folder's name.
        patient_id: Cases of one patient stay on one side of every split.
        images: Role -> image file or DICOM folder (``FOLDER#SERIES_UID`` for one of several series).
        lesion: Truth as a label map; None where nobody drew one, which is not the same as an empty one.
        split: ``train``, ``val``, ``test``, or None where the table leaves it open.
        truth_by: Who accepted the truth in a review (a pseudonym); None for any other truth.
    """

    case_id: str
    patient_id: str
    images: Mapping[str, Path]
    lesion: Path | None = None
    split: str | None = None
    truth_by: str | None = None


def read_case_table(path: str | os.PathLike[str]) -> tuple[Case, ...]:
    """The cases of a table, in its order. The image files are not looked at: ``check_cases`` does that.

    Comma, semicolon or tab between the cells, with or without a byte order mark, as Excel writes in its languages.

    Raises:
        InputError: The file cannot be read as a table, or some lines are wrong: all of them, with their numbers.
    """
    path = Path(path)
    rows = _rows(path)
    if not rows:
        raise InputError(f"{path} is empty, a table with the columns {', '.join(_NEEDED)} and a role is needed")
    (header_line, header), *body = rows
    columns = _columns(path, header_line, header)
    problems: list[str] = []
    cases: list[Case] = []
    first_line: dict[str, int] = {}
    for line, cells in body:
        if len(cells) > len(columns) and any(cells[len(columns) :]):
            problems.append(f"line {line} has {len(cells)} cells, the header {len(columns)}: put quotes around commas")
            continue
        row = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
        wrong = _row_problems(row)
        if (before := first_line.setdefault(row.get("case_id", "").casefold(), line)) != line:
            wrong.append(f"case_id {row.get('case_id', '')!r} is already on line {before}: give each case its own")
        problems += [f"line {line}: {text}" for text in wrong]
        if not wrong:
            cases.append(_case(row, path.parent))
    if not body:
        problems.append("it has a header and no cases: add a line a case")
    if problems:
        raise InputError(f"{path} is no case table: {'; '.join(problems)}")
    return tuple(cases)


def write_case_table(cases: Sequence[Case], path: str | os.PathLike[str]) -> None:
    """Writes a table that ``read_case_table`` gives back, whole or not at all; an older one is replaced.

    Paths are written relative to the table where a relative path exists (not from one Windows drive to another).

    Raises:
        InputError: The cases cannot stand in one table, or the file cannot be written.
    """
    path = Path(path)
    _check_writable(cases)
    write_text_whole(path, _table_text(cases, lambda target: _cell(target, path)))


def table_sha256(cases: Sequence[Case]) -> str:
    """SHA-256 of the table of these cases with bare file names for paths: the same wherever table and images lie."""
    text = _table_text(cases, lambda target: "" if target is None else target.name)
    return hashlib.sha256(text.encode()).hexdigest()


def _table_text(cases: Sequence[Case], cell: Callable[[Path | None], str]) -> str:
    """The table's text, with a path written as ``cell`` says."""
    optional: dict[str, Callable[[Case], str]] = {
        "lesion": lambda case: cell(case.lesion),
        "split": lambda case: case.split or "",
        "truth_by": lambda case: case.truth_by or "",
    }
    more = [name for name in optional if any(getattr(case, name) for case in cases)]
    roles = [role for role in ROLES if any(role in c.images for c in cases)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_NEEDED, *roles, *more])
    for case in cases:
        row = [case.case_id, case.patient_id, *(cell(case.images.get(role)) for role in roles)]
        writer.writerow([*row, *(optional[name](case) for name in more)])
    return text.getvalue()


def write_text_whole(path: Path, text: str) -> None:
    """Writes a text file beside its place and renames it into it; missing folders are made.

    Raises:
        InputError: The place cannot be written to.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8", newline="")
        flush_to_disk(beside)
        beside.replace(path)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(path.parent) from error
        raise InputError(f"{path} can not be written ({error.strerror}): choose another place") from error
    finally:
        with suppress(OSError):
            beside.unlink()


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and cells, stripped, of every line that is not blank."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} can not be read ({error.strerror}), a case table (CSV) is needed: check the path"
        ) from error
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError(f"{path} is an Excel workbook, a CSV file is needed: save it as 'CSV UTF-8' in Excel")
    try:
        text = raw.decode("utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line} is not UTF-8 text (byte {raw[error.start]:#04x}): save it as 'CSV UTF-8'"
        ) from error
    if "\0" in text:
        raise InputError(f"{path} holds binary data, a CSV file is needed: check the path")
    skip = 1 if text[:4].lower() == "sep=" else 0  # Excel's own first line about the separator
    head = next((line for line in text.splitlines()[skip:] if line.strip()), "")
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped) and reader.line_num > skip:
                rows.append((reader.line_num, stripped))
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num} can not be split into cells ({error}): check its quotes"
        ) from error
    return rows


def _columns(path: Path, line: int, header: list[str]) -> list[str]:
    columns = [name.lower() for name in header]
    while columns and not columns[-1]:  # Excel's empty columns to the right
        columns.pop()
    unknown = [name or "(no name)" for name in columns if name not in _KNOWN]
    doubled = [name for name, count in Counter(columns).items() if count > 1]
    missing = [name for name in _NEEDED if name not in columns]
    problems = []
    if missing:
        problems.append(f"the column {' and '.join(missing)} is missing")
    if unknown:
        problems.append(f"no column is called {', '.join(unknown)}; known are {', '.join(_KNOWN)}")
    if doubled:
        problems.append(f"the column {', '.join(doubled)} comes twice")
    if not missing and not any(name in ROLES for name in columns):
        problems.append(f"a column for a role is needed, one or more of {', '.join(ROLES)}")
    if problems:
        raise InputError(f"{path}, line {line}: {'; '.join(problems)}; repair the header")
    return columns


def _row_problems(row: Mapping[str, str]) -> list[str]:
    problems = [f"{name} is empty: every case needs one" for name in _NEEDED if name not in row]
    if "case_id" in row and _NO_FOLDER_NAME.search(row["case_id"]):
        problems.append(f"case_id {row['case_id']!r} can not be a folder's name: use letters, digits, - and _")
    if not any(role in row for role in ROLES):
        problems.append(f"no image: fill at least one of the columns {', '.join(ROLES)}")
    if row.get("split", "").lower() not in ("", *SPLITS):
        problems.append(f"split is {row['split']!r}, needed {', '.join(SPLITS)} or nothing")
    return problems


def _case(row: Mapping[str, str], folder: Path) -> Case:
    images = {role: folder / row[role] for role in ROLES if role in row}
    lesion = folder / row["lesion"] if "lesion" in row else None
    split, truth_by = row.get("split", "").lower() or None, row.get("truth_by")
    return Case(row["case_id"], row["patient_id"], images, lesion, split, truth_by)


def _check_writable(cases: Iterable[Case]) -> None:
    """What would not come back from the table."""
    problems = []
    seen: set[str] = set()
    for case in cases:
        row = {"case_id": case.case_id, "patient_id": case.patient_id, "split": case.split or ""}
        row |= {role: str(path) for role, path in case.images.items()}
        wrong = _row_problems({name: cell for name, cell in row.items() if cell})
        wrong += [f"no role is called {role}" for role in case.images if role not in ROLES]
        if case.case_id.casefold() in seen:
            wrong.append("its case_id comes twice")
        seen.add(case.case_id.casefold())
        problems += [f"{case.case_id or '(no name)'}: {text}" for text in wrong]
    if not seen:
        problems.append("there are no cases")
    if problems:
        raise InputError(f"these cases can not stand in a table: {'; '.join(problems)}")


def _cell(target: Path | None, table: Path) -> str:
    """A path as the table at ``table`` holds it: relative, with forward slashes, where that is possible."""
    if target is None:
        return ""
    # The folders are resolved (a link above would make ".." lead elsewhere), the file itself is kept if it is a link.
    absolute = target.parent.resolve() / target.name
    try:
        return Path(os.path.relpath(absolute, table.parent.resolve())).as_posix()
    except ValueError:  # another drive
        return str(absolute)

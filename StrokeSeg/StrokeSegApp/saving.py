"""The findings of a result as a file: a table for a spreadsheet, or all that measurements.json says."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from StrokeSegLib.errors import InputError

#: A mark at the beginning by which spreadsheets know the letters of all languages.
UTF8_WITH_MARK = "utf-8-sig"


def saveFindings(path: Path, measurements: Mapping[str, Any], table: str) -> None:
    """Write the findings beside and rename them into place; a file that is there is replaced.

    Args:
        path: ``.json`` gives the measurements whole, any other name the table with commas.
        measurements: Of the result.
        table: The same as lines with tabs between the cells.

    Raises:
        InputError: The folder cannot be written to.
    """
    if path.suffix.lower() == ".json":
        content = (json.dumps(measurements, indent=2, ensure_ascii=False) + "\n").encode()
    else:
        lines = io.StringIO(newline="")
        csv.writer(lines).writerows(line.split("\t") for line in table.splitlines())
        content = lines.getvalue().encode(UTF8_WITH_MARK)
    beside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InputError(
            _("{path} cannot be written ({reason}): choose another folder").format(path=path, reason=error.strerror)
        ) from error

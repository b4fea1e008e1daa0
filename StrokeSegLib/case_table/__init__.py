"""Case tables: which images, which truth and which patient make a case; reading, writing and checking them."""

from __future__ import annotations

from StrokeSegLib.case_table.checks import check_cases
from StrokeSegLib.case_table.table import (
    ROLES,
    SPLITS,
    Case,
    read_case_table,
    table_sha256,
    write_case_table,
    write_text_whole,
)

__all__ = [
    "ROLES",
    "SPLITS",
    "Case",
    "check_cases",
    "read_case_table",
    "table_sha256",
    "write_case_table",
    "write_text_whole",
]

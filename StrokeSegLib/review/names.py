"""Names of readers, cases and models: they become folder names on every system, and say nothing about a patient."""

from __future__ import annotations

import re

from StrokeSegLib.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Windows gives these names to devices.
_DEVICES = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]", re.IGNORECASE)


def check_name(text: str, what: str) -> str:
    """The name itself, where it is one.

    Args:
        text: 1 to 64 letters, digits, ``-`` and ``_``.
        what: What it names, for the error: "reader", "case".

    Raises:
        InputError: It is no name.
    """
    if not _NAME.fullmatch(text) or _DEVICES.fullmatch(text):
        raise InputError(
            f"{text!r} is no name for a {what}, needed 1 to 64 letters, digits, - and _ "
            f"(a pseudonym, never a patient's or a person's name): rename it"
        )
    return text

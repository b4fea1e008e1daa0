"""Which volume plays which role, guessed from the names that scanners and people give."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: First match wins: an ADC map is often called "DWI_ADC", a FLAIR "T2 FLAIR".
_PATTERNS = (
    ("adc", r"adc|apparent"),
    ("flair", r"flair|dark.?fluid"),
    ("tmax", r"tmax"),
    ("mtt", r"mtt"),
    ("cbf", r"cbf"),
    ("cbv", r"cbv"),
    ("dwi", r"dwi|diff|trace|b.?=?.?1000"),
    ("t1", r"(?<![a-z0-9])t1(?![0-9])|mprage"),
    ("t2", r"(?<![a-z0-9])t2(?![0-9])"),
    ("ct", r"(?<![a-z0-9])(nc)?ct(?![a-z])"),
)


def roleOfName(name: str) -> str | None:
    """The role that a volume's name speaks of, or None when it says nothing."""
    lower = name.lower()
    return next((role for role, pattern in _PATTERNS if re.search(pattern, lower)), None)


def chooseInputs(roles: Sequence[str], names: Sequence[str], active: int | None = None) -> dict[str, int]:
    """Guess an index into ``names`` for as many roles as possible.

    Args:
        roles: Roles to fill, the most important first.
        names: Names of the volumes in the scene; each is used at most once.
        active: Index of the volume that the user looks at: taken for the role its name speaks of, or for the first
            role when its name says nothing. One whose name speaks of a role that is not wanted is not taken.
    """
    spoken = [roleOfName(name) for name in names]
    chosen: dict[str, int] = {}
    if active is not None and spoken[active] in roles:
        chosen[str(spoken[active])] = active
    for role in roles:
        if role not in chosen and role in spoken:
            chosen[role] = spoken.index(role)
    if active is not None and spoken[active] is None and roles and roles[0] not in chosen:
        chosen[roles[0]] = active
    return chosen

"""How far a run is: the lines ``progress STAGE DONE TOTAL ETA_SECONDS`` of the command, as a fraction of the whole."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"^progress (\w+) (\d+) (\d+) (-|\d+(?:\.\d+)?)$")
#: Stages in the order of the work, and about how much of the time each takes.
STAGE_SHARES = {
    "read": 0.05,
    "load": 0.05,
    "prepare": 0.1,
    "network": 0.6,
    "restore": 0.05,
    "measure": 0.05,
    "write": 0.1,
}


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` steps of a stage, and the seconds that the stage still needs (None while unknown)."""

    stage: str
    done: int
    total: int
    remaining_s: float | None

    @property
    def fraction(self) -> float | None:
        """Part of the whole run, 0-1; None for a stage that is not known here."""
        if self.stage not in STAGE_SHARES:
            return None
        stages = list(STAGE_SHARES)
        before = sum(STAGE_SHARES[stage] for stage in stages[: stages.index(self.stage)])
        return min(1.0, before + STAGE_SHARES[self.stage] * self.done / max(1, self.total))


def parseProgress(line: str) -> Progress | None:
    """The progress that a line tells of, or None when it is another kind of line."""
    found = _LINE.match(line)
    if found is None:
        return None
    stage, done, total, remaining = found.groups()
    return Progress(stage, int(done), int(total), None if remaining == "-" else float(remaining))

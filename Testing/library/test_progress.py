"""Progress as programs read it: how long the rest takes, also for work that went on from an earlier run."""

from __future__ import annotations

import pytest

from StrokeSegLib import progress as module
from StrokeSegLib.callbacks import remaining_s
from StrokeSegLib.progress import shown_progress


def test_the_rest_takes_as_long_a_step_as_what_is_done() -> None:
    assert remaining_s(0.0, 0, 10) is None
    assert remaining_s(6.0, 3, 10) == 20.0
    assert remaining_s(6.0, 3, 0) == remaining_s(0.0, 0, 0) == 0.0


def test_what_an_earlier_run_did_does_not_make_this_one_look_quick(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([100.0, 110.0, 120.0, 130.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with shown_progress() as progress:
        for done in (1000, 1010, 1020, 1030):
            progress("train", done, 1030)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "progress train 1000 1030 -",
        "progress train 1010 1030 20.0",
        "progress train 1020 1030 10.0",
        "progress train 1030 1030 0.0",
    ]

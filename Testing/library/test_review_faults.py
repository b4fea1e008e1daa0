"""A study under fire: failing writes, kills, a full disk, torn files, two readers, a lost index. Nothing is mocked but
the operating system's own calls, and the kills are real.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from review_studies import LEFT, RIGHT, mask, small_study

import StrokeSegLib
from StrokeSegLib.errors import InputError
from StrokeSegLib.review import (
    Study,
    accept,
    add_comment,
    case_reading,
    check_study,
    correct,
    flag,
    open_case,
    open_study,
    read_segmentation,
    study_state,
)

resource = pytest.importorskip("resource")  # not on Windows
pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and limits")

FAILURES, KILLS = 500, 25
#: The calls through which bytes and names reach a disk.
CALLS = ("open", "write", "fsync", "link", "mkdir")
WRITER = Path(__file__).with_name("review_studies.py")
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
    "PYTHONPATH": str(Path(StrokeSegLib.__file__).parents[1]),
}


class Faults:
    """Makes the n-th writing call in a study's folder fail; counts them all."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.fail_at, self.count, self.failed = str(folder), 0, 0, ""
        self.code = errno.EIO
        self._mine: set[int] = set()  # handles of files in the study
        for name in CALLS:
            monkeypatch.setattr(os, name, self._call(name, getattr(os, name)))

    def _call(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            first = arguments[0]
            ours = first in self._mine if isinstance(first, int) else os.fspath(first).startswith(self.folder)
            if ours:
                self.count += 1
                if self.count == self.fail_at:
                    self.failed = name
                    raise OSError(self.code, os.strerror(self.code))
            result = real(*arguments, **more)
            if name == "open" and ours:
                self._mine.add(result)
            elif name == "open":
                self._mine.discard(result)  # the number of a closed file is used again
            return result

        return call

    def arm(self, at: int, code: int) -> None:
        """The call number ``at`` from now fails with ``code``."""
        self.fail_at, self.count, self.failed, self.code = at, 0, "", code

    def disarm(self) -> None:
        """All calls work again."""
        self.fail_at = 0


def test_after_500_failed_writes_every_acknowledged_event_is_there_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study(tmp_path)
    faults = Faults(study.folder / "readers", monkeypatch)
    acknowledged, messages = [], set()
    met: Counter[str] = Counter()  # failed calls by their name
    drawn = mask((LEFT, 3), (RIGHT, 1))

    def act(number: int) -> str:
        """One decision of one reader; a new reader now and then, whose folders have to be made."""
        reader, case_id = f"R{number // 40}", study.case_ids[number % 3]
        if number % 5 == 0:
            return correct(study, reader, case_id, drawn if number % 2 else mask((RIGHT, 2))).name
        if number % 5 == 1:
            return flag(study, reader, case_id, reason="motion").name
        return add_comment(study, reader, case_id, f"remark {number}").name

    number = step = 0
    while met.total() < FAILURES:
        step += 1  # every call of an action fails in turn, then the action is done
        faults.arm(step, (errno.EIO, errno.ENOSPC)[step % 2])
        try:
            acknowledged.append(act(number))
        except InputError as error:
            messages.add(str(error))
            met[faults.failed] += 1
        else:
            number, step = number + 1, 0
    faults.disarm()

    assert set(met) == set(CALLS), f"calls that failed: {met}"
    assert all(str(study.folder) in message for message in messages)
    (study.folder / "index.sqlite").unlink(missing_ok=True)
    found = [event.name for event in open_study(study.folder).events()]
    assert sorted(found) == sorted(acknowledged), "no event without its acknowledgment, none lost"
    assert check_study(open_study(study.folder)) == ()


class Writers:
    """Starts readers at work, each in a process of its own that can be killed (see review_studies.py)."""

    def __init__(self, study: Study) -> None:
        self._host = subprocess.Popen(
            [sys.executable, str(WRITER), str(study.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        self._process = 0

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, *_: object) -> None:
        self._host.kill()
        if self._process:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
        self._host.communicate()

    def start(self, reader: str) -> None:
        """Another reader begins."""
        assert self._host.stdin is not None
        self._host.stdin.write(f"{reader}\n")
        self._host.stdin.flush()
        self._heard: list[str] = []
        while not (numbers := [line for line in self._heard if line.isdigit()]):
            self._listen()
        self._process = int(numbers[0])

    def wait_for(self, count: int) -> None:
        """Until it has acknowledged that many decisions."""
        while len(self._heard) < count + 1:
            self._listen()

    def kill(self) -> list[list[str]]:
        """Kills it; returns all (kind, event, version) that it had acknowledged."""
        os.kill(self._process, signal.SIGKILL)
        while "ended" not in self._heard:
            self._listen()
        self._process = 0
        return [line.split() for line in self._heard if len(line.split()) == 3]

    def _listen(self) -> None:
        assert self._host.stdout is not None
        line = self._host.stdout.readline()
        assert line, "the writers' host is gone"
        self._heard.append(line.strip())


def assert_kept(study: Study, acknowledged: list[list[str]]) -> None:
    """Every acknowledged event is there, with its version, and every event there is has a whole version."""
    by_name = {event.name: event for event in study.events()}
    for kind, name, version in acknowledged:
        assert (by_name[name].kind, by_name[name].version) == (kind, version)
    for event in by_name.values():
        if event.version is not None:
            read_segmentation(study, event.case_id, event.version)


def test_25_kills_lose_no_acknowledged_decision_and_show_no_half_version(tmp_path: Path) -> None:
    study, rng = small_study(tmp_path), random.Random(7)
    acknowledged: list[list[str]] = []
    with Writers(study) as writers:
        for kill in range(KILLS):
            writers.start(f"R{kill % 2}")
            writers.wait_for(rng.randint(1, 3))
            time.sleep(rng.uniform(0.0, 0.03))  # a moment within the next decision
            acknowledged += writers.kill()
            assert_kept(open_study(study.folder), acknowledged[-4:])
    assert len(acknowledged) >= KILLS
    assert_kept(open_study(study.folder), acknowledged)
    found = check_study(open_study(study.folder))
    assert all(".tmp-" in finding.path for finding in found), found


def test_two_readers_at_once_never_touch_each_others_files(tmp_path: Path) -> None:
    study, seen = small_study(tmp_path), []
    with Writers(study) as one, Writers(study) as other:
        one.start("AB")
        other.start("CD")
        for writers in (one, other):
            writers.wait_for(10)
        for writers in (one, other):
            seen += writers.kill()
    assert_kept(study, seen)
    assert_kept(open_study(study.folder), seen)
    assert set(study_state(study)["case-001"]) == {"AB", "CD"}
    assert {event.reader for event in study.events()} == {"AB", "CD"}


def test_a_full_disk_is_said_in_one_line_and_leaves_what_was_there(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    kept = correct(study, "AB", "case-001", mask((LEFT, 2)))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails, rather than the process
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    try:
        with pytest.raises(InputError, match="disk full"):
            correct(study, "AB", "case-001", mask((LEFT, 3)))
        with pytest.raises(InputError, match="disk full"):
            accept(study, "AB", "case-001")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, previous)
    reading = case_reading(open_study(study.folder), "AB", "case-001")
    assert (reading.status, reading.version) == ("corrected", kept.version)
    assert check_study(open_study(study.folder)) == ()
    assert accept(study, "AB", "case-001").version == kept.version, "with room again, it goes on"


def test_torn_and_foreign_files_are_left_out_and_named_by_check(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    flag(study, "AB", "case-001", reason="motion")
    before = study_state(study)
    events = study.folder / "readers" / "AB" / "events"
    whole = next(events.iterdir()).read_bytes()
    torn = events / "20990101T000000000000Z-0123456789abcdef.json"
    torn.write_bytes(whole[: len(whole) // 2])
    (events / "notes.txt").write_text("call the ward")
    (events / ".tmp-0011223344556677.json").write_bytes(whole)
    (events.parent / "segmentations").mkdir()
    (events.parent / "segmentations" / f"{'0' * 64}.seg.nrrd").write_bytes(b"NRRD0004")
    (study.folder / "index.sqlite").unlink()

    again = open_study(study.folder)
    assert study_state(again) == before
    named = {finding.path.rpartition("/")[2]: finding.what for finding in check_study(again)}
    assert set(named) == {torn.name, "notes.txt", ".tmp-0011223344556677.json", f"{'0' * 64}.seg.nrrd"}
    assert "cut short" in named[torn.name]

    # A disk that was slow: once the file is whole, it counts. Its name is part of its content, so this one never will.
    torn.write_bytes(whole)
    assert study_state(again) == before
    assert flag(again, "AB", "case-002", reason="motion").name in {event.name for event in again.events()}


def test_the_index_may_be_deleted_damaged_or_locked(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    for case_id in study.case_ids:
        open_case(study, "AB", case_id)
    flag(study, "CD", "case-002", reason="unsure")
    expected = study_state(study)
    assert expected["case-002"]["CD"].status == "flagged"
    index = study.folder / "index.sqlite"
    assert study_state(open_study(study.folder)) == expected

    index.unlink()
    assert study_state(open_study(study.folder)) == expected
    with sqlite3.connect(index) as rows:
        assert rows.execute("SELECT count(*) FROM events").fetchone() == (4,), "it was built again"
        rows.execute("UPDATE events SET content = replace(content, 'flagged', 'accepted')")
    rows.close()
    assert study_state(open_study(study.folder)) == expected, "a row is believed only with its SHA-256"

    for damage in (b"", b"no database", index.read_bytes()[:5000] + b"\0" * 5000):
        index.write_bytes(damage)
        assert study_state(open_study(study.folder)) == expected
        assert study_state(open_study(study.folder)) == expected

    index.unlink()
    index.mkdir()  # nothing can be written there
    assert study_state(open_study(study.folder)) == expected

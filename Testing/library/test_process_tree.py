"""Processes that are ended with all that they started; PythonSlicer is a launcher in front of the interpreter."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from StrokeSegLib.worker.process_tree import ProcessTree

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that asks a process to end")

#: Says that it is there; asked to end, it works on for a moment and writes what it has.
INTERPRETER = """
import pathlib, signal, sys, time
def end(number, frame):
    time.sleep(0.5)
    pathlib.Path("checkpoint").write_text("whole")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path("ready").touch()
time.sleep(60)
"""
#: Knows no signals, as Slicer's launcher: the first one ends it.
LAUNCHER = "import subprocess, sys; subprocess.call([sys.executable, '-c', sys.argv[1]])"


@pytest.fixture
def launched(tmp_path: Path) -> ProcessTree:
    with (tmp_path / "said.txt").open("wb") as said:
        command = [sys.executable, "-c", LAUNCHER, INTERPRETER]
        tree = ProcessTree(command, tmp_path, os.environ, out=said.fileno(), err=said.fileno())
    until = time.monotonic() + 60
    while not (tmp_path / "ready").exists() and time.monotonic() < until:
        time.sleep(0.02)
    return tree


def test_an_interpreter_behind_a_launcher_may_clean_up(launched: ProcessTree, tmp_path: Path) -> None:
    started = time.monotonic()
    launched.kill(30.0)
    assert (tmp_path / "checkpoint").read_text() == "whole"
    assert time.monotonic() - started < 20  # not the whole grace: it was gone long before
    assert launched.exit_code() == -signal.SIGTERM


def test_it_is_gone_when_all_of_it_is(launched: ProcessTree, tmp_path: Path) -> None:
    assert not launched.gone
    launched.ask_to_end()
    assert launched.wait(30)  # the launcher
    assert not launched.gone
    until = time.monotonic() + 30
    while not launched.gone and time.monotonic() < until:
        time.sleep(0.02)
    assert launched.gone
    assert (tmp_path / "checkpoint").exists()
    launched.kill(0)


def test_without_grace_nothing_is_asked(launched: ProcessTree, tmp_path: Path) -> None:
    launched.kill(0)
    until = time.monotonic() + 30
    while not launched.gone and time.monotonic() < until:
        time.sleep(0.02)
    assert launched.gone
    assert not (tmp_path / "checkpoint").exists()

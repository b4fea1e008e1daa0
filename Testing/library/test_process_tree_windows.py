"""A process tree ends on every system; what Windows does is tried with its tool recorded, on any system."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types

import pytest

from StrokeSegLib.worker import process_tree
from StrokeSegLib.worker.process_tree import ProcessTree, kill_words

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def windows(monkeypatch):
    """The branches of Windows; its tool is recorded, and ends the process where it says so."""
    calls = []
    real = subprocess.Popen

    class Tool:
        """Stands for taskkill, which takes its time."""

        def __init__(self, words, **_):
            self.words, self.waited = words, False
            calls.append(self)

        def wait(self):
            self.waited = True
            os.kill(int(self.words[-1]), 9)

        def poll(self):
            return None

    def start(words, **choices):
        return Tool(words, **choices) if words[0] == "taskkill" else real(words, **choices)

    monkeypatch.setattr(process_tree, "sys", types.SimpleNamespace(platform="win32"))
    monkeypatch.setattr(process_tree.subprocess, "Popen", start)
    monkeypatch.setattr(process_tree, "_ending", [])
    return calls


def tree(tmp_path, command):
    with open(tmp_path / "out.txt", "wb") as file:
        return ProcessTree(command, tmp_path, os.environ, out=file.fileno(), err=file.fileno())


pytestmark = pytest.mark.skipif(os.name == "nt", reason="stands for Windows on other systems")


def test_windows_ends_the_tree_by_its_own_tool_without_asking():
    assert kill_words(42) == ["taskkill", "/T", "/F", "/PID", "42"]


def test_on_windows_kill_waits_for_the_tool_and_runs_it_once(tmp_path, windows):
    program = tree(tmp_path, SLEEP)
    program.kill()
    program.kill()
    assert [call.words for call in windows] == [kill_words(program.process_id)]
    assert windows[0].waited
    assert program.exit_code() is not None


def test_on_windows_kill_without_waiting_returns_while_the_program_still_runs_and_keeps_hold_of_it(tmp_path, windows):
    program = tree(tmp_path, SLEEP)
    started = time.perf_counter()
    program.kill(0, wait=False)
    assert time.perf_counter() - started < 0.05
    assert program.exit_code() is None
    assert not windows[0].waited
    assert program._process in process_tree._ending
    windows[0].wait()
    assert program.wait(10)


def test_on_windows_a_launcher_that_is_gone_is_not_killed_again_because_its_number_may_be_anothers(tmp_path, windows):
    program = tree(tmp_path, [sys.executable, "-c", ""])
    assert program.wait(60)
    program.kill()
    assert windows == []
    assert program.exit_code() == 0

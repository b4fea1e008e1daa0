"""Worker processes for tests: started, spoken to line by line, and waited for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, str(Path(__file__).with_name("worker_methods.py"))]
#: Longer than any machine needs, however busy.
PATIENCE_S = 60
LONG = {"steps": 10_000, "seconds": 0.02}

signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals and no ps")


def until(condition, what="it"):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.02)


def begun(worker, call):
    """Until a job has told its first step."""

    def told():
        worker.poll()
        assert not call.ended, call.result()
        return call.progress is not None

    until(told, "progress")


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.strip().startswith("Z")


class Spoken:
    """A worker that is spoken to line by line, as any program could."""

    def __init__(self, *words):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen([*COMMAND, *words], **pipes, start_new_session=True)

    def send(self, *lines):
        for line in lines:
            text = line if isinstance(line, bytes) else json.dumps(line).encode()
            self.process.stdin.write(text + b"\n")
        self.process.stdin.flush()

    def end(self):
        """Closes stdin; gives all messages and the exit code."""
        out, self.errors = self.process.communicate(timeout=PATIENCE_S)
        return [json.loads(line) for line in out.splitlines()], self.process.returncode


def request(method, id_=1, **params):
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}

"""A worker with methods that need no network, for tests: ``python worker_methods.py [--scratch DIR] [--idle S]``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from pathlib import Path

from StrokeSegLib.errors import InputError
from StrokeSegLib.result_folder import staged_results
from StrokeSegLib.worker.protocol import WRONG_PARAMETERS, ProtocolError
from StrokeSegLib.worker.serving import serve


def say(params):
    """Gives its parameters back, after everybody has tried to write to stdout and to read stdin."""

    def work(progress):
        print("print was here")
        subprocess.run([sys.executable, "-c", "print('a program was here')"], check=True)
        warnings.warn("a warning was here", stacklevel=1)
        return {"params": params, "stdin": sys.stdin.readline()}

    return work


def count(params):
    """Counts to ``steps``, one each ``seconds``."""
    if set(params) != {"steps", "seconds"}:
        raise ProtocolError(WRONG_PARAMETERS, "count needs steps and seconds")

    def work(progress):
        for done in range(params["steps"] + 1):
            progress("count", done, params["steps"])
            time.sleep(params["seconds"])
        return {"counted": params["steps"]}

    return work


def segment(params):
    """Writes results and never ends; says when it has begun. ``deaf`` ones do not listen to a cancel."""

    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def work(progress):
        with staged_results(Path(params["out"])) as folder:
            (folder / "lesion.nii.gz").write_bytes(b"half")
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **nowhere)
            progress("write", 0, child.pid)
            while True:
                time.sleep(0.02)
                if not params["deaf"]:
                    progress("write", 1, child.pid)

    return work


def fail(params):
    """Raises what it is told to."""
    errors = {"input": InputError("dwi is a CT; choose a DWI"), "memory": MemoryError(), "fault": KeyError("weights")}

    def work(progress):
        raise errors[params["how"]]

    return work


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--idle", type=float, default=60)
    arguments = parser.parse_args()
    methods = {"say": say, "count": count, "segment": segment, "fail": fail}
    serve(methods, idle_s=arguments.idle, scratch=arguments.scratch)

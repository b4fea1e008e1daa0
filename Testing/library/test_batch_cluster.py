"""A batch on a Dask cluster of two real workers, one of them killed half-way: every case is done once."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from head_phantoms import mri_cases

from StrokeSegLib.case_table import write_case_table
from StrokeSegLib.cli import DONE, WRONG_INPUT, main

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="dask.distributed (extra [cluster]) is not installed"
)
CASES = 8
QUIET = {**os.environ, "DASK_DISTRIBUTED__DASHBOARD__LINK": "", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (case,) = mri_cases(tmp_path / "images", [1])
    cases = [dataclasses.replace(case, case_id=f"case-{n}") for n in range(CASES)]
    write_case_table(cases, tmp_path / "cases.csv")
    return tmp_path / "cases.csv"


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """Address of a scheduler in a process of its own."""
    file = tmp_path / "scheduler.json"
    words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    process = dask(*words)
    try:
        for _ in range(3000):
            if file.exists() and (text := file.read_text()).strip().endswith("}"):
                break
            time.sleep(0.1)
        yield json.loads(text)["address"]
    finally:
        process.kill()
        process.wait()


def dask(*words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dask", *words]
    return subprocess.Popen(command, env=QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_every_case_is_done_once_though_a_worker_dies(table: Path, scheduler: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    place = ["--local-directory", str(tmp_path / "dask"), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    workers = [dask("worker", scheduler, *place) for _ in range(2)]
    words = ["batch", "--model", "mri", "--cases", str(table), "--out", str(out), "--scheduler", scheduler]
    command = [sys.executable, "-m", "StrokeSegLib", *words]
    batch = None
    try:
        wait_for_workers(scheduler, 2)
        batch = subprocess.Popen(command, env=QUIET, stderr=subprocess.PIPE, text=True)
        assert batch.stderr is not None
        told = []
        for line in batch.stderr:
            told.append(line)
            if line.startswith("progress cases 2 "):
                workers[0].send_signal(signal.SIGKILL)
                workers[0].wait()
        assert batch.wait(600) == DONE, "".join(told)
    finally:
        for process in [*workers, *([batch] if batch else [])]:
            process.kill()
            process.communicate()
    with (out / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [f"case-{n}" for n in range(CASES)]
    assert [(row["case_id"], row["status"]) for row in rows] == [(name, "done") for name in names]
    assert len({row["ischemic_lesion_ml"] for row in rows}) == 1  # they are one scan
    assert sorted(os.listdir(out)) == sorted([*names, "summary.csv"])  # no half folder
    assert sum(line.startswith("progress cases") for line in told) == CASES + 1


def wait_for_workers(address: str, count: int) -> None:
    from distributed import Client

    with Client(address, timeout=300) as client:
        client.wait_for_workers(count, timeout=300)


def test_no_scheduler_there_is_said_before_anything_is_written(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from StrokeSegLib.batch import cluster

    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    words = ["batch", "--model", "mri", "--cases", str(table), "--out", str(tmp_path / "out")]
    assert main([*words, "--scheduler", "tcp://127.0.0.1:1"]) == WRONG_INPUT
    assert "tcp://127.0.0.1:1" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()

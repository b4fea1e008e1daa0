"""Runs that are killed, stopped or divided over processes, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from head_phantoms import ct_cases
from training_phantoms import tiny_cases, tiny_preset

from StrokeSegLib.case_table import Case, write_case_table
from StrokeSegLib.training.checkpoint import CHECKPOINT, read_checkpoint
from StrokeSegLib.training.logs import read_log
from StrokeSegLib.training.loop import train

CHILD = Path(__file__).with_name("training_phantoms.py")
RUN = ("ct-perfusion", "bundled", "steps=12", "ema=0.9", "warmup_steps=2")


def child(run: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(run), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def finish(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors


def signal_after(process: subprocess.Popen[str], step: int, number: signal.Signals) -> None:
    """Sends a signal as soon as the child says that this step is done."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(f"train {step} "):
            process.send_signal(number)
            break
    process.communicate(timeout=60)


def train_here(
    run: Path, system: str, name: str, *words: str, resume: bool = False, cases: Sequence[Case] = ()
) -> dict[str, Any]:
    """Trains in this process, as a child would; the checkpoint."""
    torch.set_num_threads(1)
    train(tiny_preset(system, name, *words), cases or tiny_cases(system, name), run, resume=resume, device="cpu")
    return read_checkpoint(run / "network" / CHECKPOINT)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The checkpoint of a run that nothing disturbed."""
    return train_here(tmp_path_factory.mktemp("whole") / "run", *RUN)


def assert_same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert found["step"] == wanted["step"]
    for part in ("net", "average"):
        for name, value in wanted[part].items():
            assert torch.equal(found[part][name], value), name


def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path: Path, whole: dict[str, Any]) -> None:
    """With dropout, augmentation, moments and averaged weights: bit by bit."""
    run = tmp_path / "run"
    signal_after(child(run, *RUN), 5, signal.SIGKILL)
    assert 4 <= read_checkpoint(run / "network" / CHECKPOINT)["step"] < 12
    assert_same(train_here(run, *RUN, resume=True), whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_and_leaves_a_checkpoint(
    number: signal.Signals, tmp_path: Path, whole: dict[str, Any]
) -> None:
    """Sent when the third step is told; the step that is under way then is done and kept."""
    run = tmp_path / "run"
    process = child(run, *RUN)
    signal_after(process, 3, number)
    assert process.returncode != 0
    assert 3 < read_checkpoint(run / "network" / CHECKPOINT)["step"] < 12
    assert_same(train_here(run, *RUN, resume=True), whole)


def test_two_processes_find_the_weights_of_one_with_twice_the_batch(tmp_path: Path) -> None:
    """Instance normalization, no dropout, a loss that is a mean over samples: only rounding may differ.

    The first process validates, the other waits.
    """
    cases = [replace(case, split="val" if n else "train") for n, case in enumerate(ct_cases(tmp_path, [1, 1]))]
    write_case_table(cases, tmp_path / "cases.csv")
    words = ("noncontrast-ct", "paper", "batch_size=4", "learning_rate=0.01", "steps=4", "validate_every=2")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    table = f"table:{tmp_path / 'cases.csv'}"
    pair = [child(tmp_path / "two", *words, table, **group, RANK=n, LOCAL_RANK=n) for n in "01"]
    finish(*pair)
    two = read_checkpoint(tmp_path / "two" / "network" / CHECKPOINT)["net"]
    one = train_here(tmp_path / "one", *words, cases=cases)["net"]
    half = train_here(tmp_path / "half", *words, "batch_size=2", cases=cases)["net"]
    for name, value in one.items():
        assert torch.allclose(two[name], value, atol=1e-4, rtol=0), name
    # The test can fail: half of the batch, which one of the two saw, leads elsewhere.
    assert max(float((half[name] - value).abs().max()) for name, value in one.items()) > 1e-2
    assert json.loads((tmp_path / "two" / "run.json").read_text())["settings"]["batch_size"] == 4
    found, wanted = (read_log(tmp_path / run) for run in ("two", "one"))
    assert [row["step"] for row in found if row["validation_iou"]] == ["2", "4"]
    for a, b in zip(found, wanted, strict=True):
        assert float(a["validation_iou"]) == pytest.approx(float(b["validation_iou"]), abs=0.01)

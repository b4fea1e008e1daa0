"""A batch does what single runs do, keeps what is done whatever happens to the rest, and says how it went."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from head_phantoms import mri_cases

from StrokeSegLib.batch import case as batch_case
from StrokeSegLib.batch.case import CaseJob, SharedEngine, run_case
from StrokeSegLib.batch.local import IN_FLIGHT, run_here
from StrokeSegLib.batch.summary import row_of_result
from StrokeSegLib.case_table import write_case_table
from StrokeSegLib.cli import DONE, WRONG_INPUT, main
from StrokeSegLib.cli.batch import SOME_FAILED
from StrokeSegLib.inference.backends import Choice
from StrokeSegLib.io import read_image
from StrokeSegLib.models import find_model
from StrokeSegLib.segmentation import segment


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two cases with lesions."""
    (images := tmp_path / "images").mkdir()
    write_case_table(mri_cases(images, [1, 1]), tmp_path / "cases.csv")
    return tmp_path / "cases.csv"


def batch(table: Path, out: Path, *more: str) -> int:
    return main(["batch", "--model", "mri", "--cases", str(table), "--out", str(out), "--device", "cpu", *more])


def summary(out: Path) -> list[dict[str, str]]:
    with (out / "summary.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def times(out: Path) -> dict[str, int]:
    return {p.parent.name: p.stat().st_mtime_ns for p in out.glob("*/measurements.json")}


def break_image(image: Path) -> bytes:
    """Leaves the header readable and cuts the voxels, as a copy that was stopped does."""
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    return whole


def job(table: Path, out: Path, number: int = 0) -> CaseJob:
    inputs = {role: str(table.parent / "images" / f"{role}-{number}.nii.gz") for role in ("dwi", "adc")}
    sha256 = find_model("mri").sha256
    return CaseJob(f"case-{number}", inputs, str(out / f"case-{number}"), "mri", sha256, "cpu", "auto")


def test_each_case_is_as_segment_makes_it_and_a_row_of_the_summary(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert batch(table, out) == DONE
    rows = summary(out)
    assert list(rows[0]) == ["case_id", "status", "ischemic_lesion_ml", "seconds", "error"]
    assert [(row["case_id"], row["status"], row["error"]) for row in rows] == [
        (f"case-{n}", "done", "") for n in range(2)
    ]
    for n, row in enumerate(rows):
        single = segment(job(table, out, n).inputs, "mri", device="cpu")
        folder = out / row["case_id"]
        assert np.array_equal(read_image(folder / "lesion.nii.gz").volume.array, single.labels.array)
        measured = json.loads((folder / "measurements.json").read_text())
        assert measured["total_volume_ml"] == single.measurements["total_volume_ml"] > 0
        assert float(row["ischemic_lesion_ml"]) == measured["labels"][0]["volume_ml"]
        assert float(row["seconds"]) == pytest.approx(sum(measured["seconds"].values()), abs=0.01)
    told = [line.split()[2:4] for line in capsys.readouterr().err.splitlines() if line.startswith("progress cases")]
    assert told == [["0", "2"], ["1", "2"], ["2", "2"]]


def test_a_failing_case_is_a_row_and_resume_does_it_alone(table: Path, tmp_path: Path) -> None:
    image = table.parent / "images" / "dwi-1.nii.gz"
    whole = break_image(image)
    out = tmp_path / "out"
    assert batch(table, out) == SOME_FAILED
    rows = summary(out)
    assert [row["status"] for row in rows] == ["done", "failed"]
    assert "dwi-1.nii.gz" in rows[1]["error"]
    assert "\n" not in rows[1]["error"]
    assert rows[1]["ischemic_lesion_ml"] == rows[1]["seconds"] == ""
    assert sorted(os.listdir(out)) == ["case-0", "summary.csv"]
    image.write_bytes(whole)
    before = times(out)
    assert batch(table, out, "--resume") == DONE
    assert [row["status"] for row in summary(out)] == ["done"] * 2
    assert {name: stamp for name, stamp in times(out).items() if name in before} == before
    assert summary(out)[0] == rows[0]


def test_a_bad_table_is_refused_before_anything_is_written(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (table.parent / "images" / "adc-1.nii.gz").unlink()
    assert batch(table, tmp_path / "out") == WRONG_INPUT
    error = capsys.readouterr().err.splitlines()[-1]
    assert "case-1" in error
    assert "adc-1.nii.gz" in error
    assert not (tmp_path / "out").exists()


def test_results_are_lost_only_when_asked_for(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert batch(table, out) == DONE
    before = times(out)
    assert batch(table, out) == WRONG_INPUT
    assert "--resume" in capsys.readouterr().err
    assert batch(table, out, "--resume", "--force") == WRONG_INPUT
    (out / "summary.csv").unlink()
    assert batch(table, out) == WRONG_INPUT  # the cases' own folders are looked at too
    file = out / "case-1" / "measurements.json"
    ours = file.read_text()
    file.write_text(json.dumps({**json.loads(ours), "sha256": "0" * 64}))
    assert batch(table, out, "--resume") == WRONG_INPUT  # results of other weights are not taken for done
    assert "case-1" in capsys.readouterr().err
    file.write_text(ours)
    assert times(out)["case-0"] == before["case-0"]
    (out / "case-1" / "notes.txt").write_text("the reader's own")
    assert batch(table, out, "--force") == DONE
    assert all(stamp > before[name] for name, stamp in times(out).items())
    assert (out / "case-1" / "notes.txt").read_text() == "the reader's own"


@pytest.mark.skipif(os.name == "nt", reason="another way of stopping there")
def test_ctrl_c_leaves_finished_cases_and_a_valid_summary(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    cases = mri_cases(tmp_path / "images", [1])
    table, out = tmp_path / "cases.csv", tmp_path / "out"
    write_case_table([dataclasses.replace(cases[0], case_id=f"case-{n}") for n in range(60)], table)
    words = ["batch", "--model", "mri", "--cases", str(table), "--out", str(out), "--device", "cpu"]
    process = subprocess.Popen([sys.executable, "-m", "StrokeSegLib", *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("progress cases 2 "):
            process.send_signal(signal.SIGINT)
            break
    rest = process.communicate(timeout=600)[1]
    assert process.returncode == 130
    rows = summary(out)
    done = [row["case_id"] for row in rows if row["status"] == "done"]
    assert len(rows) == 60
    assert 2 <= len(done) < 60
    assert {row["status"] for row in rows} == {"done", "waiting"}
    assert sorted(os.listdir(out)) == sorted([*done, "summary.csv"])  # no half folder
    assert f"{len(done)} of 60 cases are done" in rest
    assert all(row_of_result(name, out / name) is not None for name in done)


def test_no_more_cases_are_at_work_than_allowed_and_batches_take_turns(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, at_work, most = threading.Lock(), 0, 0

    def counted(*args: Any, **more: Any) -> Any:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        try:
            return segment(*args, **more)
        finally:
            with lock:
                at_work -= 1

    monkeypatch.setattr(batch_case, "segment", counted)
    jobs = [dataclasses.replace(job(table, tmp_path), out=str(tmp_path / f"out-{n}")) for n in range(3)]
    assert {row.status for row in run_here(jobs, 2)} == {"done"}
    assert most == 2
    assert 2 <= IN_FLIGHT <= 4


def test_a_shared_network_runs_one_batch_at_a_time() -> None:
    class Slow:
        name, device, busy, most = "slow", "cpu", 0, 0

        def run(self, batch: Any) -> Any:
            self.busy += 1
            self.most = max(self.most, self.busy)
            time.sleep(0.02)
            self.busy -= 1
            return batch

    engine, card = SharedEngine(), find_model("mri")
    (shared,) = engine.backends(card, Choice("openvino", "cpu")).values()
    (again,) = engine.backends(card, Choice("openvino", "cpu")).values()
    assert shared._backend is again._backend  # type: ignore[attr-defined]  # loaded once
    assert (shared.name, shared.device) == ("openvino", "cpu")
    slow = Slow()
    both = [batch_case._TakingTurns(slow, engine._turn) for _ in range(2)]
    threads = [threading.Thread(target=one.run, args=(np.zeros(1, np.float32),)) for one in both * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert slow.most == 1


def test_a_fault_of_ours_is_one_line_too(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **more: Any) -> Any:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(batch_case, "segment", broken)
    row = run_case(job(table, tmp_path), SharedEngine(), lambda *_: None)
    assert (row.status, row.error) == ("failed", "a fault of StrokeSeg, RuntimeError: two lines")


def test_a_model_folder_and_its_path_relative_to_here_will_do(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(find_model("mri").folder, tmp_path / "mine")
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:2]))
    monkeypatch.chdir(tmp_path)
    words = ["batch", "--model", "mine", "--cases", "cases.csv", "--out", "out", "--device", "cpu"]
    assert main(words) == DONE
    assert [row["status"] for row in summary(tmp_path / "out")] == ["done"]

"""Each system's paper preset from a case table to a mask: trained, stopped and resumed, exported, segmented.

The networks are narrow and the heads coarse: that all parts fit is what is shown here, not what is learned.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from head_phantoms import ct_cases, ctp_cases, mri_cases

from StrokeSegLib.case_table import Case, write_case_table
from StrokeSegLib.io import read_image
from StrokeSegLib.models import load_card
from StrokeSegLib.segmentation import segment
from StrokeSegLib.training.checkpoint import CHECKPOINT, read_checkpoint
from StrokeSegLib.training.export import export_run
from StrokeSegLib.training.loop import train
from StrokeSegLib.training.presets import find_preset, with_settings

pytestmark = pytest.mark.slow

STOPPED, STEPS = 12, 20
#: For planes that are cut at 1 mm.
SMALL_HEAD_MM = (3.0, 3.0, 3.0)
#: System -> what makes its paper preset small.
TINY = {
    "ct-perfusion": ["batch_size=2", "width=0.25", "patch=16,32,32"],
    "mri": ["batch_size=2", "width=0.0625", "crop=64"],
    "noncontrast-ct": ["batch_size=2", "width=0.125", "patch=16,16,16"],
    "three-projection": [
        *("batch_size=2", "width=0.0625", "slice_pixels=96", "plane_pixels=32"),
        *("axial_members=1", "coronal_members=1", "sagittal_members=1"),
    ],
}
NETWORKS = {
    "ct-perfusion": ["network"],
    "mri": ["flair"],
    "noncontrast-ct": ["network"],
    "three-projection": ["axial-1", "coronal-1", "sagittal-1"],
}


def cases_of(system: str, folder: Path) -> list[Case]:
    if system == "ct-perfusion":
        return ctp_cases(folder, [1, 3])
    if system == "mri":
        return mri_cases(folder, [1, 1])
    if system == "noncontrast-ct":
        return ct_cases(folder, [1, 1])
    return ct_cases(folder, [1, 2], SMALL_HEAD_MM)


def shell(*words: str | Path, module: tuple[str, ...] = ()) -> None:
    """``python -m [MODULE ... -m] StrokeSegLib WORD ...`` as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, *module, "-m", "StrokeSegLib", *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, errors = process.communicate(timeout=300)
    finally:
        process.terminate()  # torchrun ends its own processes then
    assert process.returncode == 0, errors[-3000:]


def assert_trained(run: Path, networks: list[str], steps: int) -> None:
    """Every network of the run took the steps, and the log says so."""
    assert [read_checkpoint(run / name / CHECKPOINT)["step"] for name in networks] == [steps] * len(networks)
    with (run / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["network"] for row in rows} == set(networks)
    assert {name: max(int(r["step"]) for r in rows if r["network"] == name) for name in networks} == (
        dict.fromkeys(networks, steps)
    )
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["data"]["cases"] == 2


@pytest.mark.parametrize(
    ("system", "first"),
    [
        ("noncontrast-ct", ()),
        # Two processes begin, one goes on: the same batches, divided or not.
        ("ct-perfusion", ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")),
    ],
)
def test_from_a_table_to_a_mask_in_the_shell(system: str, first: tuple[str, ...], tmp_path: Path) -> None:
    cases = cases_of(system, tmp_path)
    table, run, model, out = (tmp_path / name for name in ("cases.csv", "run", "model", "out"))
    write_case_table(cases, table)
    settings = [part for word in TINY[system] for part in ("--set", word)]
    words = ["train", "--system", system, "--preset", "paper", "--data", table, "--out", run, *settings]
    shell(*words, "--set", f"steps={STOPPED}", "--device", "cpu", module=first)
    assert_trained(run, NETWORKS[system], STOPPED)
    shell(*words, "--set", f"steps={STEPS}", "--device", "cpu", "--resume")
    assert_trained(run, NETWORKS[system], STEPS)

    calibrate = ["--calibrate", table] if system == "noncontrast-ct" else []
    shell("export", "--model", run, "--format", "model", "--out", model, *calibrate)
    assert ("On 2 cases that also chose" in (model / "README.md").read_text(encoding="utf-8")) == bool(calibrate)
    inputs = [f"{role}={path}" for role, path in cases[0].images.items()]
    shell("segment", "--model", model, "--device", "cpu", "--out", out, *inputs)
    mask = read_image(out / "lesion.nii.gz").volume
    assert mask.same_grid(read_image(next(iter(cases[0].images.values()))).volume)
    assert set(np.unique(mask.array)) <= {0, *(label.value for label in load_card(model).labels)}
    assert json.loads((out / "measurements.json").read_text(encoding="utf-8"))["model"] == "model"


class StoppedError(Exception):
    """Somebody pressed the button."""


@pytest.mark.parametrize("system", ["mri", "three-projection"])
def test_from_a_table_to_a_mask_in_python(system: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    cases = cases_of(system, tmp_path)
    preset = with_settings(find_preset(system, "paper"), [*TINY[system], f"steps={STEPS}"])

    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("train", STOPPED):
            raise StoppedError

    with pytest.raises(StoppedError):
        train(preset, cases, tmp_path / "run", device="cpu", progress=stop)
    assert read_checkpoint(tmp_path / "run" / NETWORKS[system][0] / CHECKPOINT)["step"] == STOPPED
    run = train(preset, cases, tmp_path / "run", resume=True, device="cpu")
    assert_trained(run, NETWORKS[system], STEPS)

    card = export_run(run, tmp_path / "model")
    assert [network.name for network in card.networks] == NETWORKS[system]
    images = {item.role: cases[0].images[item.role] for item in card.inputs}
    result = segment(images, str(card.folder), "cpu")
    assert result.labels.same_grid(read_image(next(iter(images.values()))).volume)
    assert set(result.probability) == {label.value for label in card.labels}
    assert all(np.isfinite(p.array).all() and p.array.max() > 0 for p in result.probability.values())


@pytest.mark.parametrize(
    ("system", "further", "networks"),
    [
        ("mri", [], ["flair"]),
        # All three planes are trained above; the shell passes the same words on.
        ("three-projection", ["coronal_members=0", "sagittal_members=0"], ["axial-1"]),
    ],
)
def test_the_others_train_in_the_shell_too(
    system: str, further: list[str], networks: list[str], tmp_path: Path
) -> None:
    write_case_table(cases_of(system, tmp_path), tmp_path / "cases.csv")
    settings = [part for word in (*TINY[system], *further, f"steps={STEPS}") for part in ("--set", word)]
    words = ["train", "--system", system, "--preset", "paper", "--data", tmp_path / "cases.csv", "--device", "cpu"]
    shell(*words, "--out", tmp_path / "run", *settings)
    assert_trained(tmp_path / "run", networks, STEPS)


@pytest.mark.parametrize("system", ["noncontrast-ct", "ct-perfusion"])
def test_the_others_train_in_python_too(system: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    preset = with_settings(find_preset(system, "paper"), [*TINY[system], f"steps={STEPS}"])
    run = train(preset, cases_of(system, tmp_path), tmp_path / "run", device="cpu")
    assert_trained(run, NETWORKS[system], STEPS)

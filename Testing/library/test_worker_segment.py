"""The real worker with the bundled model on a small generated head: the same as the library's, and warm."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from StrokeSegLib import segment
from StrokeSegLib.demo import CALM, MODEL
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.io.handover import written_in_steps
from StrokeSegLib.models import find_model
from StrokeSegLib.resources import models_folder
from StrokeSegLib.synth.diffusion import make_case
from StrokeSegLib.synth.procedural import procedural_head
from StrokeSegLib.worker.client import JobCancelledError, Worker, WorkerError

pytestmark = pytest.mark.skipif(
    not (models_folder() / MODEL / "model.json").is_file(), reason="the bundled model mri is not in this checkout"
)
#: A path of more than 260 characters, with a space and letters of several alphabets.
LONG_NAME = Path("a patient's folder", "Köln é 脳", *(f"{n} " + "x" * 60 for n in range(5)))


@pytest.fixture(scope="module")
def head():
    """DWI and ADC of a generated head, coarse: 3 x 3 x 9 mm."""
    rng = np.random.default_rng(43)
    calm = replace(CALM, warp_mm=(0.0, 0.0))
    return make_case(rng, procedural_head(rng), ranges=calm, healthy=False, spacing_mm=(3.0, 3.0, 9.0)).images


@pytest.fixture(scope="module")
def inputs(head, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs") / (LONG_NAME if os.name != "nt" else "Köln é 脳")
    folder.mkdir(parents=True)
    for role, volume in head.items():
        for _ in written_in_steps(volume, folder / f"{role}.mha"):
            pass
    return {role: str(folder / f"{role}.mha") for role in head}


@pytest.fixture(scope="module")
def worker():
    made = Worker([sys.executable, "-m", "StrokeSegLib", "worker"], {**os.environ, "OMP_NUM_THREADS": "1"})
    yield made
    made.close()


@pytest.fixture(scope="module")
def first(worker, inputs):
    """The cold run's answer; its results lie beside its inputs."""
    out = Path(inputs["dwi"]).parent / "result"
    return worker.wait(worker.ask("segment", {"model": MODEL, "inputs": inputs, "out": str(out), "device": "cpu"}))


def test_the_worker_finds_bit_for_bit_what_the_library_finds_also_under_a_long_path(first, head):
    plain = segment(head, MODEL, "cpu")
    out = Path(first["out"])
    assert os.name == "nt" or len(first["out"]) > 260
    np.testing.assert_array_equal(read_image(out / "lesion.nii.gz").volume.array, plain.labels.array)
    probability = plain.probability[1].array.round(3)
    np.testing.assert_array_equal(read_image(out / "probability.nii.gz").volume.array, probability)
    for key in ("labels", "lesions", "total_volume_ml", "sha256", "thresholds"):
        assert first["measurements"][key] == plain.measurements[key]
    assert json.loads((out / "measurements.json").read_text(encoding="utf-8")) == first["measurements"]
    assert plain.labels.array.any()


def test_the_second_run_of_a_warm_worker_skips_import_and_load_and_two_at_once_are_both_answered(
    first, worker, inputs, tmp_path
):
    assert first["seconds"]["import"] > 0
    assert first["seconds"]["load"] > 0
    process = worker.child.process_id
    outs = [tmp_path / "one", tmp_path / "two"]
    params = {"model": MODEL, "inputs": inputs, "device": "cpu"}
    calls = [worker.ask("segment", {**params, "out": str(out)}) for out in outs]
    told = []
    for call, out in zip(calls, outs, strict=True):
        answer = worker.wait(call, lambda *step: told.append(step))
        assert answer["seconds"]["import"] == 0.0
        assert answer["seconds"]["load"] == pytest.approx(0, abs=0.05)  # finds the warm model, on a busy machine too
        assert (out / "lesion.nii.gz").read_bytes() == (Path(first["out"]) / "lesion.nii.gz").read_bytes()
    assert worker.child.process_id == process
    assert {stage for stage, _, _ in told} >= {"network", "write"}
    assert worker.wait(worker.ask("status", {}))["models"] == [MODEL]


def test_a_run_that_is_cancelled_in_its_network_leaves_nothing_and_the_model_stays_warm(
    first, worker, inputs, tmp_path
):
    def stop(stage, done, total):
        if stage == "network":
            raise InterruptedError

    params = {"model": MODEL, "inputs": inputs, "out": str(tmp_path / "out"), "device": "cpu"}
    call = worker.ask("segment", params)
    with pytest.raises(InterruptedError):
        worker.wait(call, stop)
    with pytest.raises(JobCancelledError):
        call.result()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "no-such-model"}, "unknown model 'no-such-model'"),
        ({"inputs": {"dwi": "nowhere.mha"}}, "needs adc, got dwi"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"threshold": 2}, "threshold must lie between 0 and 1"),
    ],
)
def test_wrong_input_is_the_librarys_one_line_and_nothing_is_written(worker, inputs, tmp_path, change, message):
    params = {"model": MODEL, "inputs": inputs, "out": str(tmp_path / "out"), **change}
    with pytest.raises(InputError, match=message):
        worker.wait(worker.ask("segment", params))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("segment", {"model": MODEL, "inputs": {"dwi": 1}}, "missing: out; of a wrong type: inputs"),
        ("segment", {"model": MODEL, "inputs": {"dwi": "a"}, "out": "b", "colour": 1}, "unknown: colour"),
        ("train", {"system": "mri", "data": "synth", "out": "x", "set": "steps=3"}, "of a wrong type: set"),
    ],
)
def test_wrong_parameters_are_named(worker, method, params, message):
    with pytest.raises(WorkerError, match=message):
        worker.wait(worker.ask(method, params))


def test_a_result_folder_that_holds_results_is_not_touched_unless_forced(first, worker, inputs):
    params = {"model": MODEL, "inputs": inputs, "out": first["out"], "device": "cpu"}
    before = (Path(first["out"]) / "measurements.json").read_bytes()
    with pytest.raises(InputError, match="already holds results"):
        worker.wait(worker.ask("segment", params))
    assert (Path(first["out"]) / "measurements.json").read_bytes() == before


def test_a_training_with_wrong_words_is_refused_before_torch_is_loaded(worker, tmp_path):
    params = {"system": "mri", "preset": "best", "data": "synth", "out": str(tmp_path / "run")}
    with pytest.raises(InputError, match="unknown preset 'best'"):
        worker.wait(worker.ask("train", params))
    assert list(tmp_path.iterdir()) == []


def test_the_model_of_these_tests_is_the_bundled_one():
    assert find_model(MODEL).folder.parent == models_folder()

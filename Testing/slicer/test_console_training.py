"""Training from the console: the real command on two generated cases, two steps of a tiny network."""

from __future__ import annotations

import csv
import importlib.util
import os
import tempfile
import time

import numpy as np
import pytest
from StrokeSegApp.logic import RunError

import StrokeSeg
from StrokeSegLib.errors import InputError

if any(importlib.util.find_spec(package) is None for package in ("torch", "monai")):
    pytest.skip("training needs torch and monai", allow_module_level=True)

SYSTEM = "ct-perfusion"
TINY = {"width": 0.125, "patch": (16, 32, 32), "batch_size": 1}
#: Steps that no test waits for.
MANY = 100_000

signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals: a training that is ended saves nothing")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A case table of two generated cases."""
    from StrokeSegLib.case_table import Case, write_case_table
    from StrokeSegLib.io import write_image
    from StrokeSegLib.synth.ctp import make_ctp_case
    from StrokeSegLib.synth.procedural import procedural_head

    folder = tmp_path_factory.mktemp("cases")
    head = procedural_head(np.random.default_rng(0))
    cases = []
    for name in ("a", "b"):
        made = make_ctp_case(np.random.default_rng(1), head, healthy=False)
        images = {role: folder / f"{name}-{role}.nii.gz" for role in made.images}
        for role, path in images.items():
            write_image(made.images[role], path)
        write_image(made.truth, folder / f"{name}-lesion.nii.gz")
        cases.append(Case(name, name, images, folder / f"{name}-lesion.nii.gz", "train"))
    write_case_table(cases, folder / "cases.csv")
    return folder / "cases.csv"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch, scene):
    """Temporary files come here, where a test can see whether any is left; the child has one thread."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "temporary"


def ended(process):
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    return True


def test_a_training_gives_a_run_folder_with_a_checkpoint_and_tells_its_steps(table, tmp_path, temporary):
    said = []
    out = StrokeSeg.StrokeSegLogic().train(
        SYSTEM, table, tmp_path / "run", lambda *now: said.append(now), settings={**TINY, "steps": 2}
    )
    assert out == tmp_path / "run"
    assert (out / "network" / "checkpoint.pt").is_file()
    with open(out / "log.csv", newline="", encoding="utf-8") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["2"]
    assert said[-1] == ("train", 2, 2)
    assert list(temporary.iterdir()) == []


@signals
def test_a_cancelled_training_leaves_no_process_and_goes_on_where_it_stopped(table, tmp_path, temporary):
    logic = StrokeSeg.StrokeSegLogic()
    run = logic.startTraining(SYSTEM, table, tmp_path / "run", settings={**TINY, "steps": MANY})
    until = time.monotonic() + 120
    while run.progress is None or run.progress.stage != "train":
        if run.poll():
            pytest.fail(f"the training ended by itself: {run.finish()}")  # or what finish raises says why
        assert time.monotonic() < until, "\n".join(run._lines)
        time.sleep(0.02)
    seen = run.progress.done
    run.cancel()
    assert ended(run._child.process_id)
    assert list(temporary.iterdir()) == []

    class EnoughError(Exception):
        pass

    went_on = []

    def look(stage, done, total):
        if stage == "train":
            went_on.append(done)
            raise EnoughError

    with pytest.raises(EnoughError):
        logic.train(SYSTEM, table, tmp_path / "run", look, settings={**TINY, "steps": MANY}, resume=True)
    assert went_on[0] > seen
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"settings": {"stepps": 3}}, r"^the bundled preset of ct-perfusion has no key 'stepps'; known: .*steps"),
        ({"preset": "best"}, r"^unknown preset 'best' of system ct-perfusion; known: "),
    ],
)
def test_a_wrong_wish_is_refused_in_one_line_and_nothing_is_written(table, tmp_path, temporary, choices, message):
    with pytest.raises(InputError, match=message) as caught:
        StrokeSeg.StrokeSegLogic().train(SYSTEM, table, tmp_path / "run", **choices)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    assert list(temporary.iterdir()) == []


@signals
def test_a_training_that_is_killed_is_an_error(table, tmp_path, temporary):
    run = StrokeSeg.StrokeSegLogic().startTraining(SYSTEM, table, tmp_path / "run", settings=TINY)
    os.kill(run._child.process_id, 9)
    until = time.monotonic() + 20
    while not run.poll():
        assert time.monotonic() < until
        time.sleep(0.02)
    with pytest.raises(RunError, match=r"^The training stopped: exit code -9\. The system ended it, .*\.$"):
        run.finish()
    assert list(temporary.iterdir()) == []

"""Folders with spaces, accents, other scripts, quotes and 300 characters: everything that we write goes there too."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time

import numpy as np
import pytest
import slicer
from slicer_phantoms import addHead
from stand_in_cards import STAND_IN_COMMAND, card
from StrokeSegApp import batching, dependencies, model_store, preflight
from StrokeSegApp.batching import BatchRun
from StrokeSegApp.child_process import ChildProcess
from StrokeSegApp.logic import SegmentationRun
from StrokeSegApp.preflight import State
from test_batching import COMMAND, ended, image

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.models import find_model
from StrokeSegLib.resources import models_folder

NAMES = {
    "spaces": "Jane's scans (2026), 50 % #1 & more",
    "accents": "Réseau Köln Łódź ñ",
    "scripts": "脳卒中 инсульт إقفاري",
    "300 characters": "/".join(["a rather long name of a folder " + "x" * 40] * 5),
}


@pytest.fixture(params=NAMES.values(), ids=NAMES)
def difficult(request, tmp_path):
    """A folder with such a name."""
    folder = tmp_path / request.param
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"this system has no such folder: {error}")
    if "xxx" in request.param:
        assert len(str(folder)) > 300
    return folder


def test_a_segmentation_whose_temporary_files_lie_there_gives_its_result_and_leaves_nothing(
    scene, difficult, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(difficult))
    head = addHead("Tête de Zoë")
    run = SegmentationRun({"dwi": head, "adc": addHead("ADC")}, card("bright"), STAND_IN_COMMAND)
    ended(run, 60)
    segmentation, _measurements = run.finish()
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(
        segmentation, segmentation.GetSegmentation().GetNthSegmentID(0), head
    )
    assert np.count_nonzero(mask) == 31  # both blocks of the head
    assert list(difficult.iterdir()) == []


def test_a_batch_from_there_to_there_has_its_rows(difficult):
    case = Case("Fall 1 ü", "p", {role: image(difficult / "in" / f"{role} 1.nii.gz") for role in ("dwi", "adc")})
    run = ended(BatchRun([case], find_model("mri"), difficult / "out", command=COMMAND), 60)
    run.finish()
    (row,) = batching.readSummary(difficult / "out")
    assert (row.caseId, row.status) == ("Fall 1 ü", "done")
    assert (difficult / "out" / "Fall 1 ü" / "lesion.nii.gz").is_file()


def test_a_model_is_imported_from_there_to_there_verified_and_removed(difficult):
    source = difficult / "model to import"
    shutil.copytree(models_folder() / "mri", source)
    text = (source / "model.json").read_text(encoding="utf-8")
    (source / "model.json").write_text(text.replace('"id": "mri"', '"id": "our-mri"'), encoding="utf-8")
    store = difficult / "Models"
    card = model_store.importModel(source, store)
    model_store.verify(card)
    assert find_model(model_store.modelWord(card)).id == "our-mri"
    (installed,) = [each for each in model_store.installed(store) if not each.bundled]
    model_store.remove(installed)
    assert list(store.iterdir()) == []


def test_the_report_judges_it_and_wheels_are_looked_for_there(difficult):
    assert preflight.checkWriting("x", difficult).state is State.OK
    assert preflight.checkDisk("x", difficult).value.endswith("free")
    assert preflight.checkEncoding("utf-8", "utf-8", difficult).state is State.OK
    assert "holds no wheels" in dependencies.installFromFolder(difficult)


def test_what_a_child_says_in_another_encoding_is_read_without_an_error(tmp_path):
    script = "import sys; sys.stderr.buffer.write('Gerät: 50 µm\\n'.encode('latin-1')); sys.stderr.flush()"
    child = ChildProcess([sys.executable, "-c", script], tmp_path, dict(os.environ))
    until = time.monotonic() + 30
    while child.exitCode() is None and time.monotonic() < until:
        time.sleep(0.02)
    (line,) = child.newLines()
    assert line.startswith("Ger")
    assert line.endswith("m")


def test_a_model_whose_weights_are_open_elsewhere_is_removed_whole_or_not_at_all(tmp_path):
    store = tmp_path / "store"
    shutil.copytree(models_folder() / "mri", store / "mri-open")
    (model,) = [each for each in model_store.installed(store) if not each.bundled]
    with (store / "mri-open" / "weights.safetensors").open("rb"):
        if os.name == "nt":  # the file is locked
            with pytest.raises(InputError, match="restart Slicer"):
                model_store.remove(model)
            assert len(list((store / "mri-open").iterdir())) == len(list((models_folder() / "mri").iterdir()))
        else:
            model_store.remove(model)
            assert list(store.iterdir()) == []

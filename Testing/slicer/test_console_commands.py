"""Evaluation and export from the console: the real commands of the library, on the bundled model."""

from __future__ import annotations

import json
import tempfile

import numpy as np
import pytest
from result_phantoms import probabilityOf
from slicer_phantoms import addAdc, addHead
from StrokeSegApp.scene import volumeFromNode

import StrokeSeg
from StrokeSegLib.case_table import Case, write_case_table
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import write_image


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch, scene):
    """Temporary files come here; the child has one thread; paths may be relative."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "temporary"
    assert list((tmp_path / "temporary").iterdir()) == []


def writeTable(folder):
    """A case table of one head with truth."""
    nodes = {"dwi": addHead("DWI"), "adc": addAdc("ADC")}
    for role, node in nodes.items():
        write_image(volumeFromNode(node), folder / f"{role}.nii.gz")
    truth = probabilityOf(nodes["dwi"])
    write_image(truth.with_array((truth.array > 0.5).astype(np.uint8)), folder / "lesion.nii.gz")
    images = {role: folder / f"{role}.nii.gz" for role in nodes}
    write_case_table([Case("a", "a", images, folder / "lesion.nii.gz")], folder / "cases.csv")


def test_an_evaluation_from_the_console_writes_what_the_command_writes_and_tells_its_progress(tmp_path):
    writeTable(tmp_path)
    told = []
    logic = StrokeSeg.StrokeSegLogic()
    out = logic.evaluate("mri", "cases.csv", "evaluation", lambda *step: told.append(step), device="cpu")
    assert out == tmp_path / "evaluation"
    assert (out / "evaluation.html").is_file()
    assert json.loads((out / "summary.json").read_text())["labels"]
    assert told[-1][0] == "evaluate"
    with pytest.raises(InputError, match="already holds"):
        logic.evaluate("mri", "cases.csv", "evaluation", device="cpu")


def test_an_export_from_the_console_writes_what_the_command_writes(tmp_path):
    pytest.importorskip("onnx")
    logic = StrokeSeg.StrokeSegLogic()
    out = logic.export("mri", "onnx", "exported")
    assert out == tmp_path / "exported"
    assert list(out.glob("*.onnx"))
    with pytest.raises(InputError, match="already holds"):
        logic.export("mri", "onnx", "exported")
    logic.export("mri", "onnx", "exported", force=True)
    with pytest.raises(InputError, match="unknown model"):
        logic.export("nothing", "onnx", "exported")

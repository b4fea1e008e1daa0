"""The whole way of a model of one's own, clicked on a Qt stand-in over Slicer's own MRML: Train really trains a tiny
network on two generated heads, Export really makes a model of it, and Apply segments with that model. No command of
this file is a stand-in.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import tempfile

import numpy as np
import pytest
import slicer
from section_checks import checkNothingIsCut, section, waitUntil
from stand_in.panel import click, waitForRun
from StrokeSegApp import model_store
from StrokeSegApp.scene import storedMeasurements, volumeFromNode
from StrokeSegApp.volume_nodes import addVolume

from StrokeSegLib.case_table import Case, write_case_table
from StrokeSegLib.demo import CALM
from StrokeSegLib.io import write_image
from StrokeSegLib.models import find_model
from StrokeSegLib.synth.diffusion import make_case
from StrokeSegLib.synth.procedural import procedural_head

if any(importlib.util.find_spec(package) is None for package in ("torch", "monai", "onnx")):
    pytest.skip("training and export need torch, monai and onnx", allow_module_level=True)

#: The panel takes a preset as it is; this one is made small for the test.
TINY = {"width": 0.0625, "crop": 32, "steps": 4, "batch_size": 2}
LIMIT_S = 400


@pytest.fixture(scope="module")
def heads():
    """Two coarse heads with an infarct each, about 30 voxels wide."""
    made = []
    for seed in (43, 44):
        rng = np.random.default_rng(seed)
        made.append(make_case(rng, procedural_head(rng), ranges=CALM, healthy=False, spacing_mm=(6.0, 6.0, 6.0)))
    return made


@pytest.fixture
def table(tmp_path, heads):
    folder = tmp_path / "Fälle 1"
    folder.mkdir()
    cases = []
    for name, head in zip(("a", "b"), heads, strict=True):
        images = {role: folder / f"{name}-{role}.nii.gz" for role in head.images}
        for role, path in images.items():
            write_image(head.images[role], path)
        write_image(head.truth, folder / f"{name}-lesion.nii.gz")
        cases.append(Case(name, name, images, folder / f"{name}-lesion.nii.gz", "train"))
    write_case_table(cases, folder / "cases.csv")
    return folder / "cases.csv"


@pytest.fixture
def opened(openPanel, monkeypatch, tmp_path):
    """The panel with the real commands; what they write goes to folders of the test, and they have one thread."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(model_store, "userFolder", lambda: tmp_path / "store")
    panel = openPanel(find_model("mri"))
    logic = type(panel.widget.logic)
    monkeypatch.setattr(logic, "models", lambda self: model_store.cards())
    monkeypatch.setattr(logic, "command", None)
    start = logic.startTraining
    monkeypatch.setattr(
        logic, "startTraining", lambda self, *words, **choices: start(self, *words, settings=TINY, **choices)
    )
    return panel, section(panel, "train")


def test_on_the_stand_in_a_network_is_trained_exported_and_segments(opened, table, tmp_path, heads):
    panel, train = opened
    ui = panel.ui
    run = tmp_path / "Träining 1"
    ui.trainCasesPath.currentPath = str(table)
    ui.trainSystemSelector.setCurrentIndex(ui.trainSystemSelector.findData("mri"))
    ui.trainFolderPath.currentPath = str(run)
    said = []

    def status():
        if not said or said[-1] != ui.trainStatusLabel.text:
            said.append(ui.trainStatusLabel.text)
        return said

    # Train.
    click(ui.trainButton)
    assert ui.trainButton.text == "Stop", ui.trainStatusLabel.text
    waitUntil(lambda: status() and train.run is None, status, LIMIT_S)
    assert ui.trainStatusLabel.text == "The training has ended. Make a model of it below.", said
    assert any(text.startswith(("Training, step", "Preparing", "Checking")) for text in said), said
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["system"] == "mri"
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["step"]) == TINY["steps"]
    assert np.isfinite(float(rows[-1]["loss"]))
    assert ui.trainCurveLabel.visible
    checkNothingIsCut(panel)

    # Export.
    assert ui.trainModelEdit.text == "tr-ining-1"
    ui.trainModelEdit.setText("our-mri")
    click(ui.trainExportButton)
    waitUntil(lambda: status() and train.run is None, status, LIMIT_S)
    assert ui.trainStatusLabel.text.endswith("can be chosen under Input now."), said
    (card,) = [each for each in model_store.cards() if each.id == "our-mri"]
    index = ui.modelSelector.findData("our-mri")
    assert ui.modelSelector.itemText(index) == card.title
    rows = [ui.modelsTable.item(row, 0).text() for row in range(ui.modelsTable.rowCount)]
    assert card.title in rows

    # Segment with it.
    for role in ("dwi", "adc"):
        node = addVolume(heads[0].images[role], role.upper())
        getattr(ui, f"{role}Selector").setCurrentNode(node)
    ui.modelSelector.setCurrentIndex(index)
    ui.modelSelector.activated.emit(index)
    assert ui.applyButton.enabled, ui.checkLabel.text
    click(ui.applyButton)
    waitForRun(panel, LIMIT_S)
    assert ui.statusLabel.text.startswith("Done in ")
    (result,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    measurements = storedMeasurements(result)
    assert (measurements["model"], measurements["sha256"]) == ("our-mri", card.sha256)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(result, "StrokeSeg_1", node)
    assert mask.shape == volumeFromNode(node).array.shape
    assert measurements["labels"][0]["volume_ml"] == pytest.approx(mask.sum() * 6.0**3 / 1000, abs=1e-3)
    panel.widget.cleanup()  # ends the warm worker, whose folder goes with it
    assert list((tmp_path / "tmp").glob("StrokeSeg-*")) == []

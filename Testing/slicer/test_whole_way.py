"""The whole way of a case, clicked on a Qt stand-in over Slicer's own MRML: a named DICOM folder is loaded, segmented
by the bundled model in the real worker, looked at, edited, accepted, signed and reported; Slicer is started anew, and
the work is still there. Nothing on the way but DICOM SEG and SR, whose purpose it is, says whose scan it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from datetime import datetime

import numpy as np
import pydicom
import pytest
import slicer
from PySide6 import QtTest, QtWidgets
from section_checks import checkNothingIsCut, section
from stand_in import ROOT
from stand_in.panel import click, waitForRun
from StrokeSegApp import result_watch
from StrokeSegApp import scene as app

sys.path.append(str(ROOT / "Testing" / "library"))  # at the end: its conftest is not ours
pytest.importorskip("highdicom", reason="DICOM results need highdicom")
pytest.importorskip("reportlab", reason="the PDF needs reportlab")
pytest.importorskip("pypdf", reason="reading the PDF back needs pypdf")
import highdicom
from pydicom.uid import generate_uid
from report_phantoms import IDENTITY
from test_privacy import DICOM_RESULTS, found_in, readable, write_series

from StrokeSegLib import review
from StrokeSegLib.demo import CALM
from StrokeSegLib.io import read_image
from StrokeSegLib.models import find_model
from StrokeSegLib.report.case_content import Signature
from StrokeSegLib.report.case_report import ReportRequest, write_case_report
from StrokeSegLib.synth.diffusion import make_case
from StrokeSegLib.synth.procedural import procedural_head

RUN_LIMIT_S = 300
CASE, READER = "case-1", "r1"
#: Corner (k, j, i) and side of a block that the reader paints, voxels.
CORNER, SIDE = (4, 20, 20), 3


@pytest.fixture
def head():
    """A coarse head with one infarct."""
    rng = np.random.default_rng(43)
    return make_case(rng, procedural_head(rng), ranges=CALM, healthy=False, spacing_mm=(3.0, 3.0, 6.0))


@pytest.fixture
def scans(tmp_path, head):
    """DWI and ADC of the head as two series of a named patient, in one folder."""
    study, frame = generate_uid(), generate_uid()
    adc = head.images["adc"]
    write_series(tmp_path / "scans" / "dwi", head.images["dwi"], 1.0, study, frame)
    write_series(tmp_path / "scans" / "adc", adc, 1.0 if adc.array.max() > 100 else 1000.0, study, frame)
    return tmp_path / "scans"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """All that is written lies here: the study, the scene, temporary files, the settings."""
    folder = tmp_path / "home"
    (folder / "tmp").mkdir(parents=True)
    for name in ("TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(folder / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    monkeypatch.setattr(slicer.app, "slicerUserSettingsFilePath", str(folder / "Slicer.ini"))
    return folder


@pytest.fixture
def openReal(openPanel, monkeypatch):
    """Opens the panel with the bundled model and the real worker."""

    def begin():
        panel = openPanel(find_model("mri"))
        monkeypatch.setattr(type(panel.widget.logic), "command", None)
        return panel

    return begin


def words(panel):
    """All that the panel says."""
    kinds = (QtWidgets.QLabel, QtWidgets.QPushButton, QtWidgets.QLineEdit)
    texts = [str(widget.text) for kind in kinds for widget in panel.frame.findChildren(kind)]
    tables = panel.frame.findChildren(QtWidgets.QTableWidget)
    cells = [table.item(row, column) for table in tables for row in range(table.rowCount) for column in range(5)]
    return "\n".join([*texts, *(cell.text() + cell.toolTip() for cell in cells if cell is not None)])


def test_on_the_stand_in_the_whole_way_of_a_named_dicom_case(openReal, scans, home, head, capfd):
    heard = []

    # Load a DICOM folder, and Apply.
    panel = openReal()
    ui = panel.ui
    panel.input.openFolder(str(scans))
    for index in range(2):
        ui.seriesSelector.setCurrentIndex(index)
        click(ui.loadSeriesButton)
    names = {role: getattr(ui, f"{role}Selector").currentNode().GetName() for role in ("dwi", "adc")}
    assert names == {"dwi": "dwi", "adc": "adc"}
    click(ui.applyButton)
    waitForRun(panel, RUN_LIMIT_S)
    assert "Ischemic lesion" in ui.summaryLabel.text, ui.statusLabel.text
    (result,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    truth = head.truth.array > 0
    found = slicer.util.arrayFromSegmentBinaryLabelmap(result, "StrokeSeg_1") > 0
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert dice > 0.5, dice
    heard.append(words(panel))

    # Look: the result becomes a study, which opens at its lesion.
    work = section(panel, "review")
    QtTest.QTest.keyClicks(ui.reviewReaderEdit, READER)
    ui.reviewStudyPath.currentPath = str(home / "study")
    click(ui.reviewBeginButton)
    assert work.work is not None, ui.reviewStatusLabel.text
    assert work.work.caseId == CASE
    nodes = work.work.nodes
    np.testing.assert_array_equal(nodes.labels().array, found)
    assert ui.reviewLesionTable.rowCount >= 1
    checkNothingIsCut(panel)

    # Edit, accept, sign.
    painted = found.astype(np.uint8)
    k, j, i = CORNER
    assert not painted[k : k + SIDE, j : j + SIDE, i : i + SIDE].any()
    painted[k : k + SIDE, j : j + SIDE, i : i + SIDE] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, nodes.segmentation, "StrokeSeg_1", nodes.reference)
    segment = nodes.segmentation.GetSegmentation().GetSegment("StrokeSeg_1")
    assert result_watch.algorithmType(segment) == "SEMIAUTOMATIC"
    QtTest.QTest.keyClicks(ui.reviewCommentEdit, "a second focus")
    click(ui.reviewAcceptButton)
    click(ui.reviewSignButton)
    heard.append(words(panel))
    assert slicer.mrmlScene.WriteToMRB(str(home / "scene.mrb"), None)

    # The report, as strokeseg report writes it.
    study = review.open_study(home / "study")
    reading = review.case_reading(study, READER, CASE)
    assert (reading.status, reading.signature.version) == ("accepted", reading.version)
    model = study.results(CASE)[0]
    told = write_case_report(
        ReportRequest(
            result=model.folder,
            out=home / "report",
            mask=review.segmentation_path(study, CASE, reading.version),
            source=str(study.case(CASE).images["dwi"]),
            signature=Signature(READER, datetime.fromisoformat(reading.signature.at_utc.replace("Z", "+00:00"))),
            dicom=True,
        )
    )
    heard += told
    written = {path.name for path in (home / "report").iterdir()}
    assert written == {"report.html", "report.pdf", "report.json", *DICOM_RESULTS}
    content = json.loads((home / "report" / "report.json").read_text())
    assert READER in json.dumps(content)
    seg = highdicom.seg.segread(home / "report" / DICOM_RESULTS[0])
    assert seg.get_segment_description(1).SegmentAlgorithmType == "SEMIAUTOMATIC"
    mask = read_image(review.segmentation_path(study, CASE, reading.version)).volume
    np.testing.assert_array_equal(mask.array, painted)
    assert seg.pixel_array.sum() == painted.sum()
    assert pydicom.dcmread(home / "report" / DICOM_RESULTS[1]).Modality == "SR"

    # Slicer is ended and started anew: other widgets, another scene; and a Python of its own sees the same.
    panel.widget.cleanup()
    slicer.mrmlScene.Clear(0)
    again = openReal()
    work = section(again, "review")
    assert again.ui.reviewStudyPath.currentPath == str(home / "study")
    assert again.ui.reviewCaseTable.item(0, 2).text() == "accepted *"
    click(again.ui.reviewNextButton)
    np.testing.assert_array_equal(work.work.nodes.labels().array, painted)
    assert app.volumeFromNode(work.work.nodes.reference).same_grid(mask)
    assert "a second focus" in again.ui.reviewNotesLabel.text
    assert "signed" in again.ui.reviewCaseLabel.text
    heard.append(words(again))
    status = subprocess.run(
        [sys.executable, "-m", "StrokeSegLib", "review", "status", str(home / "study"), "--json"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert '"accepted"' in status.stdout
    again.widget.cleanup()

    # Whose scan it is stands in DICOM SEG and SR, and nowhere else.
    said = capfd.readouterr()
    assert "Traceback" not in said.err
    heard += [said.out, said.err, status.stdout, status.stderr]
    for text in heard:
        assert found_in(text.encode()) == []
    with zipfile.ZipFile(home / "scene.mrb") as bundle:
        bundle.extractall(home / "scene")
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 15
    for path in home.rglob("*"):
        assert found_in(str(path.relative_to(home)).encode()) == []
    for path in files:
        if path.name in DICOM_RESULTS:
            assert "privacy" in found_in(path.read_bytes())
            assert pydicom.dcmread(path).PatientID == IDENTITY["PatientID"]
        else:
            assert found_in(readable(path)) == [], path.relative_to(home)

"""A result becomes DICOM by the real command, read back with pydicom and highdicom; and the button for it."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import slicer
from result_phantoms import CARD, maskOf, paint, writeResult
from section_checks import checkNothingIsCut, waitUntil
from slicer_phantoms import BLOCK_VOXELS, addHead
from stand_in import ROOT
from stand_in.panel import click
from StrokeSegApp import dicom_export, loading, parameters, relabel, result_nodes
from StrokeSegApp import scene as app
from StrokeSegApp.worker_client import waitFor

from StrokeSegLib.errors import InputError

sys.path.append(str(ROOT / "Testing" / "library"))  # at the end: its conftest is not ours
pytest.importorskip("highdicom", reason="DICOM results need highdicom")
import highdicom
import pydicom
from report_phantoms import IDENTITY, head_series

#: A child process reads highdicom first, which takes its time on a busy computer.
RUN_LIMIT_S = 300
HEIGHTS = [3.0 * n for n in range(10)]


def addDicomResult(tmp_path):
    """A series of a named patient, loaded, and a result on it: gives the segmentation and the volume node."""
    folder = head_series(tmp_path / "scan", HEIGHTS)
    (series,) = loading.seriesIn(str(folder))
    node, _warnings = loading.loadSeries(str(folder), series)
    out = writeResult(tmp_path / "out", node, uncertainty=False)
    return result_nodes.bringIn(out, CARD, node, {"dwi": node.GetName()}, {"dwi": app.sourceOf(node)})[0], node


def exported(segmentation, folder):
    """The segmentation object and the report."""
    folder.mkdir(exist_ok=True)
    run = dicom_export.DicomExport(segmentation, folder)
    waitFor(run, None)
    run.finish()
    assert not run.folder.exists()
    assert sorted(each.name for each in folder.iterdir()) == sorted(dicom_export.NAMES)
    return [highdicom.seg.segread(folder / dicom_export.NAMES[0]), pydicom.dcmread(folder / dicom_export.NAMES[1])]


def maskInSeg(seg, node):
    """All segments on the grid of a volume node, slice by slice where each frame says."""
    grid = app.volumeFromNode(node)
    mask = np.zeros(grid.array.shape, np.uint8)
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for frame, item in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        place = grid.lps_to_ijk([float(v) for v in item.PlanePositionSequence[0].ImagePositionPatient])
        mask[round(place[2])] |= frame.astype(np.uint8)
    return mask


def types_of(seg):
    return {item.SegmentAlgorithmType for item in seg.SegmentSequence}


def test_the_result_at_another_threshold_is_exported_as_it_is_now_in_the_patients_study(scene, tmp_path):
    segmentation, node = addDicomResult(tmp_path)
    assert dicom_export.hindrance(segmentation) == ""
    relabel.relabel(segmentation, 0.7)
    seg, report = exported(segmentation, tmp_path / "to send")
    np.testing.assert_array_equal(maskInSeg(seg, node), maskOf(segmentation, node))
    assert maskInSeg(seg, node).sum() == BLOCK_VOXELS[0]
    assert types_of(seg) == {"AUTOMATIC"}
    image = pydicom.dcmread(next((tmp_path / "scan").iterdir()))
    for item in (seg, report):
        assert item.StudyInstanceUID == image.StudyInstanceUID
        assert item.PatientName == IDENTITY["PatientName"]
    assert report.Modality == "SR"
    with pytest.raises(InputError, match="holds an exported result already: choose another folder"):
        dicom_export.DicomExport(segmentation, tmp_path / "to send")


def test_what_a_reader_has_edited_is_exported_and_says_so(scene, tmp_path):
    segmentation, node = addDicomResult(tmp_path)
    paint(segmentation, node, [(0, 20, 20), (0, 20, 21)])
    seg, _report = exported(segmentation, tmp_path / "sent")
    np.testing.assert_array_equal(maskInSeg(seg, node), maskOf(segmentation, node))
    assert maskInSeg(seg, node).sum() == sum(BLOCK_VOXELS) + 2
    assert types_of(seg) == {"SEMIAUTOMATIC"}


def test_a_volume_of_slicers_dicom_module_is_found_by_its_database(scene, tmp_path, monkeypatch):
    segmentation, node = addDicomResult(tmp_path)
    files = {str(pydicom.dcmread(path).SOPInstanceUID): str(path) for path in (tmp_path / "scan").iterdir()}
    node.SetAttribute("DICOM.instanceUIDs", " ".join(files))
    found = segmentation.GetAttribute(result_nodes.FOUND_ATTRIBUTE)
    loaded = found.replace(app.sourceOf(node), f"DICOM images ({len(files)} images, the first {next(iter(files))})")
    assert loaded != found
    segmentation.SetAttribute(result_nodes.FOUND_ATTRIBUTE, loaded)
    assert dicom_export.hindrance(segmentation)
    series = str(pydicom.dcmread(next(iter(files.values()))).SeriesInstanceUID)
    database = types.SimpleNamespace(fileForInstance=files.get, instanceValue=lambda uid, tag: series)
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    assert dicom_export.hindrance(segmentation) == ""
    assert dicom_export.sourceOf(segmentation) == f"{tmp_path / 'scan'}#{series}"
    Path(next(iter(files.values()))).unlink()
    with pytest.raises(InputError, match="are gone or lie in several folders"):
        dicom_export.sourceOf(segmentation)


def test_a_result_of_other_files_cannot_be_exported_and_says_what_to_do(scene, tmp_path):
    node = addHead()
    out = writeResult(tmp_path / "out", node)
    for source in ("DWI", str(tmp_path / "dwi.nii.gz"), f"{tmp_path / 'gone'}#1.2.3"):
        segmentation = result_nodes.bringIn(out, CARD, node, {}, {"dwi": source})[0]
        assert dicom_export.hindrance(segmentation) == (
            "The images did not come from DICOM files, or these are not there any more: load them under Input with"
            " 'DICOM...', and press Apply again."
        )


def test_a_scan_that_was_moved_is_refused_in_one_line_without_words_of_the_command_line(scene, tmp_path):
    folder = head_series(tmp_path / "scan", HEIGHTS)
    (series,) = loading.seriesIn(str(folder))
    node, _warnings = loading.loadSeries(str(folder), series)
    source = app.sourceOf(node)
    node.SetOrigin(100, 0, 0)
    segmentation = result_nodes.bringIn(writeResult(tmp_path / "out", node), CARD, node, {}, {"dwi": source})[0]
    (tmp_path / "sent").mkdir()
    run = dicom_export.DicomExport(segmentation, tmp_path / "sent")
    waitFor(run, None)
    with pytest.raises(InputError) as caught:
        run.finish()
    assert "the result lies elsewhere than the DICOM images" in str(caught.value)
    assert "--" not in str(caught.value)
    assert list((tmp_path / "sent").iterdir()) == []


def test_what_the_module_imports_for_it_brings_no_package_into_slicer():
    code = "import sys, StrokeSegLib.report.dicom_results; print({'highdicom', 'pydicom'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_on_the_stand_in_the_button_writes_into_the_chosen_folder_and_can_be_canceled(openPanel, tmp_path, monkeypatch):
    import qt
    from StrokeSegApp.panels.export import ExportPanel

    panel = openPanel()
    monkeypatch.setattr(type(panel.widget.logic), "command", None)
    (tmp_path / "sent").mkdir()
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "sent"))
    segmentation, node = addDicomResult(tmp_path)
    parameters.setResult(panel.widget.logic.getParameterNode(), segmentation)
    ui, export = panel.ui, panel.panel.panel(ExportPanel)
    assert ui.exportButton.enabled
    click(ui.exportButton)
    run = export.run
    assert ui.exportStatusLabel.text == "Writing the DICOM files"
    assert ui.exportProgressBar.visible
    assert ui.exportButton.text == "Cancel"
    click(ui.exportButton)
    waitUntil(lambda: run.gone and ui.exportButton.enabled, lambda: ui.exportStatusLabel.text)
    assert ui.exportStatusLabel.text == "Canceled. Nothing was written."
    assert list((tmp_path / "sent").iterdir()) == []
    click(ui.exportButton)
    waitUntil(lambda: export.run is None, lambda: ui.exportStatusLabel.text, seconds=RUN_LIMIT_S)
    assert ui.exportStatusLabel.text.startswith("Written to 'sent': lesion-seg.dcm, measurements-sr.dcm.")
    assert sorted(each.name for each in (tmp_path / "sent").iterdir()) == sorted(dicom_export.NAMES)
    click(ui.exportButton)
    assert "holds an exported result already" in ui.exportStatusLabel.text
    assert not ui.exportDetailsButton.visible
    slicer.mrmlScene.RemoveNode(node)
    checkNothingIsCut(panel)


def test_on_the_stand_in_a_result_of_other_files_has_no_button_and_its_tip_says_why(openPanel):
    from panel_runs import run

    ui = run(openPanel, "bright").ui
    assert not ui.exportButton.enabled
    assert ui.exportButton.toolTip.startswith("The images did not come from DICOM files")

"""The review section on Slicer's own MRML, clicked on a Qt stand-in: not in Slicer itself, whose Segment Editor only
Slicer shows. An edit here is what the Segment Editor does in the end: other voxels in a segment.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from result_phantoms import CARD, addResultOf, writeResult
from review_clicks import (
    BY_NEED,
    STATUS,
    choose,
    everyNode,
    kinds,
    lesionCells,
    listed,
    paint,
    press,
    segmentStatus,
    statuses,
    typeReader,
)
from section_checks import checkNothingIsCut, section, waitUntil
from slicer_phantoms import addHead
from stand_in import ROOT
from stand_in.panel import click
from StrokeSegApp import parameters, result_nodes, result_watch
from StrokeSegApp import scene as app

sys.path.append(str(ROOT / "Testing" / "library"))  # at the end: its conftest is not ours
from review_studies import GRID, LEFT, RIGHT, cases_on_disk, mask

from StrokeSegLib import review
from StrokeSegLib.case_table import Case
from StrokeSegLib.io import write_image
from StrokeSegLib.volume import Volume

# The list


def test_on_the_stand_in_the_worklist_is_sorted_filtered_and_says_why_a_human_must_look(start, study):
    panel, _work = start(study)
    ui = panel.ui
    assert listed(ui) == BY_NEED
    assert [ui.reviewCaseTable.item(row, 0).text() for row in range(3)] == ["!", "", ""]
    assert ui.reviewCaseTable.item(0, 4).text() == "0.40"  # 1 - 0.6
    assert ui.reviewCaseTable.item(0, 3).text() == "0.70"  # (27 + 8) voxels of 0.02 mL
    assert "1 of 2 lesions have a mean probability under 0.7" in ui.reviewCaseTable.item(0, 0).toolTip()
    choose(ui.reviewSortSelector, "table")
    assert listed(ui) == ["case-001", "case-002", "case-003"]
    choose(ui.reviewSortSelector, "largest")
    assert listed(ui) == ["case-002", "case-001", "case-003"]
    choose(ui.reviewSortSelector, "random")
    assert listed(ui) == [item.case_id for item in review.worklist(study, "r1", sort="random")]
    choose(ui.reviewFilterSelector, "needs-human")
    assert listed(ui) == ["case-002"]
    choose(ui.reviewFilterSelector, "flagged")
    assert listed(ui) == []
    choose(ui.reviewFilterSelector, "open")
    assert len(listed(ui)) == 3
    assert kinds(study) == []  # looking at a list is no event


def test_on_the_stand_in_what_is_missing_or_wrong_is_said_in_one_line(openPanel, module, tmp_path, study):
    slicer.app.userSettings().clear()
    panel = openPanel()
    section(panel, "review")
    ui = panel.ui
    assert ui.reviewStatusLabel.text == "Choose the folder of a study."
    assert not ui.reviewCaseTable.visible
    assert not ui.reviewNextButton.enabled
    ui.reviewStudyPath.currentPath = str(study.folder)
    assert "pseudonym" in ui.reviewStatusLabel.text
    typeReader(panel, "Dr. Smith")
    assert "never a patient's or a person's name" in ui.reviewStatusLabel.text
    typeReader(panel, "r1")
    assert ui.reviewStatusLabel.text == "0 of 3 cases are decided."
    (tmp_path / "empty").mkdir()
    ui.reviewStudyPath.currentPath = str(tmp_path / "empty")
    assert "is not a study" in ui.reviewStatusLabel.text
    assert not ui.reviewCaseTable.visible
    slicer.app.userSettings().clear()


# A case


def test_on_the_stand_in_a_case_opens_with_images_segmentation_table_and_at_the_first_doubtful_lesion(
    start, study, layout
):
    panel, work = start(study)
    ui = panel.ui
    before = everyNode()
    click(ui.reviewNextButton)
    nodes = work.work.nodes
    assert work.work.caseId == "case-002"
    assert sorted(nodes.volumes) == ["adc", "dwi"]
    for node in nodes.volumes.values():
        assert app.volumeFromNode(node).same_grid(GRID)
    np.testing.assert_array_equal(nodes.labels().array, mask((LEFT, 3), (RIGHT, 2)).array)
    assert [row[1] for row in lesionCells(ui)] == ["0.54", "0.16"]
    assert [row[3] for row in lesionCells(ui)] == ["0.80", "0.60"]
    assert ui.reviewLesionTable.currentRow() == 1  # the model was less sure of the second one
    place = slicer.util.arrayFromVTKMatrix(layout.slices["Red"].node.GetSliceToRAS())[:3, 3]
    np.testing.assert_allclose(place, work.work.files.lesions[1].centroid_ras_mm, atol=0.01)
    assert layout.slices["Red"].logic.GetSliceCompositeNode().GetBackgroundVolumeID() == nodes.reference.GetID()
    assert "Please check" in ui.reviewNotesLabel.text
    assert segmentStatus(nodes) == STATUS.InProgress
    assert kinds(study) == [("case-002", "opened")]
    checkNothingIsCut(panel)
    added = {slicer.mrmlScene.GetNodeByID(each).GetName() for each in everyNode() - before}
    assert {"case-002 DWI", "case-002 ADC", "case-002 review"} <= added


def test_on_the_stand_in_next_and_previous_go_by_keys_and_leave_nothing_of_the_last_case_behind(start, study):
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    changed = []
    mine.AddObserver(vtk.vtkCommand.AnyEvent, lambda *_: changed.append(1))
    panel, work = start(study)
    panel.frame.activateWindow()
    press(panel, QtCore.Qt.Key_PageDown)
    assert work.work.caseId == BY_NEED[0]
    first = everyNode()
    press(panel, QtCore.Qt.Key_PageDown)
    assert work.work.caseId == BY_NEED[1]
    assert len(everyNode()) == len(first)
    press(panel, QtCore.Qt.Key_PageUp)
    assert work.work.caseId == BY_NEED[0]
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 2  # the case's, and the user's own
    assert changed == []
    panel.widget.exit()  # another module has the keys
    press(panel, QtCore.Qt.Key_PageDown)
    assert work.work.caseId == BY_NEED[0]
    panel.widget.enter()
    assert panel.ui.reviewPreviousButton.enabled is False


def test_on_the_stand_in_results_of_other_heads_are_out_of_sight_while_a_case_is_open(start, study, tmp_path):
    result = addResultOf(tmp_path / "out", addHead())
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn by hand")
    mine.CreateDefaultDisplayNodes()
    panel, work = start(study)
    assert result.GetDisplayNode().GetVisibility()
    for _case in range(2):
        click(panel.ui.reviewNextButton)
        assert not result.GetDisplayNode().GetVisibility()
        assert mine.GetDisplayNode().GetVisibility()
        assert work.work.nodes.segmentation.GetDisplayNode().GetVisibility()
    panel.ui.reviewStudyPath.currentPath = ""
    assert work.work is None
    assert result.GetDisplayNode().GetVisibility()


def test_on_the_stand_in_a_case_without_a_result_can_be_drawn_or_accepted_as_empty(start, tmp_path):
    study = review.create_study(tmp_path / "study", cases_on_disk(tmp_path / "images", 2))
    panel, work = start(study)
    click(panel.ui.reviewNextButton)
    names = [work.work.nodes.segmentation.GetSegmentation().GetNthSegment(n).GetName() for n in range(2)]
    assert names == ["Ischemic lesion", "Hemorrhage"]
    click(panel.ui.reviewAcceptButton)
    reading = review.case_reading(study, "r1", "case-001")
    assert reading.status == "accepted"
    assert not review.read_segmentation(study, "case-001", reading.version).array.any()


def test_on_the_stand_in_a_result_whose_images_are_in_no_file_makes_no_study(start, tmp_path):
    node = addHead()
    image = tmp_path / "dwi.nii.gz"
    out = writeResult(tmp_path / "out", node)
    panel = start(tmp_path / "study")
    ui, work = panel[0].ui, panel[1]
    for source, said in ((node.GetName(), "is in no file"), (str(image), "moved by a transform")):
        result, _numbers = result_nodes.bringIn(out, CARD, node, {"dwi": "DWI"}, {"dwi": source})
        write_image(GRID, image)  # another grid than the head's
        parameters.setResult(panel[0].widget.logic.getParameterNode(), result)
        click(ui.reviewBeginButton)
        assert said in ui.reviewStatusLabel.text
        assert not (tmp_path / "study").exists()
    write_image(app.volumeFromNode(node), image)
    click(ui.reviewBeginButton)
    assert work.work.caseId == "case-1"
    assert not result.GetDisplayNode().GetVisibility()
    np.testing.assert_array_equal(work.work.nodes.labels().array > 0, slicer.util.arrayFromVolume(node) == 400)


# Readers, time, and coming back


def test_on_the_stand_in_another_readers_work_is_hidden_until_one_has_decided(start, study):
    review.open_case(study, "r2", "case-002")
    review.flag(study, "r2", "case-002", reason="a vessel", comment="look at the ADC")
    panel, work = start(study)
    click(panel.ui.reviewNextButton)
    words = " ".join(label.text for label in panel.frame.findChildren(QtWidgets.QLabel))
    assert "vessel" not in words
    assert "hidden until you have decided" in panel.ui.reviewNotesLabel.text
    assert work.work.others() == {}
    click(panel.ui.reviewAcceptButton)
    assert "r2: flagged, a vessel, look at the ADC" in panel.ui.reviewNotesLabel.text


def test_on_the_stand_in_seconds_count_while_the_case_is_before_the_reader(start, study):
    panel, work = start(study)
    click(panel.ui.reviewNextButton)
    now = [0.0]
    work.work.clock._now = lambda: now[0]
    work.work.clock.restart()
    now[0] = 30.0
    panel.widget.exit()
    now[0] = 500.0  # at lunch
    panel.widget.enter()
    now[0] = 512.0
    click(panel.ui.reviewNextButton)
    assert review.case_reading(study, "r1", "case-002").seconds == 42.0


def test_on_the_stand_in_work_goes_on_where_it_stopped_after_slicer_was_ended(start, study, openPanel):
    panel, work = start(study)
    ui = panel.ui
    click(ui.reviewNextButton)
    click(ui.reviewAcceptButton)
    click(ui.reviewNextButton)
    painted = paint(work.work.nodes)
    panel.widget.cleanup()
    slicer.mrmlScene.Clear(0)
    panel = openPanel()
    assert panel.ui.reviewStudyPath.currentPath == str(study.folder)
    work = section(panel, "review")
    assert panel.ui.reviewStatusLabel.text == "1 of 3 cases are decided."
    assert statuses(panel.ui)["case-001"] == "edited"
    click(panel.ui.reviewNextButton)
    assert work.work.caseId == "case-001"
    np.testing.assert_array_equal(work.work.nodes.labels().array, painted)
    segment = work.work.nodes.segmentation.GetSegmentation().GetSegment("StrokeSeg_1")
    assert result_watch.algorithmType(segment) == "SEMIAUTOMATIC"
    assert kinds(study)[-1] == ("case-001", "resumed")


# Speed


def test_on_the_stand_in_the_next_case_of_a_prepared_list_opens_in_under_a_second(start, tmp_path):
    """Heads of 512 x 512 x 24 voxels: 6.3 million, two images a case."""
    side, count = 512, 24
    grid = Volume(np.zeros((count, side, side), np.uint8), (0.45, 0.45, 5.0), (-115.0, -115.0, 0.0))
    noise = np.random.default_rng(1).integers(0, 80, grid.array.shape, np.int16)
    labels = grid.array.copy()
    labels[8:12, 200:240, 300:340] = 1
    cases = []
    for number in (1, 2, 3):
        paths = {role: tmp_path / "images" / f"{role}-{number}.mha" for role in ("dwi", "adc")}
        (tmp_path / "images").mkdir(exist_ok=True)
        for path in paths.values():
            write_image(grid.with_array(noise), path)
        cases.append(Case(f"case-{number}", f"p-{number}", paths))
        write_big_result(tmp_path / "results" / f"case-{number}", grid.with_array(labels))
    study = review.create_study(tmp_path / "study", cases, tmp_path / "results")
    panel, work = start(study)
    click(panel.ui.reviewNextButton)
    for _next in range(2):
        waitUntil(lambda: not work._reading.active, lambda: "the files of the next case are not read", 60)
        started, wall = time.thread_time(), time.perf_counter()
        panel.ui.reviewNextButton.click()
        seconds = time.thread_time() - started  # of this thread: what else the computer does is not counted
        print(f"next case: {seconds:.2f} s of the processor, {time.perf_counter() - wall:.2f} s on the clock")
        assert seconds < 1.0
    assert work.work.caseId == "case-3"


def write_big_result(folder, labels):
    import json

    from StrokeSegLib.measure import measure_lesions
    from StrokeSegLib.report.measurements import ModelRecord, RunRecord, build_measurements

    folder.mkdir(parents=True)
    write_image(labels, folder / "lesion.nii.gz")
    content = build_measurements(
        ModelRecord("mri", "0.1.0", "0" * 64, "mri", {1: "ischemic lesion"}), {}, measure_lesions(labels),
        RunRecord("cpu", "openvino", {}, ()),
    )  # fmt: skip
    (folder / "measurements.json").write_text(json.dumps(content), encoding="utf-8")

"""What a reader decides and corrects in the review section, and that it is on the disk; on the stand-in, as
``test_review_panel``.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import slicer
from PySide6 import QtTest
from review_clicks import (
    STATUS,
    kinds,
    lesionCells,
    paint,
    segmentStatus,
    statuses,
)
from stand_in import ROOT
from stand_in.panel import click, clickCell
from StrokeSegApp import result_watch

sys.path.append(str(ROOT / "Testing" / "library"))  # at the end: its conftest is not ours
from review_studies import LEFT, mask

from StrokeSegLib import review

# Decisions


def test_on_the_stand_in_accept_reject_flag_comment_and_sign_are_on_the_disk_at_once(start, study):
    panel, work = start(study)
    ui = panel.ui
    click(ui.reviewNextButton)
    assert not ui.reviewSignButton.enabled
    click(ui.reviewAcceptButton)
    assert ui.reviewStatusLabel.text == "Accepted"
    assert segmentStatus(work.work.nodes) == STATUS.Completed
    click(ui.reviewSignButton)
    assert review.case_reading(study, "r1", "case-002").signature is not None
    assert statuses(ui)["case-002"] == "accepted *"
    assert not ui.reviewSignButton.enabled
    click(ui.reviewNextButton)
    assert not ui.reviewRejectButton.enabled
    assert not ui.reviewFlagButton.enabled
    QtTest.QTest.keyClicks(ui.reviewReasonEdit, "motion")
    QtTest.QTest.keyClicks(ui.reviewCommentEdit, "repeat the scan")
    click(ui.reviewRejectButton)
    reading = review.case_reading(study, "r1", "case-001")
    assert (reading.status, reading.reason) == ("rejected", "motion")
    assert [comment.text for comment in reading.comments] == ["repeat the scan"]
    assert segmentStatus(work.work.nodes) == STATUS.Flagged
    click(ui.reviewNextButton)
    QtTest.QTest.keyClicks(ui.reviewReasonEdit, "second opinion")
    click(ui.reviewFlagButton)
    assert segmentStatus(work.work.nodes) == STATUS.Flagged
    assert statuses(ui) == {"case-002": "accepted *", "case-001": "rejected", "case-003": "flagged"}
    assert not ui.reviewNextButton.enabled


def test_on_the_stand_in_a_lesion_that_is_removed_goes_when_the_case_is_accepted(start, study):
    panel, work = start(study)
    ui = panel.ui
    click(ui.reviewNextButton)
    click(ui.reviewLesionRejectButton)  # the doubtful one is chosen
    assert lesionCells(ui)[1][4] == "no"
    assert ui.reviewLesionTable.currentRow() == 0  # the next one that is not decided
    click(ui.reviewLesionAcceptButton)
    assert [row[4] for row in lesionCells(ui)] == ["yes", "no"]
    click(ui.reviewAcceptButton)
    only = mask((LEFT, 3)).array
    np.testing.assert_array_equal(work.work.nodes.labels().array, only)
    reading = review.case_reading(study, "r1", "case-002")
    np.testing.assert_array_equal(review.read_segmentation(study, "case-002", reading.version).array, only)
    assert [kind for _case, kind in kinds(study)] == [
        "opened", "lesion-rejected", "lesion-accepted", "corrected", "accepted",
    ]  # fmt: skip


def test_on_the_stand_in_a_click_on_a_lesion_goes_there(start, study, layout):
    panel, work = start(study)
    click(panel.ui.reviewNextButton)
    clickCell(panel.ui.reviewLesionTable, 0, 1)
    place = slicer.util.arrayFromVTKMatrix(layout.slices["Red"].node.GetSliceToRAS())[:3, 3]
    np.testing.assert_allclose(place, work.work.files.lesions[0].centroid_ras_mm, atol=0.01)


# Corrections


def test_on_the_stand_in_a_corrected_mask_is_stored_on_exactly_the_grid_it_came_on(start, study):
    panel, work = start(study)
    click(panel.ui.reviewNextButton)
    segment = work.work.nodes.segmentation.GetSegmentation().GetSegment("StrokeSeg_1")
    assert result_watch.algorithmType(segment) == "AUTOMATIC"
    painted = paint(work.work.nodes)
    assert result_watch.algorithmType(segment) == "SEMIAUTOMATIC"
    assert "not stored yet" in panel.ui.reviewCaseLabel.text
    click(panel.ui.reviewAcceptButton)
    reading = review.case_reading(study, "r1", "case-002")
    stored = review.read_segmentation(study, "case-002", reading.version)
    np.testing.assert_array_equal(stored.array, painted)
    model = review.read_segmentation(study, "case-002", study.results("case-002")[0].version)
    assert stored.origin == model.origin  # to the last bit
    assert stored.spacing_mm == model.spacing_mm
    np.testing.assert_allclose(stored.direction, model.direction, rtol=0, atol=1e-15)
    assert reading.corrected


def test_on_the_stand_in_only_changed_voxels_make_a_new_version(start, study):
    panel, work = start(study)
    click(panel.ui.reviewNextButton)
    paint(work.work.nodes, LEFT, 3)  # where the lesion is anyhow
    click(panel.ui.reviewNextButton)
    assert [kind for _case, kind in kinds(study)] == ["opened", "closed", "opened"]


def test_on_the_stand_in_an_edit_is_stored_whichever_way_the_case_is_left(start, study, tmp_path):
    panel, work = start(study)
    ui = panel.ui
    ways = {
        "next": lambda: click(ui.reviewNextButton),
        "the timer, without leaving it": work.onAutosave,
        "another module": lambda: (panel.widget.exit(), panel.widget.enter()),
        "its segmentation is removed": lambda: slicer.mrmlScene.RemoveNode(work.work.nodes.segmentation),
        "the scene is closed": lambda: slicer.mrmlScene.Clear(0),
        "another study": lambda: setattr(ui.reviewStudyPath, "currentPath", str(tmp_path)),
        "the end of Slicer": panel.widget.cleanup,
    }
    for number, (way, leave) in enumerate(ways.items()):
        ui.reviewStudyPath.currentPath = str(study.folder)
        clickCell(ui.reviewCaseTable, 0, 1)
        assert work.work.caseId == "case-002"
        painted = paint(work.work.nodes, (6, 2 * number, 1))
        assert work._autosave.active
        assert "not stored" in ui.reviewCaseLabel.text
        ui.reviewCommentEdit.setText(way)
        leave()
        reading = review.case_reading(review.open_study(study.folder), "r1", "case-002")
        assert reading.status == "corrected"
        np.testing.assert_array_equal(review.read_segmentation(study, "case-002", reading.version).array, painted)
        if work.work is not None and work.work.caseId == "case-002":  # not left: it is still being written
            assert "not stored" not in ui.reviewCaseLabel.text
            ui.reviewCommentEdit.setText("")
        else:
            assert reading.comments[-1].text == way


def test_on_the_stand_in_a_disk_that_refuses_keeps_the_case_open_and_a_closed_scene_loses_nothing(
    start, study, monkeypatch
):
    panel, work = start(study)
    click(panel.ui.reviewNextButton)
    painted = paint(work.work.nodes)
    real = os.open

    def refuse(path, flags, *rest, **more):
        if str(path).startswith(str(study.folder)) and flags & os.O_WRONLY:
            raise OSError(28, "No space left on device")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    click(panel.ui.reviewNextButton)
    assert work.work.caseId == "case-002"
    assert "full" in panel.ui.reviewStatusLabel.text
    panel.ui.reviewStudyPath.currentPath = str(study.folder.parent)
    assert work.work.caseId == "case-002"  # the study stays open, too
    np.testing.assert_array_equal(work.work.nodes.labels().array, painted)
    slicer.mrmlScene.Clear(0)
    assert work.work.caseId is None
    assert review.case_reading(study, "r1", "case-002").status == "opened"
    monkeypatch.setattr(os, "open", real)
    click(panel.ui.reviewNextButton)
    reading = review.case_reading(study, "r1", "case-002")
    assert reading.status == "corrected"
    np.testing.assert_array_equal(review.read_segmentation(study, "case-002", reading.version).array, painted)


def test_on_the_stand_in_a_segment_of_the_users_own_is_named_as_not_stored(start, study):
    panel, work = start(study)
    click(panel.ui.reviewNextButton)
    work.work.nodes.segmentation.GetSegmentation().AddEmptySegment("mine", "mine")
    panel.panel.update()
    assert "Segment mine is none of this case's findings" in panel.ui.reviewNotesLabel.text


# The Segment Editor, a stand-in here


def test_on_the_stand_in_the_segment_editor_gets_the_case_its_own_node_and_four_effects(start, study):
    panel, work = start(study)
    ui = panel.ui
    click(ui.reviewNextButton)
    assert ui.reviewEditorWidget.layout().count() == 0  # made when it is needed
    click(ui.reviewEditButton)
    editor = ui.reviewEditorWidget.layout().itemAt(0).widget()
    told = editor.told
    assert told["effectNameOrder"] == ["Paint", "Erase", "Threshold", "Islands"]
    assert told["unorderedEffectsVisible"] is False
    assert told["undoEnabled"] is True
    assert told["maximumNumberOfUndoStates"] == 10
    assert told["mrmlSegmentEditorNode"].GetSingletonTag() == "StrokeSegReview"
    assert told["segmentationNode"] is work.work.nodes.segmentation
    assert told["sourceVolumeNode"] is work.work.nodes.reference
    assert (told["currentSegmentID"], told["activeEffect"]) == ("StrokeSeg_1", "Paint")
    assert told["keyboardShortcuts"]
    assert told["viewObservations"]
    click(ui.reviewNextButton)
    assert told["segmentationNode"] is work.work.nodes.segmentation
    panel.widget.exit()
    assert told["activeEffect"] is None
    assert not told["keyboardShortcuts"]
    assert not told["viewObservations"]
    panel.widget.enter()
    slicer.mrmlScene.Clear(0)
    assert told["segmentationNode"] is None
    assert not told["keyboardShortcuts"]  # there is nothing to edit


def test_on_the_stand_in_a_folded_editor_answers_neither_keys_nor_mouse(start, study):
    """Its keys lie on Slicer's main window: Space would take the brush with no editor in sight."""
    panel, _work = start(study)
    ui = panel.ui
    click(ui.reviewNextButton)
    click(ui.reviewEditButton)
    told = ui.reviewEditorWidget.layout().itemAt(0).widget().told
    click(ui.reviewEditButton)
    assert (told["activeEffect"], told["keyboardShortcuts"], told["viewObservations"]) == (None, False, False)
    panel.widget.exit()
    panel.widget.enter()
    assert not told["keyboardShortcuts"]
    click(ui.reviewEditButton)
    assert told["keyboardShortcuts"]
    assert told["viewObservations"]

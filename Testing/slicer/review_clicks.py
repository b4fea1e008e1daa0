"""The review section as its tests use it: a small study, the panel unfolded, and what a reader does."""

from __future__ import annotations

import sys

import pytest
import slicer
from PySide6 import QtCore, QtTest, QtWidgets
from section_checks import section
from stand_in import ROOT

sys.path.append(str(ROOT / "Testing" / "library"))  # at the end: its conftest is not ours
from review_studies import small_study

from StrokeSegLib import review

#: The order of the study of small_study when those that a human must look at come first.
BY_NEED = ["case-002", "case-001", "case-003"]
STATUS = slicer.vtkSlicerSegmentationsModuleLogic


@pytest.fixture
def study(tmp_path):
    """Three cases: one lesion; two, the second one doubtful; none."""
    return small_study(tmp_path)


@pytest.fixture
def start(openPanel, module):
    """Opens the panel with the review section unfolded; the study and the reader as the user types them."""
    settings = slicer.app.userSettings()
    settings.clear()

    def begin(study, reader="r1"):
        panel = openPanel()
        work = section(panel, "review")
        panel.ui.reviewStudyPath.currentPath = str(getattr(study, "folder", study))
        typeReader(panel, reader)
        return panel, work

    yield begin
    settings.clear()
    settings.sync()


def typeReader(panel, reader):
    panel.ui.reviewReaderEdit.setText("")
    QtTest.QTest.keyClicks(panel.ui.reviewReaderEdit, reader)
    QtTest.QTest.keyClick(panel.ui.reviewReaderEdit, QtCore.Qt.Key_Return)


def press(panel, key, modifier=QtCore.Qt.ControlModifier):
    QtTest.QTest.keyClick(panel.frame, key, modifier)
    QtWidgets.QApplication.processEvents()


def listed(ui):
    return [ui.reviewCaseTable.item(row, 1).text() for row in range(ui.reviewCaseTable.rowCount)]


def statuses(ui):
    return {
        ui.reviewCaseTable.item(row, 1).text(): ui.reviewCaseTable.item(row, 2).text()
        for row in range(ui.reviewCaseTable.rowCount)
    }


def lesionCells(ui):
    return [
        [ui.reviewLesionTable.item(row, column).text() for column in range(5)]
        for row in range(ui.reviewLesionTable.rowCount)
    ]


def kinds(study, reader="r1"):
    return [(event.case_id, event.kind) for event in review.open_study(study.folder).events() if event.reader == reader]


def paint(nodes, corner=(6, 1, 1), side=2):
    """Voxels into the lesion's segment, as an effect of the Segment Editor does; returns the mask afterwards."""
    array = nodes.labels().array.copy()
    k, j, i = corner
    array[k : k + side, j : j + side, i : i + side] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, nodes.segmentation, "StrokeSeg_1", nodes.reference)
    return array


def everyNode():
    return {slicer.mrmlScene.GetNthNode(index).GetID() for index in range(slicer.mrmlScene.GetNumberOfNodes())}


def segmentStatus(nodes):
    return STATUS.GetSegmentStatus(nodes.segmentation.GetSegmentation().GetSegment("StrokeSeg_1"))


def choose(selector, name):
    selector.setCurrentIndex(selector.findData(name))

"""The adjudicator's way through the review section, on Slicer's own MRML and a Qt stand-in: not in Slicer itself."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import slicer
from review_clicks import choose, listed, typeReader
from section_checks import checkNothingIsCut
from stand_in import ROOT
from stand_in.panel import click

sys.path.append(str(ROOT / "Testing" / "library"))  # at the end: its conftest is not ours
from review_studies import RIGHT, mask

from StrokeSegLib import review

OTHERS = mask((RIGHT, 3))


@pytest.fixture
def disputed(study):
    """AB accepts the model's cube of case-001, CD another one; both agree on case-002. EF has to settle it."""
    review.correct(study, "CD", "case-001", OTHERS)
    for reader in ("AB", "CD"):
        for caseId in ("case-001", "case-002"):
            review.accept(study, reader, caseId)
    review.name_adjudicator(study, "EF")
    return study


def marksShown():
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node for node in nodes if "marks of" in node.GetName()]


def test_on_the_stand_in_an_adjudicator_begins_with_what_readers_disagree_on(start, disputed):
    panel, _work = start(disputed, "EF")
    ui = panel.ui
    assert ui.reviewFilterSelector.currentData == "disagree"
    assert listed(ui) == ["case-001"]
    choose(ui.reviewFilterSelector, "all")
    assert len(listed(ui)) == 3
    typeReader(panel, "r1")  # somebody else at the same computer is offered no such list
    assert ui.reviewFilterSelector.findData("disagree") == -1
    assert len(listed(ui)) == 3


def test_on_the_stand_in_marks_of_others_are_outlines_that_can_be_taken_over(start, disputed):
    panel, work = start(disputed, "EF")
    ui = panel.ui
    click(ui.reviewNextButton)
    assert "AB: accepted" in ui.reviewNotesLabel.text
    assert [ui.reviewMarksSelector.itemData(n) for n in range(ui.reviewMarksSelector.count)] == ["", "AB", "CD"]
    assert not ui.reviewMarksButton.enabled
    choose(ui.reviewMarksSelector, "CD")
    (node,) = marksShown()
    assert not node.GetDisplayNode().GetVisibility2DFill()
    assert node.GetSegmentation().GetNthSegment(0).GetColor() == (1.0, 1.0, 0.0)
    choose(ui.reviewMarksSelector, "AB")
    assert len(marksShown()) == 1  # one at a time
    choose(ui.reviewMarksSelector, "CD")
    click(ui.reviewMarksButton)
    assert "marks of CD" in ui.reviewStatusLabel.text
    np.testing.assert_array_equal(work.work.nodes.labels().array, OTHERS.array)
    checkNothingIsCut(panel)
    click(ui.reviewAcceptButton)
    click(ui.reviewSignButton)
    assert review.disagreements(review.open_study(disputed.folder))["case-001"].settled_by == "EF"
    taken = review.case_reading(review.open_study(disputed.folder), "EF", "case-001")
    assert taken.version == review.content_hash(OTHERS)
    choose(ui.reviewFilterSelector, "all")
    click(ui.reviewNextButton)
    assert marksShown() == []  # they went with the case


def test_on_the_stand_in_readers_see_others_marks_only_after_their_decision(start, disputed):
    panel, _work = start(disputed, "r1")
    ui = panel.ui
    choose(ui.reviewSortSelector, "table")
    click(ui.reviewNextButton)
    assert not ui.reviewMarksWidget.visible
    click(ui.reviewAcceptButton)
    assert ui.reviewMarksWidget.visible
    assert ui.reviewMarksSelector.count == 3

"""What a section shows after it was folded away: what was shown or hidden meanwhile counts, as in Slicer's own."""

from __future__ import annotations

import pytest
from PySide6 import QtWidgets
from stand_in.widgets import ctkCollapsibleButton


@pytest.fixture
def folding(qtApplication):
    """A section with two labels, the second of them hidden."""
    section = ctkCollapsibleButton()
    layout = QtWidgets.QVBoxLayout(section)
    labels = [QtWidgets.QLabel(word) for word in ("first", "second")]
    for label in labels:
        layout.addWidget(label)
    labels[1].setVisible(False)
    section.show()
    yield section, labels
    section.close()


def test_a_fold_brings_back_what_was_there(folding):
    section, (first, second) = folding
    section.collapsed = True
    assert first.isHidden()
    section.collapsed = False
    assert (first.isHidden(), second.isHidden()) == (False, True)


def test_what_is_hidden_or_shown_in_a_folded_section_is_so_once_it_is_unfolded(folding):
    section, (first, second) = folding
    section.collapsed = True
    first.setVisible(False)
    second.setVisible(True)
    assert first.isHidden()
    assert second.isHidden()
    section.collapsed = False
    assert (first.isHidden(), second.isHidden()) == (True, False)


def test_it_can_be_changed_back_and_forth_before_it_is_unfolded(folding):
    section, (first, second) = folding
    section.collapsed = True
    for shown in (False, True):
        first.setVisible(shown)
        second.setVisible(not shown)
    section.collapsed = False
    assert (first.isHidden(), second.isHidden()) == (False, True)

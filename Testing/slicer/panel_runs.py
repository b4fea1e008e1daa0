"""The panel as its tests use it: volumes in the scene, a model that stands for a network, and a run to its end."""

from __future__ import annotations

import slicer
from slicer_phantoms import addHead
from stand_in.panel import click, waitForRun
from stand_in_cards import Card, Input, card

CT = Card(id="ct", title="Blood on CT", inputs=(Input("ct"),), minimum_inputs=1)


def segmentations():
    return slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def chosen(ui, role):
    node = getattr(ui, f"{role}Selector").currentNode()
    return node.GetName() if node else None


def apply(openPanel, behavior="bright"):
    addHead("DWI")
    addHead("ADC")
    panel = openPanel(card(behavior))
    click(panel.ui.applyButton)
    return panel


def run(openPanel, *behaviors):
    """The panel after a run of each model."""
    addHead("DWI")
    addHead("ADC")
    panel = openPanel(*[card(each) for each in behaviors])
    for behavior in behaviors:
        panel.ui.modelSelector.setCurrentIndex(panel.ui.modelSelector.findData(behavior))
        click(panel.ui.applyButton)
        waitForRun(panel)
    return panel


def milliliters(panel):
    return panel.ui.summaryLabel.text.split(": ")[1].split(" mL")[0]

"""The model follows what is loaded, until the user chooses one."""

from __future__ import annotations

from slicer_phantoms import addCt, addHead
from stand_in_cards import Card, Input, Label


def chosen(ui, role):
    node = getattr(ui, f"{role}Selector").currentNode()
    return node.GetName() if node else None


MRI = Card(id="mri", title="Acute infarct", inputs=(Input("dwi"), Input("adc")))
EARLY = Card(id="early", title="Early ischemia", inputs=(Input("ct"),), minimum_inputs=1)
BOTH = Card(
    id="both",
    title="Ischemia and blood",
    inputs=(Input("ct"),),
    minimum_inputs=1,
    labels=(Label(1, "ischemic lesion"), Label(2, "hemorrhage")),
)
PERFUSION = Card(
    id="perfusion", title="Core", inputs=(Input("ct", False), Input("cbf"), Input("tmax")), minimum_inputs=2
)


def test_on_the_stand_in_the_model_follows_what_is_loaded_until_the_user_chooses_one(openPanel):
    panel = openPanel(MRI, EARLY, BOTH, PERFUSION)
    ui = panel.ui
    assert ui.modelSelector.currentData == "mri"
    addCt("head CT")
    assert ui.modelSelector.currentData == "both"  # of two that read a CT, the one that finds more
    assert chosen(ui, "ct") == "head CT"
    assert ui.applyButton.enabled
    ui.modelSelector.setCurrentIndex(ui.modelSelector.findData("early"))
    addHead("DWI")
    addHead("ADC")
    assert ui.modelSelector.currentData == "early"


def test_on_the_stand_in_a_model_that_can_read_what_is_there_stays(openPanel):
    addHead("DWI")
    addHead("ADC")
    ui = openPanel(MRI, EARLY, BOTH).ui
    addCt("head CT")
    assert ui.modelSelector.currentData == "mri"
    assert (chosen(ui, "dwi"), chosen(ui, "adc")) == ("DWI", "ADC")


def test_on_the_stand_in_maps_of_perfusion_choose_their_model_although_a_ct_is_there(openPanel):
    for name in ("CBF", "Tmax"):
        addHead(name)
    addCt("head CT")
    ui = openPanel(MRI, EARLY, BOTH, PERFUSION).ui
    assert ui.modelSelector.currentData == "perfusion"
    assert (chosen(ui, "cbf"), chosen(ui, "tmax"), chosen(ui, "ct")) == ("CBF", "Tmax", "head CT")

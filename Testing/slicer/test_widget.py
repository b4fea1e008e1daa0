"""Real clicks on the unmodified StrokeSeg.py and StrokeSeg.ui, on real MRML and a Qt stand-in: not in Slicer itself."""

from __future__ import annotations

import ast
import re

import pytest
import slicer
from panel_runs import apply, chosen, segmentations
from PySide6 import QtCore, QtWidgets
from slicer_phantoms import addCt, addHead, voxelVolumeMl
from stand_in import ROOT, pythonqt
from stand_in.panel import PANEL_WIDTH_PX, click, waitForRun, waitForStatus
from stand_in_cards import Card, Input, card


def test_on_the_stand_in_an_empty_scene_opens_the_panel_with_apply_off_and_says_what_is_missing(openPanel):
    ui = openPanel().ui
    assert not ui.applyButton.enabled
    assert ui.checkLabel.text == "Choose a volume for: DWI, ADC map"
    assert ui.disclaimerLabel.text == "Research use only, not a medical device."
    assert not ui.resultCollapsibleButton.visible
    assert not ui.progressBar.visible


def test_on_the_stand_in_diffusion_is_the_model_to_begin_with_wherever_it_stands_in_the_list(openPanel):
    perfusion = Card(id="ct-perfusion", title="Core", inputs=(Input("cbf", True),))
    addHead("DWI")
    addHead("ADC")
    ui = openPanel(perfusion, Card(id="mri", title="Acute infarct", inputs=(Input("dwi", True), Input("adc", True)))).ui
    assert ui.modelSelector.currentData == "mri"
    assert (chosen(ui, "dwi"), chosen(ui, "adc")) == ("DWI", "ADC")
    assert ui.applyButton.enabled


def test_on_the_stand_in_only_the_rows_of_the_model_are_shown_and_optional_ones_say_so(openPanel):
    ui = openPanel().ui
    assert ui.dwiSelector.visible
    assert ui.adcSelector.visible
    assert ui.flairSelector.visible
    assert not ui.ctSelector.visible
    assert not ui.ctLabel.visible
    assert ui.flairLabel.text == "FLAIR (optional)"
    assert ui.adcLabel.text == "ADC map"


def test_on_the_stand_in_a_second_click_while_packages_are_asked_for_starts_nothing_twice(openPanel, monkeypatch):
    from StrokeSegApp import dependencies

    asked = []

    def clickAgain():
        asked.append(panel.ui.applyButton.enabled)
        panel.segment.onApply()

    monkeypatch.setattr(dependencies, "ensureRequirements", clickAgain)
    addHead("DWI")
    addHead("ADC")
    panel = openPanel()
    click(panel.ui.applyButton)
    assert asked == [False]
    waitForRun(panel)
    assert len(segmentations()) == 1


def test_on_the_stand_in_another_model_shows_its_own_rows(openPanel):
    ct = Card(id="bright", title="CT model", inputs=(Input("ct"),), minimum_inputs=1)
    panel = openPanel(card("empty"), ct)
    assert not panel.ui.ctSelector.visible
    panel.ui.modelSelector.setCurrentIndex(1)
    addCt("head CT")
    assert panel.ui.ctSelector.visible
    assert not panel.ui.dwiSelector.visible
    assert chosen(panel.ui, "ct") == "head CT"
    assert panel.ui.applyButton.enabled


def test_on_the_stand_in_a_damaged_model_folder_is_said_and_nothing_can_be_pressed(module, monkeypatch):
    from stand_in.panel import OpenPanel

    from StrokeSegLib.errors import InputError

    def fail(self):
        raise InputError("Resources/Models/mri/model.json is damaged; reinstall the extension")

    monkeypatch.setattr(module.StrokeSegLogic, "models", fail)
    panel = OpenPanel(module)
    assert panel.ui.checkLabel.text == "No model is installed."
    assert panel.ui.statusLabel.text.startswith("Resources/Models/mri/model.json is damaged")
    assert not panel.ui.applyButton.enabled
    panel.close()


def test_on_the_stand_in_apply_shows_the_lesions_their_volumes_and_warnings(openPanel):
    panel = apply(openPanel)
    assert panel.ui.applyButton.text == "Cancel"
    assert panel.ui.statusLabel.text == "Starting"  # at once, long before the worker's first word
    assert panel.ui.progressBar.visible
    assert not panel.ui.inputsCollapsibleButton.enabled
    waitForRun(panel)
    ui = panel.ui
    assert re.fullmatch(r"Done in \d+ s\. Device: Processor \(CPU\)", ui.statusLabel.text)
    assert ui.applyButton.text == "Apply"
    assert not ui.progressBar.visible
    total = 31 * voxelVolumeMl("axial")  # 27 + 4 voxels of 12 mm3
    assert ui.summaryLabel.text == f"Ischemic lesion: {total:.2f} mL in 2 lesions"
    rows = [[ui.lesionTable.item(row, column).text() for column in range(1, 5)] for row in range(2)]
    assert [row[0] for row in rows] == ["0.32", "0.05"]
    assert rows[0][1] in ("left", "right")
    assert rows[0][3] == "0.90"
    assert ui.notesLabel.text == "adc read as 10-6 mm2/s"
    assert len(segmentations()) == 1


def test_on_the_stand_in_cancel_stops_the_run_and_the_panel_is_ready_again(openPanel):
    panel = apply(openPanel, "slow")
    waitForStatus(panel, "Looking for lesions: 1 of 4, 30 s left")
    assert panel.ui.progressBar.value == 35  # read 5, load 5, prepare 10, and a quarter of the network's 60
    click(panel.ui.applyButton)
    assert panel.run is None
    assert segmentations() == []
    assert panel.ui.statusLabel.text == "Canceled"
    assert panel.ui.applyButton.text == "Apply"
    assert panel.ui.applyButton.enabled
    assert panel.ui.inputsCollapsibleButton.enabled


def test_on_the_stand_in_refused_input_shows_the_childs_one_line_and_no_details(openPanel):
    panel = apply(openPanel, "refuse")
    waitForRun(panel)
    assert panel.ui.statusLabel.text.startswith("volume 'DWI' looks like a CT")
    assert not panel.ui.detailsButton.visible
    assert panel.ui.applyButton.enabled


def test_on_the_stand_in_a_crash_shows_one_line_and_the_childs_words_behind_a_button(openPanel, caplog):
    panel = apply(openPanel, "crash")
    waitForRun(panel)
    assert panel.ui.statusLabel.text == "The segmentation stopped unexpectedly (exit code 1)."
    assert panel.ui.detailsButton.visible
    assert "the weights do not fit" in panel.segment.details
    click(panel.ui.detailsButton)
    assert "stopped unexpectedly" in caplog.text
    click(panel.ui.applyButton)  # and again: a failed run leaves the panel as it was
    waitForRun(panel)
    assert segmentations() == []


def test_on_the_stand_in_missing_packages_that_the_user_declines_are_named(openPanel, monkeypatch):
    from StrokeSegApp import dependencies

    monkeypatch.setattr(dependencies, "missingRequirements", lambda: ["openvino>=2025.0"])
    panel = apply(openPanel)
    assert panel.ui.statusLabel.text == (
        "These packages are needed and not installed: openvino>=2025.0 (User declined package installation);"
        " press the button again to be asked again"
    )
    assert panel.run is None
    assert panel.ui.applyButton.enabled


def test_on_the_stand_in_closing_the_scene_in_a_run_cancels_it_and_the_panel_goes_on(openPanel):
    panel = apply(openPanel, "slow")
    waitForStatus(panel, "Looking for lesions: 1 of 4, 30 s left")
    slicer.mrmlScene.Clear(0)
    assert panel.run is None
    assert panel.ui.checkLabel.text == "Choose a volume for: DWI, ADC map"
    addHead("DWI")
    addHead("ADC")
    assert panel.ui.applyButton.enabled


def test_on_the_stand_in_a_volume_deleted_in_a_run_ends_it_with_a_word_and_nothing_breaks(openPanel):
    panel = apply(openPanel, "bright")
    slicer.mrmlScene.RemoveNode(panel.ui.dwiSelector.currentNode())
    waitForRun(panel)
    assert panel.ui.statusLabel.text == "volume 'DWI' was removed during the run; nothing was added"
    assert not panel.ui.applyButton.enabled


def test_on_the_stand_in_deleting_the_result_empties_the_table(openPanel):
    panel = apply(openPanel)
    waitForRun(panel)
    assert panel.ui.resultCollapsibleButton.visible
    slicer.mrmlScene.RemoveNode(segmentations()[0])
    assert not panel.ui.resultCollapsibleButton.visible


def test_on_the_stand_in_a_second_run_adds_a_second_segmentation_and_leaves_the_first(openPanel):
    panel = apply(openPanel)
    waitForRun(panel)
    first = segmentations()[0].GetName()
    click(panel.ui.applyButton)
    waitForRun(panel)
    assert next(node.GetName() for node in segmentations()) == first
    assert len({node.GetName() for node in segmentations()}) == 2


def test_on_the_stand_in_a_saved_scene_shows_its_result_again(openPanel, tmp_path):
    panel = apply(openPanel)
    waitForRun(panel)
    text = panel.ui.summaryLabel.text
    path = str(tmp_path / "case.mrb")
    assert slicer.mrmlScene.WriteToMRB(path, None)
    slicer.mrmlScene.Clear(0)
    assert not panel.ui.resultCollapsibleButton.visible
    assert slicer.mrmlScene.ReadFromMRB(path)
    assert panel.ui.resultCollapsibleButton.visible
    assert panel.ui.summaryLabel.text == text


def test_on_the_stand_in_a_scene_opened_in_the_place_of_another_shows_its_result(openPanel, tmp_path):
    """As the application opens a scene file: closing and reading are one batch, which ends after both."""
    panel = apply(openPanel)
    waitForRun(panel)
    text = panel.ui.summaryLabel.text
    path = str(tmp_path / "case.mrb")
    scene = slicer.mrmlScene
    assert scene.WriteToMRB(path, None)
    scene.StartState(scene.BatchProcessState)
    scene.Clear(0)
    assert scene.ReadFromMRB(path)
    scene.EndState(scene.BatchProcessState)
    assert panel.ui.resultCollapsibleButton.visible
    assert panel.ui.summaryLabel.text == text
    assert panel.widget.panel.parameterNode is panel.widget.logic.getParameterNode()


def test_on_the_stand_in_closing_the_module_ends_a_run(openPanel):
    panel = apply(openPanel, "slow")
    run = panel.run
    panel.widget.cleanup()
    assert run._child.exit_code() is not None
    panel.panel.close()  # a second close is harmless


@pytest.mark.parametrize("behavior", ["bright", "two", "empty", "crash"])
def test_on_the_stand_in_no_label_is_cut_at_320_pixels(openPanel, behavior):
    panel = apply(openPanel, behavior)
    waitForRun(panel)
    QtWidgets.QApplication.processEvents()
    assert panel.frame.width == PANEL_WIDTH_PX
    for label in panel.frame.findChildren(QtWidgets.QLabel):
        if label.visible and label.text:
            needed = label.heightForWidth(label.width) if label.wordWrap else label.sizeHint().height()
            assert label.height >= needed, label.text
            widest = max(label.fontMetrics().horizontalAdvance(word) for word in label.text.split())
            assert label.width >= widest, label.text
            right = label.mapTo(panel.frame, QtCore.QPoint(label.width, 0)).x()
            assert right <= PANEL_WIDTH_PX, label.text
    table = panel.ui.lesionTable
    if table.visible:
        header = table.horizontalHeader()
        for column in range(table.columnCount):
            if table.isColumnHidden(column):
                continue
            lines = table.horizontalHeaderItem(column).text().split("\n")
            needed = max(header.fontMetrics().horizontalAdvance(line) for line in lines)
            assert header.sectionSize(column) >= needed + 4, lines
            texts = [table.item(row, column).text() for row in range(table.rowCount)]
            needed = max(table.fontMetrics().horizontalAdvance(text) for text in texts)
            assert table.columnWidth(column) >= needed + 4, texts


def test_the_stand_in_refuses_what_pythonqt_refuses(qtApplication):
    import qt

    button = qt.QPushButton()
    with pytest.raises(ValueError, match="no signal 'pressedTwice"):
        button.connect("pressedTwice()", print)
    with pytest.raises(ValueError, match="no signal 'clicked'"):
        button.connect("clicked", print)
    button.caption = "Apply"
    assert pythonqt.strayAttributes(button) == ["QPushButton : caption"]
    with pytest.raises(AttributeError):
        button.textt  # noqa: B018 - the access is the test
    button.text = "Apply"
    assert button.text == "Apply"


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        ("ctkSliderWidget", "fooBar", 1.0),
        ("ctkSliderWidget", "setValue", 1.0),
        ("qMRMLNodeComboBox", "nonsense", True),
        ("ctkCollapsibleButton", "colapsed", True),
        ("ctkPathLineEdit", "path", "/tmp"),
        ("qMRMLWidget", "mrmlScene", None),
    ],
)
def test_the_stand_in_refuses_what_slicers_own_widgets_do_not_have(qtApplication, name, attribute, value):
    widget = pythonqt.customWidgets[name]()
    with pytest.raises(AttributeError, match=f"{name} has no property '{attribute}'"):
        setattr(widget, attribute, value)
    widget.toolTip = "one that every widget has"
    assert widget.toolTip == "one that every widget has"


def test_the_stand_in_module_describes_itself_and_loads_its_terminology_at_startup(module):
    parent = module.instance.parent
    assert parent.title == "StrokeSeg"
    assert parent.categories == ["Segmentation"]
    assert "not a medical device" in parent.helpText
    assert not parent.icon.isNull()
    assert slicer.app.startupCallbacks != []
    for callback in slicer.app.startupCallbacks:
        callback()


def test_every_word_on_the_stand_in_screen_can_be_translated():
    """Literals that reach the screen from Python go through _(): nothing is set to a bare string of words."""
    bare = re.compile(r"""(setText|_say|setToolTip|addItem|errorDisplay)\(\s*f?["'][A-Za-z]""")
    for path in (ROOT / "StrokeSeg").rglob("*.py"):
        assert bare.search(path.read_text()) is None, path


def test_on_the_stand_in_a_slicer_that_is_too_old_is_told_and_nothing_breaks(module, monkeypatch):
    from StrokeSegApp import paths

    monkeypatch.setattr(paths, "PYTHON_NEEDED", (99, 0))
    frame = QtWidgets.QWidget()
    QtWidgets.QVBoxLayout(frame)
    widget = module.StrokeSegWidget(frame)
    widget.setup()
    labels = frame.findChildren(QtWidgets.QLabel)
    assert any("needs Slicer 5.12" in label.text for label in labels)
    widget.enter()
    widget.exit()
    widget.cleanup()
    module._onStartup()


@pytest.mark.parametrize("name", ["StrokeSeg.py", "StrokeSegApp/paths.py", "StrokeSegApp/console.py"])
def test_what_an_old_slicer_reads_at_its_start_is_python_that_it_knows(name):
    ast.parse((ROOT / "StrokeSeg" / name).read_text(encoding="utf-8"), feature_version=(3, 9))

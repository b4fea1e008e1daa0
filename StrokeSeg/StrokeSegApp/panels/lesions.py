"""The findings of a result: what was found and how much, a table of lesions, a click that goes there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from StrokeSegApp import edits, parameters, result_watch, scene
from StrokeSegApp.panel_words import inPanelWords
from StrokeSegApp.saving import saveFindings
from StrokeSegLib.errors import InputError

FINDING_COLUMN = 0
PROBABILITY_COLUMN = 4
VALUE_COLUMN = 5
#: A longer table scrolls.
SHOWN_ROWS = 8
HEADER_LINES = 2
FRAME_PX = 4


class LesionsPanel:
    """Shows the measurements that are kept on the chosen result."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self._centers: list[list[float]] = []
        self._measured: tuple[Any, ...] = ()  # the edited segments that were measured last
        headers = [_("Finding"), _("Volume\n(mL)"), _("Side"), _("Diam.\n(mm)"), _("Mean\nprob."), ""]
        tips = [
            _("What was found"),
            _("Volume of the lesion in milliliters"),
            _("Side of the patient"),
            _("Largest diameter in millimeters"),
            _("Mean probability that the model gives the voxels of the lesion, 0 to 1"),
            "",
        ]
        table = ui.lesionTable
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(headers)
        for column, tip in enumerate(tips):
            table.horizontalHeaderItem(column).setToolTip(tip)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        table.horizontalHeader().setSectionResizeMode(FINDING_COLUMN, qt.QHeaderView.ResizeToContents)
        table.verticalHeader().setVisible(False)
        table.connect("cellClicked(int,int)", self._jump)
        table.connect("currentCellChanged(int,int,int,int)", self._jump)
        ui.lesionCopyButton.connect("clicked(bool)", self.onCopy)
        ui.lesionSaveButton.connect("clicked(bool)", self.onSave)

    def update(self) -> None:
        """Show the chosen result; none, or a node that is not one of ours, empties the section."""
        segmentation = parameters.result(self._logic.getParameterNode())
        edited = scene.storedMeasurements(segmentation) is not None and result_watch.isEdited(segmentation)
        if edited and self._measured != edits.state(segmentation):
            edits.remeasure(segmentation)
            self._measured = edits.state(segmentation)
        measurements = scene.storedMeasurements(segmentation)
        self._ui.lesionsCollapsibleButton.setVisible(measurements is not None)
        if measurements is None:
            measurements = {}
        self._ui.summaryLabel.setText(_summary(measurements))
        self._ui.lesionCopyButton.setVisible(bool(measurements.get("lesions")))
        self._ui.lesionSaveButton.setVisible(bool(measurements))  # that nothing was found is a finding too
        self._ui.classLabel.setText(_class(measurements))
        self._ui.classLabel.setVisible(bool(self._ui.classLabel.text))
        notes = [*_editNotes(measurements, edited), *_notes(measurements)]
        self._ui.notesLabel.setText("\n".join(notes))
        self._ui.notesLabel.setVisible(bool(notes))
        self._fill(measurements)

    def onCopy(self, checked: bool = False) -> None:
        measurements = scene.storedMeasurements(parameters.result(self._logic.getParameterNode()))
        if measurements is not None:
            qt.QApplication.clipboard().setText(asTable(measurements))

    def onSave(self, checked: bool = False) -> None:
        result = parameters.result(self._logic.getParameterNode())
        measurements = scene.storedMeasurements(result)
        if measurements is None:
            return
        kinds = ";;".join((_("Table (*.csv)"), _("All numbers (*.json)")))
        proposed = f"{result.GetName()}.csv"
        chosen = qt.QFileDialog.getSaveFileName(None, _("Save the findings"), proposed, kinds)
        if chosen:
            try:
                saveFindings(Path(chosen), measurements, asTable(measurements))
            except InputError as error:
                slicer.util.errorDisplay(str(error))

    def _fill(self, measurements: Mapping[str, Any]) -> None:
        table = self._ui.lesionTable
        names = {label["value"]: label["name"] for label in measurements.get("labels", [])}
        lesions = measurements.get("lesions", [])
        self._centers = [lesion["centroid_ras_mm"] for lesion in lesions]
        table.blockSignals(True)  # filling is not clicking: the views stay where they are
        table.setRowCount(len(lesions))
        for row, lesion in enumerate(lesions):
            diameter, probability = lesion["max_diameter_mm"], lesion["mean_probability"]
            texts = [
                str(names.get(lesion["label"], lesion["label"])).capitalize(),
                volumeText(lesion["volume_ml"]),
                _sideText(lesion["side"]),
                "" if diameter is None else f"{diameter:.0f}",
                "" if probability is None else f"{probability:.2f}",
                f"{lesion['mean_value']:.0f}" if "mean_value" in lesion else "",
            ]
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setTextAlignment(qt.Qt.AlignCenter)
                item.setToolTip(_("Click to go to this lesion"))
                table.setItem(row, column, item)
        table.setCurrentCell(-1, -1)
        table.blockSignals(False)
        rows = min(len(lesions), SHOWN_ROWS)
        header_px = HEADER_LINES * table.fontMetrics().height() + 2 * FRAME_PX
        table.horizontalHeader().setFixedHeight(header_px)
        table.setFixedHeight(header_px + rows * table.verticalHeader().defaultSectionSize + FRAME_PX)
        # A narrow panel has no room for more: with several kinds of finding, their names are worth more.
        table.setColumnHidden(FINDING_COLUMN, len(names) < 2)
        table.setColumnHidden(PROBABILITY_COLUMN, len(names) >= 2)
        self._showValue(measurements, len(names) < 2)
        table.setVisible(bool(lesions))

    def _showValue(self, measurements: Mapping[str, Any], room: bool) -> None:
        """The column of the mean ADC or HU, where the model reads an image that holds one; Copy table always has it."""
        value = measurements.get("lesion_value")
        self._ui.lesionTable.setColumnHidden(VALUE_COLUMN, value is None or not room)
        if value is not None:
            header = self._ui.lesionTable.horizontalHeaderItem(VALUE_COLUMN)
            header.setText(_("Mean\nADC") if value["role"] == "adc" else _("Mean\nHU"))
            header.setToolTip(_("Mean of the image over the lesion, {unit}").format(unit=value["unit"]))

    def _jump(self, row: int) -> None:
        if 0 <= row < len(self._centers):
            scene.jumpTo(self._centers[row])


def asTable(measurements: Mapping[str, Any]) -> str:
    """Every lesion and the total of each finding, a line each, with tabs between the cells, as spreadsheets take it."""
    value = measurements.get("lesion_value")
    headers = (
        _("Finding"),
        _("Volume (mL)"),
        _("Side"),
        _("Diameter (mm)"),
        _("Mean probability"),
        *([_("Mean {image} ({unit})").format(image=value["role"].upper(), unit=value["unit"])] if value else []),
        *(_("Center {axis} (mm)").format(axis=axis) for axis in "RAS"),
    )
    names = {label["value"]: label["name"].capitalize() for label in measurements["labels"]}
    rows: list[tuple[Any, ...]] = [headers]
    for lesion in measurements["lesions"]:
        what = (names.get(lesion["label"], lesion["label"]), lesion["volume_ml"], _sideText(lesion["side"]))
        means = [lesion["mean_probability"], *([lesion.get("mean_value")] if value else [])]
        rows.append((*what, lesion["max_diameter_mm"], *means, *lesion["centroid_ras_mm"]))
    for label in measurements["labels"]:
        rows.append((_("{name}, total").format(name=label["name"].capitalize()), label["volume_ml"]))
    if perfusion := measurements.get("perfusion"):
        rows.append((_("Mismatch"), perfusion["mismatch_ml"]))
        rows.append((_("Mismatch ratio"), perfusion["mismatch_ratio"]))
    if measurements.get(edits.EDITED):
        rows.append((_("Edited by hand"),))
    return "".join("\t".join("" if cell is None else str(cell) for cell in row) + "\n" for row in rows)


def volumeText(volume_ml: float) -> str:
    """Milliliters with one decimal, two below 1 mL; a finding is never rounded to nothing."""
    if 0 < volume_ml < 0.01:
        return "<0.01"
    return f"{volume_ml:.1f}" if volume_ml >= 1 else f"{volume_ml:.2f}"


def _editNotes(measurements: Mapping[str, Any], edited: bool) -> list[str]:
    if measurements.get(edits.EDITED):
        return [_("Edited by hand: the numbers are of the segments as they are now. Added segments do not count.")]
    return [_("Edited by hand: the numbers are of the result before the edits.")] if edited else []


def _notes(measurements: Mapping[str, Any]) -> list[str]:
    """What a reader should know: why to look closely, then the warnings that are not among these reasons."""
    reasons = measurements.get("needs_review", {}).get("reasons", [])
    warnings = [each for each in measurements.get("warnings", []) if not any(each in reason for reason in reasons)]
    checks = [_("Please check: {reason}").format(reason=reason) for reason in reasons]
    return [*_improbable(measurements), *(inPanelWords(note) for note in (*checks, *warnings))]


def _improbable(measurements: Mapping[str, Any]) -> list[str]:
    """How many marks were left out because the model's calibration takes them for none."""
    left = measurements.get("improbable", {})
    count = left.get("lesions", 0)
    if count == 0:
        return []
    text = (
        _("1 improbable lesion was left out ({volume} mL).")
        if count == 1
        else _("{count} improbable lesions were left out ({volume} mL in all).")
    )
    return [text.format(count=count, volume=volumeText(left["volume_ml"]))]


def _summary(measurements: Mapping[str, Any]) -> str:
    if not measurements.get("lesions"):
        return _("No lesion marked") if measurements.get(edits.EDITED) else _("No lesion found")
    lines = []
    for label in measurements["labels"]:
        text = (
            _("{name}: {volume} mL in 1 lesion")
            if label["lesion_count"] == 1
            else _("{name}: {volume} mL in {count} lesions")
        )
        lines.append(
            text.format(
                name=label["name"].capitalize(), volume=volumeText(label["volume_ml"]), count=label["lesion_count"]
            )
        )
    return "\n".join([*lines, *_mismatch(measurements)])


def _mismatch(measurements: Mapping[str, Any]) -> list[str]:
    """What perfusion says beside the volumes of core and penumbra: tissue at risk less core, and over core."""
    perfusion = measurements.get("perfusion")
    if not perfusion:
        return []
    volume, ratio = volumeText(perfusion["mismatch_ml"]), perfusion["mismatch_ratio"]
    if ratio is None:
        return [_("Mismatch: {volume} mL (no core, so no ratio)").format(volume=volume)]
    return [_("Mismatch: {volume} mL, ratio {ratio}").format(volume=volume, ratio=f"{ratio:.1f}")]


def _class(measurements: Mapping[str, Any]) -> str:
    """What the model's classifier makes of the whole case; empty for models without one."""
    classification = measurements.get("classification")
    if not classification:
        return ""
    scores = ", ".join(f"{name} {score:.2f}" for name, score in classification.get("scores", {}).items())
    return _("Class: {name} (scores: {scores})").format(name=classification["class"], scores=scores)


def _sideText(side: str) -> str:
    known = {"left": _("left"), "right": _("right"), "midline": _("midline"), "both": _("both")}
    return known.get(side, side)

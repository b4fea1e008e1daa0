"""What the tests of the sections share: wait for one, and see that nothing in it is cut."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from PySide6 import QtCore, QtWidgets

#: Tables with no more rows show them all.
FEW_ROWS = 4


def section(panel: Any, name: str) -> Any:
    """Unfold a section alone, as a user does who works in it; returns its panel."""
    import StrokeSegApp.widget as app

    for button in panel.frame.findChildren(QtWidgets.QWidget):
        if type(button).__name__ == "ctkCollapsibleButton":
            button.collapsed = button.objectName != f"{name}CollapsibleButton"
    QtWidgets.QApplication.processEvents()
    kind = next(each for each in app.PANELS if each.__name__.lower() == f"{name}panel")
    return panel.panel.panel(kind)


def waitUntil(condition: Any, said: Any, seconds: float = 30.0) -> None:
    """Let the event loop run until something holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, said()
        QtWidgets.QApplication.processEvents()
        time.sleep(0.01)


def checkNothingIsCut(panel: Any, widthPx: int = 320) -> None:
    """Every visible word of the panel is inside it and has room.

    Raises:
        AssertionError: One has not.
    """
    for _settling in range(3):  # a label that grows moves what is below it at the next turn
        QtWidgets.QApplication.processEvents()
    assert panel.frame.width == widthPx
    checks = {
        QtWidgets.QLabel: _checkLabel,
        QtWidgets.QPushButton: _checkButton,
        QtWidgets.QCheckBox: _checkBox,
        QtWidgets.QComboBox: _checkCombo,
        QtWidgets.QTableWidget: _checkTable,
    }
    for kind, check in checks.items():
        for widget in panel.frame.findChildren(kind):
            if widget.visible:
                check(widget)
                right = widget.mapTo(panel.frame, QtCore.QPoint(widget.width, 0)).x()
                assert right <= widthPx, widget.objectName


def _checkLabel(label: Any) -> None:
    if label.text:
        needed = label.heightForWidth(label.width) if label.wordWrap else label.sizeHint().height()
        assert label.height >= needed, label.text
        widest = max(label.fontMetrics().horizontalAdvance(word) for word in label.text.split())
        assert label.width >= widest, label.text


def _checkButton(button: Any) -> None:
    assert button.width >= button.fontMetrics().horizontalAdvance(button.text) + 4, button.text


def _checkBox(box: Any) -> None:
    assert box.width >= box.sizeHint().width(), box.text


def _checkTable(table: Any) -> None:
    header = table.horizontalHeader()
    columns = [column for column in range(table.columnCount) if not table.isColumnHidden(column)]
    for column in columns:
        text = table.horizontalHeaderItem(column).text()
        for line in text.split("\n"):
            assert header.sectionSize(column) >= header.fontMetrics().horizontalAdvance(line), text
    _checkCells(table, columns)


def _checkCells(table: Any, columns: Sequence[int]) -> None:
    """Each cell's text has room in its row and column, and a few rows need no scrolling."""
    margin = 2 * (table.style().pixelMetric(QtWidgets.QStyle.PixelMetric.PM_FocusFrameHMargin) + 1)
    for row in range(table.rowCount):
        assert table.rowHeight(row) >= table.sizeHintForRow(row), [table.objectName, row]
        for column in columns:
            words = table.item(row, column).text().split() if table.item(row, column) else []
            for word in words:
                needed = table.fontMetrics().horizontalAdvance(word) + margin
                assert table.columnWidth(column) >= needed, [table.objectName, word]
    if table.rowCount <= FEW_ROWS:
        assert table.verticalScrollBar().maximum == 0, table.objectName


def _checkCombo(combo: Any) -> None:
    """What is chosen can be read, or where it is too long, its tool tip says it."""
    if type(combo).__name__ == "qMRMLNodeComboBox":
        return  # the user's own names may be of any length
    option = QtWidgets.QStyleOptionComboBox()
    combo.initStyleOption(option)
    style = QtWidgets.QStyle
    field = combo.style().subControlRect(
        style.ComplexControl.CC_ComboBox, option, style.SubControl.SC_ComboBoxEditField, combo
    )
    text = combo.currentText
    assert field.width() >= combo.fontMetrics().horizontalAdvance(text) or text in combo.toolTip, text

"""What the tests of the sections share: wait for one, and see that nothing in it is cut."""

from __future__ import annotations

import time
from typing import Any

from PySide6 import QtCore, QtWidgets


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
    for label in panel.frame.findChildren(QtWidgets.QLabel):
        if not label.visible or not label.text:
            continue
        needed = label.heightForWidth(label.width) if label.wordWrap else label.sizeHint().height()
        assert label.height >= needed, label.text
        widest = max(label.fontMetrics().horizontalAdvance(word) for word in label.text.split())
        assert label.width >= widest, label.text
        assert label.mapTo(panel.frame, QtCore.QPoint(label.width, 0)).x() <= widthPx, label.text
    for button in panel.frame.findChildren(QtWidgets.QPushButton):
        if button.visible:
            assert button.width >= button.fontMetrics().horizontalAdvance(button.text) + 4, button.text
            assert button.mapTo(panel.frame, QtCore.QPoint(button.width, 0)).x() <= widthPx, button.text
    for table in panel.frame.findChildren(QtWidgets.QTableWidget):
        header = table.horizontalHeader()
        for column in range(table.columnCount if table.visible else 0):
            text = table.horizontalHeaderItem(column).text()
            assert header.sectionSize(column) >= header.fontMetrics().horizontalAdvance(text), text

"""The panel as a user has it: opened, clicked with the mouse, waited for."""

from __future__ import annotations

import time
from typing import Any

from PySide6 import QtCore, QtTest, QtWidgets

from stand_in import widgets

#: The narrowest panel that Slicer's users work with.
PANEL_WIDTH_PX = 320
PANEL_HEIGHT_PX = 640
#: What has just been shown has its place after so many rounds of events.
LAYOUT_ROUNDS = 3


class OpenPanel:
    """A module's widget on the screen. Attributes: ``widget``, its ``panel`` and ``ui``, and the ``frame`` around."""

    def __init__(self, module: Any, width: int = PANEL_WIDTH_PX, height: int = PANEL_HEIGHT_PX) -> None:
        self.frame = widgets.qMRMLWidget()
        inside = widgets.qMRMLWidget()
        for each in (self.frame, inside):
            QtWidgets.QVBoxLayout(each).setContentsMargins(0, 0, 0, 0)
        scroll = QtWidgets.QScrollArea()  # as in Slicer: what is longer than the window scrolls, nothing is squeezed
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarAlwaysOff)
        scroll.setFrameShape(QtWidgets.QFrame.NoFrame)
        scroll.setWidget(inside)
        self.frame.layout().addWidget(scroll)
        self.frame.resize(width, height)
        self.widget = module.StrokeSegWidget(inside)
        self.widget.setup()
        self.frame.show()
        self.widget.enter()
        self.panel, self.ui = self.widget.panel, self.widget.ui

    @property
    def run(self) -> Any:
        """The run in progress, or None."""
        return self.segment.run

    @property
    def segment(self) -> Any:
        """The panel that starts runs."""
        from StrokeSegApp.panels.segment import SegmentPanel

        return self.panel.panel(SegmentPanel)

    @property
    def input(self) -> Any:
        """The panel that loads."""
        from StrokeSegApp.panels.input import InputPanel

        return self.panel.panel(InputPanel)

    def close(self) -> None:
        self.widget.cleanup()
        for selector in self.frame.findChildren(widgets.qMRMLNodeComboBox):
            selector.release()
        self.frame.close()


def click(widget: Any) -> None:
    for _ in range(LAYOUT_ROUNDS):
        QtWidgets.QApplication.processEvents()
    QtTest.QTest.mouseClick(widget, QtCore.Qt.LeftButton)
    QtWidgets.QApplication.processEvents()


def tick(box: Any) -> None:
    """Click a check box on its mark: the empty place beside its text does not count."""
    QtTest.QTest.mouseClick(box, QtCore.Qt.LeftButton, pos=QtCore.QPoint(8, box.height // 2))
    QtWidgets.QApplication.processEvents()


def clickCell(table: Any, row: int, column: int) -> None:
    rectangle = table.visualItemRect(table.item(row, column))
    QtTest.QTest.mouseClick(table.viewport(), QtCore.Qt.LeftButton, pos=rectangle.center())
    QtWidgets.QApplication.processEvents()


def waitForRun(panel: OpenPanel, seconds: float = 20) -> None:
    """Until the run has ended in any way."""
    _wait(panel, lambda: panel.run is None, seconds)


def waitForStatus(panel: OpenPanel, text: str, seconds: float = 20) -> None:
    """Until the status line says so."""
    _wait(panel, lambda: text in panel.ui.statusLabel.text, seconds)


def waitUntil(panel: OpenPanel, condition: Any, seconds: float = 20) -> None:
    """Until a condition holds."""
    _wait(panel, condition, seconds)


def _wait(panel: OpenPanel, condition: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, panel.ui.statusLabel.text
        QtWidgets.QApplication.processEvents()
        time.sleep(0.01)

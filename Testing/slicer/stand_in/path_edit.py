"""Stand-in for ctkPathLineEdit, and the module ``ctk`` that holds its enumeration."""

from __future__ import annotations

import sys
import types

from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from stand_in import pythonqt

BUTTON_PX = 28


class ctkPathLineEdit(pythonqt.Strict, QtWidgets.QWidget):
    """A line for a path and a button to browse; nothing more of the original than the panels use."""

    Files, Dirs = 0x002, 0x001
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._filters = self.Files
        self._nameFilters: list[str] = []
        self._line = QtWidgets.QLineEdit()
        button = QtWidgets.QToolButton()
        button.setText("...")
        button.setFixedWidth(BUTTON_PX)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._line)
        row.addWidget(button)
        self._valid = False
        self._line.textChanged.connect(self._onText)

    def _onText(self, text: str) -> None:
        """As the original: an empty line is no valid input, and the path of such a one is not told."""
        before, self._valid = self._valid, bool(text)
        if self._valid:
            self.currentPathChanged.emit(text)
        if self._valid != before:
            self.validInputChanged.emit(self._valid)

    currentPath = Property(str, lambda self: self._line.text, lambda self, path: self._line.setText(path))
    filters = Property(int, lambda self: self._filters, lambda self, value: setattr(self, "_filters", value))
    nameFilters = Property(
        "QStringList", lambda self: self._nameFilters, lambda self, value: setattr(self, "_nameFilters", list(value))
    )


def install(customWidgets: dict[str, type]) -> None:
    """Make it known to .ui files and to ``import ctk``."""
    customWidgets[ctkPathLineEdit.__name__] = ctkPathLineEdit
    ctk = sys.modules.setdefault("ctk", types.ModuleType("ctk"))
    ctk.ctkPathLineEdit = ctkPathLineEdit

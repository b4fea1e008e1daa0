"""Stand-ins for the qMRML and ctk widgets that StrokeSeg.ui names; nothing more of them than it uses."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from stand_in import pythonqt

HEADER_PX = 24


def install() -> None:
    """Make the stand-ins known to .ui files and to ``slicer``."""
    for cls in (qMRMLWidget, qMRMLNodeComboBox, ctkCollapsibleButton):
        pythonqt.customWidgets[cls.__name__] = cls
        if cls.__name__.startswith("qMRML"):
            setattr(slicer, cls.__name__, cls)


class qMRMLWidget(QtWidgets.QWidget):
    """The root of a module's panel: passes the scene on to those that connect to it."""

    mrmlSceneChanged = Signal(object)
    signatures = ("mrmlSceneChanged(vtkMRMLScene*)",)

    def setMRMLScene(self, scene: Any) -> None:
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QtWidgets.QComboBox):
    """Lists the nodes of the scene that fit; empty until it is given a scene, as the original."""

    currentNodeChanged = Signal(object)
    signatures = ("currentNodeChanged(vtkMRMLNode*)", "currentNodeChanged(bool)")

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._options = {
            "nodeTypes": [],
            "showChildNodeTypes": True,
            "noneEnabled": False,
            "addEnabled": True,
            "removeEnabled": True,
        }
        self._scene: Any = None
        self._current: Any = None
        self._filling = False
        self._observations: list[int] = []
        self.currentIndexChanged.connect(self._indexChanged)

    def _option(name: str, kind: Any) -> Property:
        return Property(kind, lambda self: self._options[name], lambda self, value: self._options.update({name: value}))

    nodeTypes = _option("nodeTypes", "QStringList")
    showChildNodeTypes = _option("showChildNodeTypes", bool)
    noneEnabled = _option("noneEnabled", bool)
    addEnabled = _option("addEnabled", bool)
    removeEnabled = _option("removeEnabled", bool)

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndImportEvent):
            self._observations.append(scene.AddObserver(event, lambda *_: self._fill()))
        self._fill()

    def release(self) -> None:
        """Let go of the scene; the original does this in its destructor."""
        for observation in self._observations:
            self._scene.RemoveObserver(observation)

    def currentNode(self) -> Any:
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        self._fill()
        self._select(node if node in self._nodes() else None)

    def _nodes(self) -> list[Any]:
        if self._scene is None:
            return []
        nodes = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        return [node for node in nodes if self._fits(node)]

    def _fits(self, node: Any) -> bool:
        types = self._options["nodeTypes"]
        exact = node.GetClassName() in types
        return not node.GetHideFromEditors() and (
            exact or (self._options["showChildNodeTypes"] and any(node.IsA(each) for each in types))
        )

    def _fill(self) -> None:
        nodes = self._nodes()
        self._filling = True
        self.clear()
        if self._options["noneEnabled"]:
            self.addItem("None", None)
        for node in nodes:
            self.addItem(node.GetName(), node.GetID())
        self._filling = False
        first = nodes[0] if nodes and not self._options["noneEnabled"] else None
        self._select(self._current if self._current in nodes else first)

    def _select(self, node: Any) -> None:
        self._filling = True
        self.setCurrentIndex(max(0, self.findData(node.GetID())) if node is not None else 0)
        self._filling = False
        if node is not self._current:
            self._current = node
            self.currentNodeChanged.emit(node)

    def _indexChanged(self, index: int) -> None:
        if not self._filling and index >= 0:
            identifier = self.itemData(index)
            self._select(self._scene.GetNodeByID(identifier) if identifier else None)


class ctkCollapsibleButton(QtWidgets.QWidget):
    """A titled section; a click on the title folds it."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._title = ""
        self._collapsed = False
        self.setContentsMargins(0, HEADER_PX, 0, 0)

    def _setTitle(self, title: str) -> None:
        self._title = title
        self.update()

    def _setCollapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        self.setMaximumHeight(HEADER_PX if collapsed else 16777215)
        for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly):
            child.setVisible(not collapsed)

    text = Property(str, lambda self: self._title, _setTitle)
    collapsed = Property(bool, lambda self: self._collapsed, _setCollapsed)

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.position().y() < HEADER_PX:
            self._setCollapsed(not self._collapsed)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(0, 0, self.width, HEADER_PX - 2, QtGui.QColor(205, 208, 216))
        painter.setPen(QtGui.QColor(30, 30, 30))
        painter.drawText(8, HEADER_PX - 8, ("\u25b8 " if self._collapsed else "\u25be ") + self._title)
        painter.end()

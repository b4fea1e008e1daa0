"""Stand-ins for the qMRML and ctk widgets that StrokeSeg.ui names; nothing more of them than it uses."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from stand_in import path_edit, pythonqt, segment_editor

HEADER_PX = 24


def install() -> None:
    """Make the stand-ins known to .ui files and to ``slicer``."""
    for cls in (qMRMLWidget, qMRMLNodeComboBox, ctkCollapsibleButton, ctkSliderWidget):
        pythonqt.customWidgets[cls.__name__] = cls
        if cls.__name__.startswith("qMRML"):
            setattr(slicer, cls.__name__, cls)
    path_edit.install(pythonqt.customWidgets)
    segment_editor.install()


class qMRMLWidget(pythonqt.Strict, QtWidgets.QWidget):
    """The root of a module's panel: passes the scene on to those that connect to it."""

    mrmlSceneChanged = Signal(object)
    signatures = ("mrmlSceneChanged(vtkMRMLScene*)",)

    def setMRMLScene(self, scene: Any) -> None:
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(pythonqt.Strict, QtWidgets.QComboBox):
    """Lists the nodes of the scene that fit; empty until it is given a scene, as the original.

    As there, a chosen node that is about to be removed gives way to its neighbor in the list, and that is told as any
    change, while the node is still in the scene; ``nodeActivated`` tells only what the user chose.
    """

    currentNodeChanged = Signal(object)
    nodeActivated = Signal(object)
    signatures = ("currentNodeChanged(vtkMRMLNode*)", "currentNodeChanged(bool)", "nodeActivated(vtkMRMLNode*)")

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
        self._attributes: list[tuple[str, str]] = []
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
        self._observations.append(scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._onRemoved))
        self._fill()

    def addAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        """List only nodes of the type that have the attribute, with that value where one is given."""
        assert value is None, "not needed so far"
        self._attributes.append((nodeType, name))
        if self._scene is not None:
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
        if any(node.IsA(kind) and node.GetAttribute(name) is None for kind, name in self._attributes):
            return False
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

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onRemoved(self, caller: Any, event: Any, node: Any) -> None:
        if node is None or node is not self._current or self._scene.IsBatchProcessing():
            return
        row = self.currentIndex
        self._filling = True
        self.removeItem(row)
        self._filling = False
        identifier = self.itemData(min(row, self.count - 1)) if self.count else None
        self._select(self._scene.GetNodeByID(identifier) if identifier else None)

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
            self.nodeActivated.emit(self._current)


class ctkCollapsibleButton(pythonqt.Strict, QtWidgets.QWidget):
    """A titled section; a click on the title folds it. It hides its children and knows which it hid."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._title = ""
        self._collapsed = False
        self._folding = False
        self._shown: list[Any] = []
        self.setContentsMargins(0, HEADER_PX, 0, 0)

    def _setTitle(self, title: str) -> None:
        self._title = title
        self.update()

    def _setCollapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self.setMaximumHeight(HEADER_PX if collapsed else 16777215)
        children = self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly)
        if collapsed:
            self._shown = [child for child in children if not child.isHidden()]
        self._folding = True
        for child in children if collapsed else self._shown:
            child.setVisible(not collapsed)
            # As ctk does: a child that is hidden while it is folded away is heard of, too.
            child.setAttribute(QtCore.Qt.WA_WState_ExplicitShowHide, False)
            child.installEventFilter(self)
        self._folding = False
        self.contentsCollapsed.emit(collapsed)

    def eventFilter(self, child: Any, event: Any) -> bool:
        """A child that is shown in a folded section stays hidden until it is unfolded; one that is hidden stays so."""
        if self._collapsed and not self._folding and event.type() == QtCore.QEvent.ShowToParent:
            self._folding = True
            child.setVisible(False)
            self._folding = False
            child.setAttribute(QtCore.Qt.WA_WState_ExplicitShowHide, False)
            if child not in self._shown:
                self._shown.append(child)
        elif self._collapsed and not self._folding and event.type() == QtCore.QEvent.HideToParent:
            self._shown = [each for each in self._shown if each is not child]
        return False

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


class ctkSliderWidget(pythonqt.Strict, QtWidgets.QWidget):
    """A slider and a spin box for one number."""

    valueChanged = Signal(float)
    TICKS = 1000

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self._box = QtWidgets.QDoubleSpinBox()
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider)
        row.addWidget(self._box)
        self._slider.setRange(0, self.TICKS)
        self._slider.valueChanged.connect(self._slid)
        self._box.valueChanged.connect(self._boxChanged)

    def _slid(self, tick: int) -> None:
        low, high = self._box.minimum, self._box.maximum
        self._box.setValue(low + (high - low) * tick / self.TICKS)

    def _boxChanged(self, value: float) -> None:
        low, high = self._box.minimum, self._box.maximum
        self._slider.blockSignals(True)
        self._slider.setValue(round((value - low) / max(high - low, 1e-9) * self.TICKS))
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def setValue(self, value: float) -> None:
        self._box.setValue(value)

    value = Property(float, lambda self: self._box.value, setValue)
    minimum = Property(float, lambda self: self._box.minimum, lambda self, value: self._box.setMinimum(value))
    maximum = Property(float, lambda self: self._box.maximum, lambda self, value: self._box.setMaximum(value))
    singleStep = Property(float, lambda self: self._box.singleStep, lambda self, value: self._box.setSingleStep(value))
    decimals = Property(int, lambda self: self._box.decimals, lambda self, value: self._box.setDecimals(value))

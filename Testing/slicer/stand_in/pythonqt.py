"""PythonQt's manners on PySide6: a module ``qt`` whose objects look to a scripted module as they do in Slicer.

Imitated, because the module leans on it: Qt properties are attributes (``label.text``, not ``label.text()``);
``connect("clicked(bool)", slot)`` takes a signature and cuts the arguments to what the slot accepts; ``.ui`` files may
name qMRML and ctk widgets. Refused, because PythonQt refuses it: an unknown signal signature. Setting an attribute that
is no Qt property is refused by our own stand-ins (``Strict``); by Qt's own classes it cannot be on the spot (PySide
crashes when their attribute setter is replaced): ask ``strayAttributes`` at the end of a test.
"""

from __future__ import annotations

import inspect
import sys
import traceback
import types
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from PySide6.QtCore import QObject

#: Exceptions raised in slots: PythonQt prints and swallows them, so a test must ask.
slotErrors: list[str] = []
#: Stand-ins for widgets that .ui files name: class name -> Python class.
customWidgets: dict[str, type] = {}
_connections: dict[tuple[int, str], list[tuple[Any, Callable[..., None]]]] = {}
#: PySide would collect widgets made in Python by the loader.
_keepAlive: list[Any] = []
#: C++ asks for these as methods; a property of the same name would stand in the way.
_VIRTUAL = {"sizeHint", "minimumSizeHint"}


def install() -> QtWidgets.QApplication:
    """Make ``import qt`` work; returns the one QApplication. Calling twice is fine."""
    application = QtWidgets.QApplication.instance()
    if "qt" in sys.modules:
        return application
    qt = types.ModuleType("qt")
    for library in (QtCore, QtGui, QtWidgets):
        for name in dir(library):
            if name.startswith("Q"):
                value = getattr(library, name)
                if inspect.isclass(value) and issubclass(value, QObject):
                    _makePropertiesAttributes(value)
                setattr(qt, name, value)
    QObject.name = property(lambda self: self.objectName, lambda self, value: self.setObjectName(value))
    for cls in [QObject, QtWidgets.QMenu]:  # the two that bring their own attribute look-up
        _replaceConnect(cls)
    qt.QUiLoader = _UiLoader
    sys.modules["qt"] = qt
    return application or QtWidgets.QApplication(["Slicer"])


def strayAttributes(root: QObject) -> list[str]:
    """Attributes that were set on plain Qt objects though they are no Qt property: PythonQt would have raised."""
    return [
        f"{type(each).__name__} {each.objectName}: {name}"
        for each in [root, *root.findChildren(QObject)]
        if type(each).__module__.startswith("PySide6")
        for name, value in vars(each).items()
        if not isinstance(value, QtCore.SignalInstance)
    ]


class Strict:
    """First base of a stand-in: as in PythonQt, only properties can be set; those that begin with _ are its own."""

    def __setattr__(self, name: str, value: Any) -> None:
        known = inspect.getattr_static(type(self), name, None)
        if not name.startswith("_") and not isinstance(known, property | QtCore.Property):
            raise AttributeError(f"{type(self).__name__} has no property {name!r}")
        super().__setattr__(name, value)


def _makePropertiesAttributes(cls: type) -> None:
    meta = cls.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        prop = meta.property(index)
        name = prop.name()
        if name in _VIRTUAL:
            continue
        getter = cls.__dict__.get(name)
        setter = cls.__dict__.get("set" + name[0].upper() + name[1:])
        read = getter if callable(getter) else (lambda self, name=name: self.property(name))
        write = setter or (lambda self, value, name=name: self.setProperty(name, value))
        setattr(cls, name, _Attribute(getter, read, write if prop.isWritable() else None))


class _Attribute(property):
    """The Qt property on an object; on the class, what was there before (such as a static method)."""

    def __init__(self, original: Any, read: Any, write: Any) -> None:
        super().__init__(read, write and (write))
        self.original = original

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self.original if instance is None else super().__get__(instance, owner)


def _replaceConnect(cls: type) -> None:
    lookUp = cls.__getattribute__
    ours = {"connect": _connect, "disconnect": _disconnect}

    def getattribute(self: Any, name: str) -> Any:
        if name not in ours:
            return lookUp(self, name)

        def call(*arguments: Any) -> Any:
            # PySide's own code calls connect with names that the SIGNAL macro has marked with a leading "2".
            if not arguments or not isinstance(arguments[0], str) or arguments[0].startswith("2"):
                return lookUp(self, name)(*arguments)
            return ours[name](self, *arguments)

        return call

    cls.__getattribute__ = getattribute


def _signal(sender: QObject, signature: str) -> tuple[str, Any]:
    normalized = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    known = sender.metaObject().indexOfSignal(normalized) >= 0
    if "(" not in signature or (not known and normalized not in getattr(type(sender), "signatures", ())):
        raise ValueError(f"{type(sender).__name__} has no signal {signature!r}")
    return normalized, getattr(sender, normalized.split("(")[0])


def _connect(self: QObject, signature: str, receiver: Any, slotName: str | None = None) -> bool:
    slot = getattr(receiver, slotName.split("(")[0]) if slotName else receiver
    normalized, signal = _signal(self, signature)
    count = _argumentCount(slot)

    def call(*arguments: Any) -> None:
        try:
            slot(*arguments[:count])
        except Exception:
            slotErrors.append(traceback.format_exc())

    _connections.setdefault((id(self), normalized), []).append((slot, call))
    signal.connect(call)
    return True


def _disconnect(self: QObject, signature: str, slot: Any = None) -> bool:
    normalized, signal = _signal(self, signature)
    kept = []
    for known, call in _connections.get((id(self), normalized), []):
        if slot is None or known == slot:
            signal.disconnect(call)
        else:
            kept.append((known, call))
    _connections[(id(self), normalized)] = kept
    return True


def _argumentCount(slot: Any) -> int | None:
    """How many positional arguments the slot takes; None means any number."""
    try:
        parameters = inspect.signature(slot).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return None
    return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)


class _UiLoader(QtUiTools.QUiLoader):
    """Loads .ui files that name stand-ins, and makes their <connections>, which C++ could not make to Python."""

    def createWidget(self, className: str, parent: Any = None, name: str = "") -> Any:
        if className not in customWidgets:
            if className.startswith(("ctk", "qMRML", "qSlicer")):
                raise NotImplementedError(f"no stand-in for {className} ({name})")
            return super().createWidget(className, parent, name)
        widget = customWidgets[className](parent) if parent is not None else customWidgets[className]()
        widget.setObjectName(name)
        _keepAlive.append(widget)
        return widget

    def load(self, device: Any, parent: Any = None) -> Any:
        root = ET.fromstring(bytes(device.readAll().data()))
        connections = root.find("connections")
        wanted = list(connections) if connections is not None else []
        for each in wanted:
            connections.remove(each)
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        for each in wanted:
            sender, signal, receiver, slot = (each.findtext(tag) for tag in ("sender", "signal", "receiver", "slot"))
            _find(widget, sender).connect(signal, _find(widget, receiver), slot)
        return widget


def _find(widget: Any, name: str) -> Any:
    return widget if widget.objectName == name else widget.findChild(QObject, name)

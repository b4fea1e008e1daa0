"""Every word that reaches the screen from Python goes through _(), as a literal that translators can find."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET

import pytest
from stand_in import ROOT

APP = ROOT / "StrokeSeg"
FILES = sorted([*APP.rglob("*.py")])
#: Calls whose text is shown to the user.
SHOWING = {
    "setText", "setToolTip", "setWindowTitle", "setPlaceholderText", "setStatusTip", "setTitle", "addItem", "setHtml",
    "errorDisplay", "warningDisplay", "infoDisplay", "confirmOkCancelDisplay", "confirmYesNoDisplay", "say", "_say",
    "setHorizontalHeaderLabels", "QTableWidgetItem", "showStatusMessage", "getExistingDirectory", "getOpenFileName",
    "getOpenFileNames", "getSaveFileName", "setPlainText", "QLabel", "QPushButton", "QAction",
    # What is raised is shown where it is caught.
    "InputError", "RunError", "explained",
}  # fmt: skip
#: Properties that PythonQt sets as attributes.
SHOWN = {"text", "toolTip", "title", "placeholderText", "windowTitle", "labelText"}
WORDS = re.compile(r"[A-Za-z]{2,}")


def spoken(node):
    """The texts with words in an expression that are not inside of _(); of f-strings the fixed parts."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) and WORDS.search(node.value) else []
    return [text for each in parts(node) for text in spoken(each)]


def parts(node):
    """The expressions whose value may be the value of this one; none for calls: they are judged where they are made."""
    if isinstance(node, ast.Call):
        isFormat = isinstance(node.func, ast.Attribute) and node.func.attr == "format"
        return [node.func.value] if isFormat else []
    of = {
        ast.JoinedStr: lambda: [each for each in node.values if isinstance(each, ast.Constant)],
        ast.BinOp: lambda: [node.left, node.right],
        ast.IfExp: lambda: [node.body, node.orelse],
        ast.BoolOp: lambda: node.values,
        ast.List: lambda: node.elts,
        ast.Tuple: lambda: node.elts,
    }
    return of.get(type(node), list)()


def untranslated(tree):
    """(line, text) of what is shown and can not be translated."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in SHOWING:
                shown = node.args[:1] if name in ("addItem",) else node.args
                yield from ((node.lineno, text) for each in shown for text in spoken(each))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in SHOWN:
                    yield from ((node.lineno, text) for text in spoken(node.value))


def calls(tree):
    """Every call of _()."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
            yield node


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_shown_that_can_not_be_translated(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # What is a name in every language: HTML marks, the product, and units.
    names = {"StrokeSeg"}
    found = [(line, text) for line, text in untranslated(tree) if text not in names and not text.startswith("<")]
    assert found == [], path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_translated_is_a_literal_and_its_placeholders_have_names(path):
    for call in calls(ast.parse(path.read_text(encoding="utf-8"))):
        assert len(call.args) == 1, (path, call.lineno)
        assert isinstance(call.args[0], ast.Constant), (path, call.lineno)  # no f-string, no variable
        assert isinstance(call.args[0].value, str), (path, call.lineno)
        assert "{}" not in call.args[0].value, (path, call.lineno)


def test_the_search_finds_what_it_should_find():
    source = """
label.setText("Hello there")
label.text = f"Volume {x}"
self._say("Done" if ok else _("Failed"))
button.setToolTip(_("fine {x}").format(x=1))
table.setHorizontalHeaderLabels(["Case", _("fine")])
box.addItem(title, "internal-key")
raise InputError(f"{path} is gone")
raise RunError(_("It failed: {error}").format(error=error), log)
raise RunError(explained("It stopped", log), log)
"""
    found = sorted(untranslated(ast.parse(source)))
    assert [text for _line, text in found] == ["Hello there", "Volume ", "Done", "Case", " is gone", "It stopped"]


def test_every_word_in_the_form_can_be_translated_and_technical_lists_are_not_offered():
    root = ET.parse(ROOT / "Resources" / "UI" / "StrokeSeg.ui").getroot()
    for string in root.iter("string"):
        assert string.get("notr") is None or not WORDS.search(string.text or ""), string.text
    for strings in root.iter("stringlist"):
        assert strings.get("notr") == "true"

"""StrokeSeg.ui and the code name the same widgets, and each signal and slot that either names exists."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET

from stand_in import ROOT, pythonqt
from StrokeSegApp.input_roles import ROLES, roleTitle

UI = ET.parse(ROOT / "Resources" / "UI" / "StrokeSeg.ui").getroot()
APP = ROOT / "StrokeSeg" / "StrokeSegApp"
#: Named by ``getattr(ui, f"{role}Selector")`` and its like.
BY_ROLE = {f"{role}{kind}" for role in ROLES for kind in ("Selector", "Label")}
#: Widgets that say or hold something and have nothing to be told: titles of rows.
TITLES = {
    each.get("name")
    for each in UI.iter("widget")
    if each.get("class") == "QLabel" and each.find("property[@name='text']/string") is not None
    and each.find("property[@name='text']/string").text
}  # fmt: skip
SECTIONS = {each.get("name") for each in UI.iter("widget") if each.get("class") == "ctkCollapsibleButton"}


def inUi() -> set[str]:
    return {str(each.get("name")) for each in UI.iter("widget")} - {"StrokeSeg"}


def inCode() -> set[str]:
    """Attributes of ``ui``, ``_ui`` and ``self.ui`` in all of the module's code."""
    names = set()
    for path in [*APP.rglob("*.py"), ROOT / "StrokeSeg" / "StrokeSeg.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and re.search(r"(^|\.)_?ui$", ast.unparse(node.value)):
                names.add(node.attr)
    return names


def test_every_widget_that_the_code_names_is_in_the_ui_file() -> None:
    assert sorted(inCode() - inUi()) == []
    assert inUi() >= BY_ROLE


def test_every_widget_of_the_ui_file_is_used_by_the_code() -> None:
    assert sorted(inUi() - inCode() - BY_ROLE - TITLES - SECTIONS) == []


def test_no_two_widgets_of_the_ui_file_have_one_name() -> None:
    names = [each.get("name") for each in [*UI.iter("widget"), *UI.iter("layout"), *UI.iter("spacer")]]
    assert sorted(names) == sorted(set(names))


def test_every_node_selector_of_the_ui_file_is_given_the_scene_by_a_connection() -> None:
    selectors = {str(each.get("name")) for each in UI.iter("widget") if each.get("class").startswith("qMRMLNode")}
    told = {
        each.findtext("receiver")
        for each in UI.iter("connection")
        if each.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)"
        and each.findtext("slot") == "setMRMLScene(vtkMRMLScene*)"
        and each.findtext("sender") == "StrokeSeg"
    }
    assert selectors == told


def test_every_class_of_the_ui_file_that_is_not_qts_is_declared_and_has_a_stand_in(qtApplication) -> None:
    foreign = {str(each.get("class")) for each in UI.iter("widget") if not each.get("class").startswith("Q")}
    declared = {each.findtext("class") for each in UI.iter("customwidget")}
    assert foreign == declared
    assert foreign <= set(pythonqt.customWidgets)


def test_every_signal_that_the_code_connects_on_a_widget_exists_on_its_class(openPanel) -> None:
    """Connecting is refused by the stand-in; here also for lines that no other test runs."""
    ui = openPanel().ui
    pattern = re.compile(r"""_?ui\.(\w+)\.connect\(\s*["']([^"']+)["']""")
    found = 0
    for path in APP.rglob("*.py"):
        for name, signature in pattern.findall(path.read_text(encoding="utf-8")):
            pythonqt._signal(getattr(ui, name), signature)
            found += 1
    assert found > 20


def test_the_title_of_a_role_in_the_ui_file_is_the_one_that_the_panel_writes() -> None:
    texts = {each.get("name"): each.findtext("property[@name='text']/string") for each in UI.iter("widget")}
    assert {role: texts[f"{role}Label"] for role in ROLES} == {role: roleTitle(role) for role in ROLES}

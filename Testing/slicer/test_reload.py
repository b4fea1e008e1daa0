"""The developer's "Reload" reads all of the module anew and leaves nothing of the old one at work: on a Qt stand-in."""

from __future__ import annotations

import sys

import pytest
from result_phantoms import addResultOf, algorithmType, paint
from slicer_phantoms import addHead
from StrokeSegApp import result_watch

PACKAGES = ("StrokeSegApp", "StrokeSegLib")


def ours():
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] in PACKAGES}


@pytest.fixture
def modulesStay():
    """The modules that other tests have imported are the ones in use again afterwards."""
    before = ours()
    yield
    sys.modules["StrokeSegApp.result_watch"].uninstall()
    for name in ours():
        del sys.modules[name]
    sys.modules.update(before)


def test_on_the_stand_in_reload_reads_the_packages_anew_and_the_new_panel_works(openPanel, modulesStay):
    panel = openPanel()
    before = ours()
    panel.widget.onReload()
    anew = panel.widget.anew
    try:
        assert type(anew.panel) is not type(panel.panel)
        for name in ("StrokeSegApp.widget", "StrokeSegApp.panels.input", "StrokeSegApp.scene", "StrokeSegLib.volume"):
            assert sys.modules[name] is not before[name]
        anew.enter()
        assert anew.ui.checkLabel.text.startswith("Choose a volume for:")
    finally:
        anew.cleanup()


def test_on_the_stand_in_after_a_reload_only_the_new_code_watches_results(
    openPanel, modulesStay, monkeypatch, tmp_path
):
    panel = openPanel()
    node = addHead()
    segmentation = addResultOf(tmp_path / "out", node)
    old = []
    for slot in ("_observe", "_takeFingerprints"):
        monkeypatch.setattr(result_watch, slot, lambda *_, slot=slot: old.append(slot))
    panel.widget.onReload()
    try:
        paint(segmentation, node)
        assert algorithmType(segmentation) == "SEMIAUTOMATIC"  # an edit is still noticed
        sceneOf = sys.modules["StrokeSegApp.result_watch"]
        assert sceneOf is not result_watch
        assert result_watch._observedScenes == {}
        assert len(sceneOf._observedScenes) == 1
        node.GetScene().InvokeEvent(node.GetScene().EndImportEvent)
        assert old == []
    finally:
        panel.widget.anew.cleanup()


def test_on_the_stand_in_a_reload_that_fails_leaves_a_module_that_can_be_entered_and_left(openPanel, modulesStay):
    panel = openPanel()
    panel.widget.cleanup()
    panel.widget.enter()
    panel.widget.exit()
    panel.widget.cleanup()

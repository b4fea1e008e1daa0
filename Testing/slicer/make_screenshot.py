"""Pictures of the unmodified panel on the Qt stand-in.

python Testing/slicer/make_screenshot.py DWI ADC CREDIT      Resources/Screenshots/panel.png: a real case (two image
                                                             files, and whose they are), the bundled model
python Testing/slicer/make_screenshot.py --panels FOLDER     a picture of each section, narrow and at normal width, of a
                                                             generated head and models that find its bright spots
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import conftest  # noqa: F401 - starts the stand-in application
import slicer
from PIL import Image, ImageDraw, ImageFont
from slicer_phantoms import addHead
from stand_in import ROOT, application, pythonqt, widgets
from stand_in.panel import OpenPanel, click, clickCell, waitForRun
from stand_in.screenshot import frameLesion, screenshot
from stand_in.views import Layout
from stand_in_cards import STAND_IN_COMMAND, Card, Input, card
from StrokeSegApp import scene as app

TARGET = ROOT / "Resources" / "Screenshots" / "panel.png"
RUN_LIMIT_S = 300
WIDTH_PX, HEIGHT_PX = 360, 720
#: The narrowest panel that users work with, and Slicer's own.
WIDTHS_PX = (320, 500)
CREDIT_PX = 22
#: Enough for grays and reds, and half the bytes.
COLORS = 192
#: The brain fills little of a typical field of view.
ZOOM = 1.35


def load(path: str, name: str) -> None:
    volume = slicer.modules.volumes.logic().AddArchetypeVolume(path, name)
    volume.GetDisplayNode().AutoWindowLevelOn()


def photographPanels(folder: Path) -> None:
    """Every section by itself, unfolded, before a run and after two runs, in two widths; look at each."""
    pythonqt.install()
    widgets.install()
    module = application.loadModule(ROOT / "StrokeSeg" / "StrokeSeg.py")
    cards = [card("bright"), card("two"), Card(id="ct", title="Blood on CT", inputs=(Input("ct"),), minimum_inputs=1)]
    module.StrokeSegLogic.models = lambda self: cards
    module.StrokeSegLogic.command = STAND_IN_COMMAND
    folder.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS_PX:
        slicer.mrmlScene.Clear(0)
        panel = OpenPanel(module, width, HEIGHT_PX)
        _photograph(panel, folder, f"{width}-empty")
        for name in ("ep2d_diff_TRACEW b1000", "ep2d_diff_ADC"):
            addHead(name)
        _photograph(panel, folder, f"{width}-ready")
        for model in ("bright", "two"):
            panel.ui.modelSelector.setCurrentIndex(panel.ui.modelSelector.findData(model))
            click(panel.ui.applyButton)
            waitForRun(panel, RUN_LIMIT_S)
        _photograph(panel, folder, f"{width}-result")
        panel.close()


def _photograph(panel: OpenPanel, folder: Path, name: str) -> None:
    sections = panel.frame.findChildren(widgets.ctkCollapsibleButton)
    for section in sections:
        section.collapsed = False
    for _ in range(5):  # layouts settle in rounds
        slicer.app.processEvents()
        time.sleep(0.05)
    for section in sections:
        if section.isVisible():
            section.grab().save(str(folder / f"{section.objectName.removesuffix('CollapsibleButton')}-{name}.png"))
    panel.frame.grab().save(str(folder / f"whole-{name}.png"))


def main(dwi: str, adc: str, credit: str) -> None:
    pythonqt.install()
    widgets.install()
    slicer.app.layout = layout = Layout()
    module = application.loadModule(ROOT / "StrokeSeg" / "StrokeSeg.py")
    load(dwi, "DWI b1000")
    load(adc, "ADC")
    panel = OpenPanel(module, WIDTH_PX, HEIGHT_PX)
    click(panel.ui.applyButton)
    waitForRun(panel, RUN_LIMIT_S)
    print(panel.ui.statusLabel.text, panel.ui.summaryLabel.text)
    clickCell(panel.ui.lesionTable, 0, 1)
    result = app.storedMeasurements(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0])
    frameLesion(layout, result["lesions"][0]["centroid_ras_mm"])
    picture = screenshot(panel, layout, TARGET, ZOOM)
    whole = Image.new("RGB", (picture.width, picture.height + CREDIT_PX), (40, 40, 44))
    whole.paste(picture)
    font = ImageFont.load_default(13)
    ImageDraw.Draw(whole).text((8, picture.height + 4), credit, (200, 200, 200), font)
    whole.quantize(COLORS).save(TARGET, optimize=True)
    panel.close()


if __name__ == "__main__":
    if sys.argv[1] == "--panels":
        photographPanels(Path(sys.argv[2]))
    else:
        main(*sys.argv[1:])

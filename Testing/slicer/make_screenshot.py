"""Makes Resources/Screenshots/panel.png: a real case, the bundled model, the unmodified panel on the Qt stand-in.

python Testing/slicer/make_screenshot.py DWI ADC CREDIT      (two image files, and whose they are)
"""

from __future__ import annotations

import sys

import conftest  # noqa: F401 - starts the stand-in application
import slicer
from PIL import Image, ImageDraw, ImageFont
from stand_in import ROOT, application, pythonqt, widgets
from stand_in.panel import OpenPanel, click, clickCell, waitForRun
from stand_in.screenshot import frameLesion, screenshot
from stand_in.views import Layout
from StrokeSegApp import scene as app

TARGET = ROOT / "Resources" / "Screenshots" / "panel.png"
RUN_LIMIT_S = 300
WIDTH_PX, HEIGHT_PX = 360, 720
CREDIT_PX = 22
#: The brain fills little of a typical field of view.
ZOOM = 1.35


def load(path: str, name: str) -> None:
    volume = slicer.modules.volumes.logic().AddArchetypeVolume(path, name)
    volume.GetDisplayNode().AutoWindowLevelOn()


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
    whole.save(TARGET, optimize=True)
    panel.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

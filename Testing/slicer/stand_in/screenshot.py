"""One picture of the panel beside the slice and 3D views, as a user would see them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
from PIL import Image, ImageDraw
from PySide6 import QtCore

from stand_in.panel import OpenPanel
from stand_in.views import Layout

GAP_PX = 4
BACKGROUND = (40, 40, 44)
#: Slicer's colors of the bars above the views.
BAR_COLORS = {"Red": (243, 74, 51), "Green": (110, 176, 75), "Yellow": (237, 213, 76), "3D": (119, 119, 206)}
BAR_PX = 6


def screenshot(panel: OpenPanel, layout: Layout, path: Path, zoom: float = 1.0) -> Image.Image:
    """Draw panel and views, the axial slice also standing in the 3D view; write a PNG and return it."""
    height = panel.frame.height
    side = (height - GAP_PX) // 2
    layout.slices["Red"].node.SetSliceVisible(True)
    pictures = {name: view.picture(side, side - BAR_PX, zoom) for name, view in layout.slices.items()}
    pictures["3D"] = layout.threeD.picture(side, side - BAR_PX, zoom)
    layout.slices["Red"].node.SetSliceVisible(False)
    left = panel.frame.width + GAP_PX
    whole = Image.new("RGB", (left + 2 * side + GAP_PX, height), BACKGROUND)
    whole.paste(_grab(panel), (0, 0))
    draw = ImageDraw.Draw(whole)
    for index, name in enumerate(("Red", "3D", "Green", "Yellow")):
        x, y = left + (index % 2) * (side + GAP_PX), (index // 2) * (side + GAP_PX)
        draw.rectangle((x, y, x + side - 1, y + BAR_PX - 1), fill=BAR_COLORS[name])
        whole.paste(Image.fromarray(pictures[name]), (x, y + BAR_PX))
    whole.save(path, optimize=True)
    return whole


def frameLesion(layout: Layout, ras_mm: tuple[float, float, float]) -> None:
    """Turn the 3D camera so that it looks at a position from the front, the left and above."""
    camera = layout.threeD.renderer.GetActiveCamera()
    camera.SetFocalPoint(*ras_mm)
    camera.SetPosition(*(np.add(ras_mm, (-160, 300, 230))))
    camera.SetViewUp(0, 0, 1)
    slicer.app.processEvents()


def _grab(panel: OpenPanel) -> Image.Image:
    image = panel.frame.grab().toImage()
    buffer = QtCore.QBuffer()
    buffer.open(QtCore.QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    from io import BytesIO

    return Image.open(BytesIO(bytes(buffer.data().data()))).convert("RGB")

"""Makes the tutorial's pictures in Resources/Screenshots: generated heads, the bundled model, the unmodified panel.

python Testing/slicer/make_tutorial.py [FOLDER]      elsewhere than in Resources/Screenshots, to look at them first

Photographed on the Qt stand-in, with Slicer's own MRML and VTK. Nothing in the pictures is of a patient.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import conftest  # noqa: F401 - starts the stand-in application
import numpy as np
import slicer
from PIL import Image
from PySide6 import QtCore, QtTest
from section_checks import section, waitUntil
from stand_in import ROOT, application, pythonqt, widgets
from stand_in.panel import OpenPanel, click, clickCell, waitForRun
from stand_in.screenshot import frameLesion, screenshot
from stand_in.views import Layout
from StrokeSegApp import sample_data
from StrokeSegApp import scene as app
from StrokeSegApp.worker_client import childCommand

from StrokeSegLib import demo, review
from StrokeSegLib.case_table import Case, write_case_table
from StrokeSegLib.io import write_image
from StrokeSegLib.synth.diffusion import SyntheticCase

FOLDER = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else ROOT / "Resources" / "Screenshots"
WIDTH_PX, HEIGHT_PX = 340, 600
RUN_LIMIT_S = 300
ZOOM = 1.15
#: As many as the limit of a picture's size allows.
COLORS = (256, 192, 144, 112, 88, 64, 48, 32)
LIMIT_BYTES = 118_000
THUMBNAIL_PX = 240
#: Seeds of the heads of the batch.
SEEDS = (43, 47)
#: A training of a minute, for the picture of its curve.
TRAINING = {"width": 0.0625, "crop": 64, "steps": 120, "batch_size": 4}
READER = "reader-1"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    pythonqt.install()
    widgets.install()
    slicer.app.layout = layout = Layout()
    module = application.loadModule(ROOT / "StrokeSeg" / "StrokeSeg.py")
    thumbnails(layout)
    sample_data.makeSample(sample_data.SAMPLES[0])
    panel = OpenPanel(module, WIDTH_PX, HEIGHT_PX)
    app.jumpTo(lesionCenter(demo.demo_case(), 1))
    unfold(panel, "inputs")
    take(panel, layout, "tutorial-1-input")
    unfold(panel, "inputs", "segment")
    click(panel.ui.applyButton)
    waitUntil(lambda: "Looking" in panel.ui.statusLabel.text, lambda: panel.ui.statusLabel.text, RUN_LIMIT_S)
    unfold(panel, "segment")
    take(panel, layout, "tutorial-2-segment")
    waitForRun(panel, RUN_LIMIT_S)
    print(panel.ui.statusLabel.text, panel.segment.details)
    unfold(panel, "result", "lesions")
    clickCell(panel.ui.lesionTable, 0, 1)
    result = app.storedMeasurements(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0])
    frameLesion(layout, result["lesions"][0]["centroid_ras_mm"])
    take(panel, layout, "tutorial-3-result")
    with tempfile.TemporaryDirectory(prefix="StrokeSeg-") as folder:
        cases = batch(panel, layout, Path(folder))
        train(panel, layout, Path(folder), cases)
        look(panel, layout, Path(folder), cases)
    section(panel, "help")
    click(panel.ui.helpCheckButton)
    take(panel, layout, "tutorial-7-help")
    panel.close()


def thumbnails(layout: Layout) -> None:
    """Each sample at the middle of its lesion; of perfusion, the map that shows it best."""
    for sample in sample_data.SAMPLES:
        nodes = dict(zip(sample.nodes, sample_data.makeSample(sample), strict=True))
        slicer.util.setSliceViewerLayers(background=nodes.get("tmax", next(iter(nodes.values()))), fit=True)
        truth = getattr(demo, sample.make)().truth.array
        app.jumpTo(lesionCenter(getattr(demo, sample.make)(), int(truth[truth > 0].min())))
        picture = layout.slices["Red"].picture(THUMBNAIL_PX, THUMBNAIL_PX, 1.2)
        save(Image.fromarray(picture), FOLDER / Path(sample.thumbnail).name)
        slicer.mrmlScene.Clear(False)


def lesionCenter(case: SyntheticCase, label: int) -> tuple[float, float, float]:
    """RAS position, mm, in the middle of the slice with most of the true lesion."""
    truth = case.truth
    slices = (truth.array == label).sum(axis=(1, 2))
    k = int(slices.argmax())
    j, i = np.argwhere(truth.array[k] == label).mean(axis=0)
    x, y, z = np.array(truth.origin) + np.array(truth.direction) @ (np.array(truth.spacing_mm) * (i, j, k))
    return (-x, -y, z)


def batch(panel: OpenPanel, layout: Layout, folder: Path) -> list[Case]:
    """Some heads in a folder each, segmented; the second's result is shown."""
    cases = []
    for number, seed in enumerate(SEEDS, start=1):
        name = f"case-{number}"
        made = demo.demo_case(seed)
        images = {role: folder / "images" / name / f"{role}.nii.gz" for role in made.images}
        truth = folder / "truth" / f"{name}.nii.gz"
        for path, volume in [*((path, made.images[role]) for role, path in images.items()), (truth, made.truth)]:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(volume, path)
        cases.append(Case(name, name, images, truth, "train"))
    panel.widget.logic.command = childCommand()
    work = section(panel, "batch")
    panel.ui.batchSourceSelector.setCurrentIndex(1)
    panel.ui.batchCasesPath.currentPath = str(folder / "images")
    panel.ui.batchFolderPath.currentPath = str(folder / "results")
    click(panel.ui.batchButton)
    waitUntil(lambda: work.run is None, lambda: panel.ui.batchStatusLabel.text, RUN_LIMIT_S)
    clickCell(panel.ui.batchTable, 1, 0)
    slicer.app.processEvents()
    take(panel, layout, "tutorial-4-batch")
    return cases


def train(panel: OpenPanel, layout: Layout, folder: Path, cases: list[Case]) -> None:
    """A small network learns these heads; its curve is shown."""
    write_case_table(cases, folder / "cases.csv")
    logic = panel.widget.logic
    start = logic.startTraining
    logic.startTraining = lambda *words, **choices: start(*words, settings=TRAINING, **choices)
    work = section(panel, "train")
    panel.ui.trainCasesPath.currentPath = str(folder / "cases.csv")
    panel.ui.trainFolderPath.currentPath = str(folder / "our-mri")
    click(panel.ui.trainButton)
    waitUntil(lambda: work.run is None, lambda: panel.ui.trainStatusLabel.text, RUN_LIMIT_S)
    take(panel, layout, "tutorial-5-train")


def look(panel: OpenPanel, layout: Layout, folder: Path, cases: list[Case]) -> None:
    """The batch becomes a study; its first case is open, its first lesion chosen."""
    unread = [Case(case.case_id, case.patient_id, case.images) for case in cases]
    review.create_study(folder / "study", unread, folder / "results")
    work = section(panel, "review")
    panel.ui.reviewStudyPath.currentPath = str(folder / "study")
    QtTest.QTest.keyClicks(panel.ui.reviewReaderEdit, READER)
    QtTest.QTest.keyClick(panel.ui.reviewReaderEdit, QtCore.Qt.Key_Return)
    click(panel.ui.reviewNextButton)
    waitUntil(lambda: work.work is not None and work.work.nodes is not None, lambda: panel.ui.reviewStatusLabel.text)
    clickCell(panel.ui.reviewLesionTable, 0, 1)
    take(panel, layout, "tutorial-6-review")


def unfold(panel: OpenPanel, *names: str) -> None:
    """Unfold these sections alone."""
    for button in panel.frame.findChildren(widgets.ctkCollapsibleButton):
        button.collapsed = button.objectName.removesuffix("CollapsibleButton") not in names


def take(panel: OpenPanel, layout: Layout, name: str) -> None:
    for _settling in range(3):
        slicer.app.processEvents()
    save(screenshot(panel, layout, FOLDER / f"{name}.png", ZOOM), FOLDER / f"{name}.png")


def save(picture: Image.Image, path: Path) -> None:
    for colors in COLORS:
        picture.quantize(colors, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < LIMIT_BYTES:
            break
    print(path.name, picture.size, colors, path.stat().st_size)


if __name__ == "__main__":
    sys.exit(main())

"""What a user sees: pixels of Slicer's own displayable managers, without a display."""

from __future__ import annotations

import numpy as np
import slicer
from slicer_phantoms import addHead
from stand_in.panel import click, clickCell, waitForRun
from stand_in.screenshot import frameLesion, screenshot
from StrokeSegApp import scene as app


def reddish(picture):
    """Pixels in the lesion's color, blended over gray or shaded: clearly more red than green and blue."""
    red, green, blue = (picture[..., channel].astype(int) for channel in range(3))
    return (red > green + 40) & (red > blue + 40)


def addResult(node):
    volume = app.volumeFromNode(node)
    labels = volume.with_array((volume.array > 200).astype(np.uint8))
    return app.addSegmentation(node, labels, {1: "Ischemic lesion"}, "StrokeSeg test 1.0")


def test_a_jump_shows_the_lesion_in_all_three_slice_views_and_nowhere_before(layout):
    node = addHead(shape=(24, 30, 28))
    segmentation = addResult(node)
    app.showResult(segmentation, node)
    app.jumpTo((50.0, 52.0, 66.0))  # a corner of the head without a lesion
    before = {name: reddish(view.picture()).sum() for name, view in layout.slices.items()}
    assert before == {"Red": 0, "Green": 0, "Yellow": 0}
    app.jumpTo((12.0, 10.0, 12.0))
    for name, view in layout.slices.items():
        assert reddish(view.picture()).sum() > 50, name


def test_the_lesion_is_drawn_on_its_own_bright_voxels_also_under_a_transform(layout):
    from slicer_phantoms import addRotationTransform

    node = addHead(grid="oblique", shape=(24, 30, 28))
    node.SetAndObserveTransformNodeID(addRotationTransform().GetID())
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(100, 400)
    segmentation = addResult(node)
    app.showResult(segmentation, node)
    app.jumpTo(app.volumeFromNode(node).ijk_to_ras((6, 5, 4)))
    view = layout.slices["Red"]
    filled = reddish(view.picture())
    segmentation.GetDisplayNode().SetVisibility(False)
    bright = view.picture()[..., 0] > 150
    assert bright.sum() > 50
    overlap = (filled & bright).sum() / (filled | bright).sum()
    assert overlap > 0.6  # the outline is drawn half outside, and interpolation shrinks the bright spot


def test_the_surface_stands_in_the_3d_view_and_goes_with_the_segmentation(layout):
    node = addHead(shape=(24, 30, 28))
    segmentation = addResult(node)
    app.showResult(segmentation, node)
    assert reddish(layout.threeD.picture()).sum() > 200
    slicer.mrmlScene.RemoveNode(segmentation)
    assert reddish(layout.threeD.picture()).sum() == 0


def test_the_volume_becomes_the_background_of_every_view(layout):
    node = addHead()
    app.showResult(addResult(node), node)
    for view in layout.slices.values():
        assert view.logic.GetSliceCompositeNode().GetBackgroundVolumeID() == node.GetID()


def test_a_zoom_is_kept_when_a_second_result_of_the_same_volume_comes(layout):
    node = addHead()
    app.showResult(addResult(node), node)
    view = layout.slices["Red"].node
    view.SetFieldOfView(7, 7, 1)
    app.showResult(addResult(node), node)
    assert view.GetFieldOfView()[0] == 7


def test_the_stand_in_screenshot_has_the_panel_and_the_lesion_in_four_views(layout, openPanel, tmp_path):
    addHead("DWI")
    addHead("ADC")
    panel = openPanel()
    click(panel.ui.applyButton)
    waitForRun(panel)
    clickCell(panel.ui.lesionTable, 0, 1)
    frameLesion(layout, (12.0, 10.0, 12.0))
    picture = np.asarray(screenshot(panel, layout, tmp_path / "panel.png"))
    panelWidth = panel.frame.width
    assert len(np.unique(picture[:, :panelWidth].reshape(-1, 3), axis=0)) > 20  # text and frames, not one flat color
    views = picture[:, panelWidth + 4 :]
    height, width = views.shape[0] // 2, views.shape[1] // 2
    for row in (0, 1):
        for column in (0, 1):
            quarter = views[row * height + 10 : (row + 1) * height, column * width + 2 : (column + 1) * width]
            assert reddish(quarter).sum() > 50, (row, column)

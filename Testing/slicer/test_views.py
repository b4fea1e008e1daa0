"""Windows, overlays and two results side by side, on Slicer's own MRML and in its own pictures."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from result_phantoms import addResultOf
from slicer_phantoms import addCt, addHead
from StrokeSegApp import relabel, result_nodes, views
from StrokeSegApp import scene as app

HEAD = (24, 30, 28)


def reddish(picture):
    red, green, blue = (picture[..., channel].astype(int) for channel in range(3))
    return ((red > green + 40) & (red > blue + 40)).sum()


@pytest.mark.parametrize(("preset", "width", "level"), [("stroke", 40, 40), ("brain", 80, 40), ("blood", 200, 75)])
def test_a_ct_window_is_set_as_its_name_says(scene, preset, width, level):
    node = addCt()
    views.setWindow([node], preset)
    display = node.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (width, level)
    assert not display.GetAutoWindowLevel()


def test_the_dwi_window_goes_from_the_1st_to_the_99_5th_percentile_of_what_is_not_background(scene):
    array = np.zeros((10, 20, 10), np.float32)
    array[5:] = np.arange(1, 1001, dtype=np.float32).reshape(5, 20, 10)  # 1 to 1000 besides as many zeros
    node = slicer.util.addVolumeFromArray(array, None, "DWI")
    node.CreateDefaultDisplayNodes()
    views.setWindow([node], "dwi")
    low, high = node.GetDisplayNode().GetWindowLevelMin(), node.GetDisplayNode().GetWindowLevelMax()
    assert low == pytest.approx(11, abs=1)
    assert high == pytest.approx(995, abs=1)


def test_two_results_side_by_side_show_one_each_over_its_own_volume_and_back(layout, tmp_path):
    node = addHead(shape=HEAD)
    first, second = addResultOf(tmp_path / "1", node), addResultOf(tmp_path / "2", node)
    relabel.relabel(second, 0.9)  # nothing marked
    layout.slices["Yellow"].node.SetOrientation("Sagittal")
    app.jumpTo((12.0, 10.0, 12.0))
    before = views.remember()
    views.showSideBySide(first, node, second, node)
    red, yellow = layout.slices["Red"], layout.slices["Yellow"]
    assert layout.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView
    assert yellow.node.GetOrientation() == "Axial"
    app.jumpTo((12.0, 10.0, 12.0))
    assert reddish(red.picture()) > 50
    assert reddish(yellow.picture()) == 0
    views.restore(before)
    assert views.remember() == before
    app.jumpTo((12.0, 10.0, 12.0))
    assert yellow.node.GetOrientation() == "Sagittal"
    assert reddish(yellow.picture()) > 50


def test_views_come_back_although_a_volume_was_removed_meanwhile(scene, tmp_path):
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetLayoutName("Red")
    gone, node = addHead("gone"), addHead("DWI")
    composite.SetBackgroundVolumeID(gone.GetID())
    segmentation = addResultOf(tmp_path / "out", node)
    scene.RemoveNode(gone)
    result_nodes.remove(segmentation)
    assert composite.GetBackgroundVolumeID() is None


def test_uncertainty_is_laid_over_in_color_where_it_is_high_and_taken_away(layout, tmp_path):
    node = addHead(shape=HEAD)
    segmentation = addResultOf(tmp_path / "out", node)
    segmentation.GetDisplayNode().SetVisibility(False)
    app.jumpTo((5.0, 21.0, 24.0))  # the block of probability 0.6: uncertainty 0.8, elsewhere 0.4
    uncertainty = result_nodes.uncertaintyOf(segmentation)
    assert not views.isForeground(uncertainty)

    def colored():
        picture = layout.slices["Red"].picture().astype(int)
        return (picture.max(axis=-1) - picture.min(axis=-1) > 20).sum()

    assert colored() == 0
    views.showUncertainty(uncertainty)
    assert views.isForeground(uncertainty)
    assert colored() > 50
    views.showUncertainty(None)
    assert not views.isForeground(uncertainty)
    assert colored() == 0

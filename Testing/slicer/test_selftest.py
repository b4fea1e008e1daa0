"""The checks that StrokeSegTest runs in Slicer hold here too."""

from __future__ import annotations

import slicer
from StrokeSegApp import selftest


def test_the_self_tests_segmentation_check_holds(scene):
    selftest.checkSegmentationIsOnTheGridOfTheVolume()


def test_the_self_tests_jump_check_holds(scene):
    scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red").SetLayoutName("Red")
    selftest.checkJumpCentersTheSliceViews()


def test_the_module_has_a_self_test_that_slicer_finds(scene):
    import unittest

    import StrokeSeg

    found = unittest.TestLoader().loadTestsFromName("StrokeSeg")
    assert found.countTestCases() >= 1
    assert hasattr(StrokeSeg.StrokeSegTest, "runTest")
    assert slicer.mrmlScene is scene


def test_the_module_file_stays_small():
    import StrokeSeg

    with open(StrokeSeg.__file__, encoding="utf-8") as file:
        assert len(file.readlines()) < 150

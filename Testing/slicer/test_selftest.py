"""The checks that StrokeSegTest runs in Slicer hold here too."""

from __future__ import annotations

import unittest

import pytest
import slicer
from StrokeSegApp import dependencies, selftest


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


def test_the_self_test_runs_the_bundled_model_on_a_generated_head_and_finds_its_stroke(scene):
    """What StrokeSegTest does in Slicer, with the real library in a process of its own."""
    import StrokeSeg

    selftest.checkBundledModelFindsTheStroke(StrokeSeg.StrokeSegLogic())


def test_where_the_runtime_is_missing_the_self_test_says_so_and_is_skipped(scene, monkeypatch):
    monkeypatch.setattr(dependencies, "missingRequirements", lambda: ["openvino>=2025.0"])
    with pytest.raises(unittest.SkipTest, match=r"openvino>=2025\.0 not installed"):
        selftest.runAll(None)

"""The sample head: made here, offered in the Sample Data module, and recognized by the panel."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import slicer
from StrokeSegApp import sample_data
from StrokeSegApp import scene as app
from StrokeSegApp.input_roles import roleOf
from StrokeSegApp.volume_facts import factsOf
from StrokeSegApp.volume_nodes import addVolume

from StrokeSegLib import demo


@pytest.fixture
def sampleDataModule(monkeypatch):
    """What of Slicer's SampleData.py is called: a registry that zips URIs, files and nodes as the original does."""
    sources = {}

    class Logic:
        @staticmethod
        def sampleDataSourcesByCategory(category):
            return sources.get(category, [])

        @staticmethod
        def registerCustomSampleDataSource(
            category, sampleName, thumbnailFileName, uris, fileNames, nodeNames, customDownloader
        ):
            assert len(uris) == len(fileNames) == len(nodeNames)
            source = types.SimpleNamespace(
                sampleName=sampleName, thumbnailFileName=thumbnailFileName, customDownloader=customDownloader
            )
            sources.setdefault(category, []).append(source)

    module = types.ModuleType("SampleData")
    module.SampleDataLogic = Logic
    monkeypatch.setitem(sys.modules, "SampleData", module)
    monkeypatch.setattr(slicer.modules, "sampledata", module, raising=False)
    return sources


@pytest.mark.parametrize(
    ("name", "make", "roles"),
    [
        ("Infarct on MRI (generated)", demo.demo_case, ["dwi", "adc"]),
        ("Bleeding on CT (generated)", demo.demo_ct_case, ["ct"]),
        ("Stroke on CT perfusion (generated)", demo.demo_perfusion_case, ["cbf", "cbv", "mtt", "tmax", "ct"]),
    ],
)
def test_a_head_is_offered_once_and_a_click_adds_its_volumes_without_a_download(
    scene, sampleDataModule, name, make, roles
):
    sample_data.registerSampleData()
    sample_data.registerSampleData()
    (source,) = (each for each in sampleDataModule["StrokeSeg"] if each.sampleName == name)
    nodes = source.customDownloader(source)
    assert [roleOf(factsOf(node), slicer.util.arrayFromVolume(node)) for node in nodes] == roles
    truth = make()
    for node, role in zip(nodes, roles, strict=True):
        volume = app.volumeFromNode(node)
        assert np.array_equal(volume.array, truth.images[role].array)
        assert volume.same_grid(truth.images[role])
    assert Path(source.thumbnailFileName).is_file()


def test_without_the_sample_data_module_nothing_is_registered_and_nothing_breaks(monkeypatch):
    monkeypatch.delattr(slicer.modules, "sampledata", raising=False)
    sample_data.registerSampleData()


def test_a_volume_becomes_a_node_with_its_oblique_and_left_handed_geometry(scene):
    from slicer_phantoms import addHead

    for grid in ("axial", "left_handed", "sagittal", "oblique"):
        before = app.volumeFromNode(addHead("x", grid))
        after = app.volumeFromNode(addVolume(before, "y"))
        assert after.same_grid(before)
        assert np.array_equal(after.array, before.array)

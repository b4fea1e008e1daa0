"""The sample head: made here, offered in the Sample Data module, and recognized by the panel."""

from __future__ import annotations

import functools
import sys
import types
import urllib.request
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
from StrokeSegLib.io import read_image

#: What Slicer's registerCustomSampleDataSource takes beside the category.
ARGUMENTS = {
    "sampleName", "uris", "fileNames", "nodeNames", "customDownloader", "thumbnailFileName", "loadFileTypes",
    "loadFiles", "loadFileProperties", "checksums", "loadFileType",
}  # fmt: skip


class Source(types.SimpleNamespace):
    """What Slicer's SampleDataSource keeps of what it is given."""


@pytest.fixture
def sampleDataModule(monkeypatch, tmp_path):
    """What of Slicer's SampleData.py is called, with its signatures: the register of sources, the rules that rewrite
    addresses, and the way of a script, which never asks a source's own downloader."""
    sources, rules = {}, {}

    class Logic:
        @staticmethod
        def sampleDataSourcesByCategory(category=None):
            return sources.get(category, []) if category is not None else sources

        @staticmethod
        def registerCustomSampleDataSource(category="Custom", **given):
            assert set(given) <= ARGUMENTS
            assert len(given["uris"]) == len(given["fileNames"]) == len(given["nodeNames"])
            sources.setdefault(category, []).append(Source(sampleDescription=given["sampleName"], **given))

        @staticmethod
        def registerUrlRewriteRule(name, rewriteFunction):
            assert callable(rewriteFunction)
            rules[name] = rewriteFunction

        def downloadSamples(self, sampleName):
            (source,) = (each for group in sources.values() for each in group if each.sampleName == sampleName)
            nodes = []
            for uri, fileName, nodeName in zip(source.uris, source.fileNames, source.nodeNames, strict=True):
                file = tmp_path / fileName
                address = functools.reduce(lambda address, rule: rule(address), rules.values(), uri)
                if not file.exists():
                    urllib.request.urlretrieve(address, file)
                nodes.append(addVolume(read_image(file).volume, nodeName))
            return nodes

    module = types.ModuleType("SampleData")
    module.SampleDataLogic = Logic
    module.rules = rules
    monkeypatch.setitem(sys.modules, "SampleData", module)
    monkeypatch.setattr(slicer.modules, "sampledata", module, raising=False)
    monkeypatch.setattr(slicer.app, "temporaryPath", str(tmp_path / "Zoë's files"))
    return sources


@pytest.mark.parametrize(
    ("name", "title", "make", "roles"),
    [
        ("StrokeSegMRI", "Infarct on MRI (generated)", demo.demo_case, ["dwi", "adc"]),
        ("StrokeSegCT", "Bleeding on CT (generated)", demo.demo_ct_case, ["ct"]),
        (
            "StrokeSegCTP",
            "Stroke on CT perfusion (generated)",
            demo.demo_perfusion_case,
            ["cbf", "cbv", "mtt", "tmax", "ct"],
        ),
    ],
)
def test_a_head_is_offered_once_and_a_click_adds_its_volumes_without_a_download(
    scene, sampleDataModule, name, title, make, roles
):
    sample_data.registerSampleData()
    sample_data.registerSampleData()
    (source,) = (each for each in sampleDataModule["StrokeSeg"] if each.sampleName == name)
    assert source.sampleDescription == title
    nodes = source.customDownloader(source)
    assert [roleOf(factsOf(node), slicer.util.arrayFromVolume(node)) for node in nodes] == roles
    truth = make()
    for node, role in zip(nodes, roles, strict=True):
        volume = app.volumeFromNode(node)
        assert np.array_equal(volume.array, truth.images[role].array)
        assert volume.same_grid(truth.images[role])
    assert Path(source.thumbnailFileName).is_file()


@pytest.mark.parametrize(("name", "make"), [("StrokeSegMRI", demo.demo_case), ("StrokeSegCT", demo.demo_ct_case)])
def test_a_script_gets_the_same_head_from_the_generator_and_no_network(scene, sampleDataModule, name, make):
    import SampleData

    sample_data.registerSampleData()
    nodes = SampleData.SampleDataLogic().downloadSamples(name)
    truth = make().images
    assert [roleOf(factsOf(node), slicer.util.arrayFromVolume(node)) for node in nodes] == list(truth)
    for node, volume in zip(nodes, truth.values(), strict=True):
        assert np.array_equal(app.volumeFromNode(node).array, volume.array)
        assert app.volumeFromNode(node).same_grid(volume)


def test_addresses_of_others_are_left_as_they_are(sampleDataModule):
    import SampleData

    sample_data.registerSampleData()
    (rule,) = SampleData.rules.values()
    for address in ("https://github.com/Slicer/x/MR-head.nrrd", "file:///tmp/a b.nrrd", "", "C:/x.nrrd"):
        assert rule(address) == address


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

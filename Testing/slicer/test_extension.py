"""What the Extensions Index asks of an extension: its entry, its CMake fields, its pictures."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
from PIL import Image
from stand_in import ROOT
from StrokeSegApp import dependencies

#: The fields of slicer-extension-catalog-entry-schema-v1.0.2.json in Slicer's sources.
SCHEMA = {
    "type": "object",
    "required": ["$schema", "category", "scm_url"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string"},
        "category": {"type": "string"},
        "scm_url": {"type": "string"},
        "scm_revision": {"type": "string"},
        "scm_type": {"enum": ["git", "local"]},
        "build_dependencies": {"type": "array", "items": {"type": "string"}},
        "dicom_support_rule": {"type": "string"},
        "build_subdirectory": {"type": "string"},
        "enabled": {"type": "boolean"},
        "tier": {"type": "integer", "minimum": 1, "maximum": 5},
    },
}
ENTRY = ROOT / "Resources" / "ExtensionsIndex" / "StrokeSeg.json"
RAW = "https://raw.githubusercontent.com/StrokeSeg/SlicerStrokeSeg/main/"
PICTURE_LIMIT_BYTES = 120_000


@pytest.fixture(scope="module")
def entry():
    return json.loads(ENTRY.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def fields():
    """The literal fields of CMakeLists.txt, as the index's validator reads them."""
    return dict(re.findall(r'^set\((EXTENSION_\w+) "([^"]*)"\)$', (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE))


def test_the_entry_follows_the_schema_of_the_index(entry):
    jsonschema.validate(entry, SCHEMA)
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert b"\r" not in ENTRY.read_bytes()
    assert entry["category"] == "Segmentation"
    assert not ENTRY.stem.lower().startswith("slicer")
    assert entry["scm_url"].rsplit("/", 1)[1].startswith("Slicer")


def test_the_entry_and_cmake_name_the_same_project_home_and_dependencies(entry, fields):
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert f"project({ENTRY.stem})" in cmake
    assert fields["EXTENSION_HOMEPAGE"] == entry["scm_url"]
    assert fields["EXTENSION_DEPENDS"].split() == entry["build_dependencies"] == ["PyTorch"]
    assert "not a medical device" in fields["EXTENSION_DESCRIPTION"]
    assert (ROOT / "LICENSE.txt").is_file()


def test_icon_and_screenshots_are_literal_addresses_of_files_that_are_there(fields):
    for name in ("EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"):
        for address in fields[name].split():
            assert address.startswith(RAW)
            assert (ROOT / address.removeprefix(RAW)).is_file(), address
    with Image.open(ROOT / fields["EXTENSION_ICONURL"].removeprefix(RAW)) as icon:
        assert icon.size == (128, 128)


def test_the_tutorials_pictures_and_the_samples_thumbnail_are_small():
    pictures = sorted((ROOT / "Resources" / "Screenshots").glob("tutorial-*.png"))
    assert len(pictures) >= 4
    thumbnails = sorted((ROOT / "Resources" / "Screenshots").glob("sample-*.png"))
    assert len(thumbnails) == 3
    assert all(path.stat().st_size < PICTURE_LIMIT_BYTES for path in [*pictures, *thumbnails])
    for path in thumbnails:
        with Image.open(path) as picture:
            assert max(picture.size) <= 280


def test_no_file_of_the_module_imports_at_its_top_what_slicer_does_not_bring():
    allowed = {
        "slicer",
        "qt",
        "ctk",
        "vtk",
        "numpy",
        "SimpleITK",
        "scipy",
        "StrokeSegApp",
        "StrokeSegLib",
        "__future__",
    }
    import sys

    for path in (ROOT / "StrokeSeg").rglob("*.py"):
        for name in re.findall(r"^(?:from|import) ([A-Za-z_]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert name in allowed or name in sys.stdlib_module_names, (path.name, name)


def test_torch_is_never_installed_by_pip_directly_only_through_the_extension_or_a_users_folder():
    text = (ROOT / "StrokeSeg" / "StrokeSegApp" / "dependencies.py").read_text(encoding="utf-8")
    assert text.count("pip_install(") == 1
    assert '["--no-index", "--find-links"' in text
    assert dependencies.TORCH.startswith("torch>=")


def test_on_the_stand_in_the_whole_panel_opens_with_nothing_installed_beside_what_slicer_brings():
    """Every section is built, in a Python that can import none of our packages."""
    import subprocess
    import sys

    absent = ["openvino", "safetensors", "rich", "PIL", "torch", "monai", "onnx", "onnxruntime", "jsonschema"]
    script = (
        f"import sys; sys.path[:0] = {[str(ROOT / 'Testing' / 'slicer'), str(ROOT / 'StrokeSeg'), str(ROOT)]!r}\n"
        f"for name in {absent!r}: sys.modules[name] = None\n"
        "from stand_in import application, pythonqt, widgets\n"
        "application.start(); pythonqt.install(); widgets.install()\n"
        f"module = application.loadModule(__import__('pathlib').Path({str(ROOT / 'StrokeSeg' / 'StrokeSeg.py')!r}))\n"
        "from stand_in.panel import OpenPanel\n"
        "panel = OpenPanel(module)\n"
        "assert pythonqt.slotErrors == []\n"
        "print(panel.ui.modelsTable.rowCount, panel.ui.trainSystemSelector.count)\n"
        "panel.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    models, systems = map(int, done.stdout.split())
    assert models >= 1
    assert systems >= 4

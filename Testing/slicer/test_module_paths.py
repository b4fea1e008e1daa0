"""The module finds the library and Resources in a checkout and in the flat tree that Slicer installs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stand_in import ROOT
from StrokeSegApp import paths


def installFlat(target: Path) -> Path:
    """What CMake does: the app's files as named relative to StrokeSeg/, all else as named relative to the root."""
    text = (ROOT / "StrokeSeg" / "packaged_files.cmake").read_text()
    for name, body in re.findall(r"set\((\w+)\n(.*?)\n?\s*\)", text, re.DOTALL):
        base = ROOT / "StrokeSeg" if name == "STROKESEG_APP_SCRIPTS" else ROOT
        for relative in body.split():
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(base / relative, target / relative)
    return target


def test_in_a_checkout_the_root_is_the_folder_above_the_module():
    assert paths.rootFolder() == ROOT
    assert Path(paths.resourcePath("UI/StrokeSeg.ui")).is_file()


def test_a_folder_with_neither_tree_is_named_in_the_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="reinstall the extension"):
        paths.rootFolder(tmp_path)


def test_the_installed_tree_alone_is_enough_to_open_and_find_everything(tmp_path):
    flat = installFlat(tmp_path / "qt-scripted-modules")
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(flat)!r})\n"
        "from StrokeSegApp import paths\n"
        "paths.addLibraryToPath(); paths.addLibraryToPath()\n"
        "import StrokeSegLib.io, StrokeSegLib.models, StrokeSegApp.logic\n"
        "assert sys.path.count(str(paths.rootFolder())) == 1\n"
        "print(paths.rootFolder(), StrokeSegLib.io.__file__, paths.resourcePath('UI/StrokeSeg.ui'), sep='\\n')\n"
    )
    preamble = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom stand_in import application\n"
    done = subprocess.run(
        [sys.executable, "-c", preamble + "application.start()\n" + script],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    root, library, ui = done.stdout.split()
    assert Path(root) == flat
    assert flat in Path(library).parents
    assert Path(ui).is_file()


def test_opening_the_module_needs_no_package_that_slicer_does_not_bring():
    """Everything up to Apply imports with openvino, safetensors, rich, torch and pydantic out of reach."""
    blocked = ["openvino", "safetensors", "rich", "torch", "monai", "onnxruntime", "jsonschema", "pydantic"]
    script = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), str(ROOT / 'StrokeSeg'), str(ROOT)]!r}\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        "from stand_in import application; application.start()\n"
        "from StrokeSeg import StrokeSegLogic\n"
        "import StrokeSegApp.logic\n"
        "print(len(StrokeSegLogic().models()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

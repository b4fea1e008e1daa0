"""Resources are found in a checkout, an editable install, a wheel and an installed extension."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = "from StrokeSegLib.resources import resources_folder; print(resources_folder())"


def asked(cwd: Path, path: Path | None) -> Path:
    """What a fresh Python answers, with ``path`` in front of everything else."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip())


def test_in_a_checkout(tmp_path: Path) -> None:
    assert asked(tmp_path, ROOT) == ROOT / "Resources"


def test_in_an_editable_install(tmp_path: Path) -> None:
    """The tests themselves run in one (``make test`` installs with --editable)."""
    assert asked(tmp_path, None) == ROOT / "Resources"


@pytest.mark.slow
def test_in_a_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert asked(tmp_path, site) == site / "StrokeSegLib" / "Resources"
    assert (site / "StrokeSegLib" / "Resources" / "Models" / "mri" / "weights.safetensors").is_file()
    tops = {entry.name for entry in site.iterdir() if not entry.name.endswith(".dist-info")}
    assert tops == {"StrokeSegLib"}


def test_in_an_installed_extension(tmp_path: Path) -> None:
    """Slicer flattens: StrokeSeg.py, StrokeSegLib and Resources lie in one folder."""
    modules = tmp_path / "qt-scripted-modules"
    shutil.copytree(ROOT / "StrokeSegLib", modules / "StrokeSegLib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "Resources", modules / "Resources")
    assert asked(tmp_path, modules) == modules / "Resources"


def test_an_incomplete_installation_is_told(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "StrokeSegLib", tmp_path / "StrokeSegLib", ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.raises(subprocess.CalledProcessError) as error:
        asked(tmp_path, tmp_path)
    assert "install StrokeSeg again" in error.value.stderr

"""Long paths of Windows, as texts, on any system."""

from __future__ import annotations

import types
from pathlib import Path

import pytest

from StrokeSegLib import long_paths, result_folder
from StrokeSegLib.long_paths import extended, reachable
from StrokeSegLib.result_folder import staged_results

LONG = "x" * 200


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("C:\\cases\\out", "C:\\cases\\out"),
        ("C:/cases/out", "C:\\cases\\out"),
        (f"C:\\Zoë ß\\{LONG}", f"\\\\?\\C:\\Zoë ß\\{LONG}"),
        (f"C:/cases/../{LONG}/.", f"\\\\?\\C:\\{LONG}"),  # the system takes extended names as they are
        (f"\\\\server\\share\\{LONG}", f"\\\\?\\UNC\\server\\share\\{LONG}"),
        (f"\\\\?\\C:\\{LONG}", f"\\\\?\\C:\\{LONG}"),
        (f"\\\\?\\UNC\\server\\share\\{LONG}", f"\\\\?\\UNC\\server\\share\\{LONG}"),
    ],
)
def test_a_long_path_of_windows_gets_its_extended_name_and_a_short_one_stays(path: str, name: str) -> None:
    assert extended(path) == name


def test_other_systems_keep_the_path_and_windows_gets_the_extended_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reachable(tmp_path / LONG) == tmp_path / LONG
    monkeypatch.setattr(long_paths, "sys", types.SimpleNamespace(platform="win32"))
    assert str(reachable(tmp_path / LONG)).startswith("\\\\?\\")


def test_results_are_written_where_they_can_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def reach(folder: Path) -> Path:
        asked.append(folder)
        return tmp_path / "reached"

    monkeypatch.setattr(result_folder, "reachable", reach)
    with staged_results(tmp_path / "long") as stage:
        (stage / "measurements.json").write_text("{}")
    assert asked[0] == tmp_path / "long"
    assert (tmp_path / "reached" / "measurements.json").is_file()
    assert not (tmp_path / "long").exists()

"""Slicer packages only files that CMake lists: StrokeSeg/packaged_files.cmake must list all of them.

Run this file as a script, ``python Testing/library/test_cmake_lists_every_file.py``, to write the list anew.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "StrokeSeg" / "packaged_files.cmake"
HEADER = """\
# Every file that Slicer packages; a test fails when one is missing.
# Written by: python Testing/library/test_cmake_lists_every_file.py
"""


def files_below(folder: Path, base: Path) -> list[str]:
    """Paths relative to ``base`` of all files that belong to the product, sorted."""
    return sorted(
        path.relative_to(base).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    )


def wanted() -> dict[str, list[str]]:
    """What each CMake variable must hold: the module's scripts are relative to StrokeSeg/, the rest to the root."""
    app = [*files_below(ROOT / "StrokeSeg" / "StrokeSegApp", ROOT / "StrokeSeg"), "StrokeSeg.py"]
    library = files_below(ROOT / "StrokeSegLib", ROOT)
    return {
        "STROKESEG_APP_SCRIPTS": app,
        "STROKESEG_LIBRARY_SCRIPTS": [name for name in library if name.endswith(".py")],
        "STROKESEG_RESOURCES": [
            *(name for name in library if not name.endswith(".py")),
            *files_below(ROOT / "Resources", ROOT),
        ],
    }


def listed() -> dict[str, list[str]]:
    """What the list file holds."""
    found = re.findall(r"set\((\w+)\n(.*?)\n?\s*\)", LIST.read_text(), re.DOTALL)
    return {name: body.split() for name, body in found}


def written(lists: dict[str, list[str]]) -> str:
    return HEADER + "".join(
        f"\nset({name}\n" + "".join(f"  {each}\n" for each in entries) + "  )\n" for name, entries in lists.items()
    )


def test_every_file_of_the_app_the_library_and_resources_is_listed_and_nothing_else() -> None:
    cure = f"run: python {Path(__file__).relative_to(ROOT)}"
    for name, entries in wanted().items():
        assert sorted(listed()[name]) == sorted(entries), cure


def test_the_app_has_only_scripts_because_its_macro_is_given_no_resources() -> None:
    assert [name for name in wanted()["STROKESEG_APP_SCRIPTS"] if not name.endswith(".py")] == []


def test_no_file_name_would_split_in_a_cmake_list() -> None:
    names = [name for entries in wanted().values() for name in entries]
    assert [name for name in names if re.search(r"[\s;()\"#\\|]", name)] == []


def test_the_list_is_used_by_both_cmake_files_and_no_path_leaves_its_folder() -> None:
    root, module = (ROOT / "CMakeLists.txt").read_text(), (ROOT / "StrokeSeg" / "CMakeLists.txt").read_text()
    assert "include(StrokeSeg/packaged_files.cmake)" in root
    assert "${STROKESEG_LIBRARY_SCRIPTS}" in root
    assert "${STROKESEG_RESOURCES}" in root
    assert "${STROKESEG_APP_SCRIPTS}" in module
    assert "../" not in LIST.read_text()


if __name__ == "__main__":
    LIST.write_text(written(wanted()))

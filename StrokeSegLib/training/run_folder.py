"""The folder of a run: what was asked for, with what software, on what data; and whether it may be written to."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from StrokeSegLib import __version__
from StrokeSegLib.errors import InputError
from StrokeSegLib.training.presets import Preset

RUN, BAD_BATCH = "run.json", "bad_batch.json"
#: Packages whose versions are recorded.
PACKAGES = ("torch", "monai", "numpy", "scipy", "SimpleITK")
#: Keys that a resumed run may change.
MAY_CHANGE = ("steps", "pool_size")


def open_run(out: Path, preset: Preset, data: dict[str, Any], *, resume: bool, init: str | None) -> None:
    """Makes the folder and writes run.json, or checks that an existing run is the one to go on with.

    Raises:
        InputError: The folder holds something and ``resume`` is not asked for, or holds another run.
    """
    if (out / RUN).is_file():
        if not resume:
            raise InputError(f"{out} already holds a run; go on with it by --resume, or choose another folder")
        _check_same(out, preset)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and holds no run; choose another folder")
    record = {
        "system": preset.system,
        "preset": preset.name,
        "settings": preset.as_dict(),
        "seed": preset.seed,
        "data": data,
        "init": init,
        "networks": {},
        "notes": [],
        "counted": {},
        "versions": {"strokeseg": __version__, "python": platform.python_version(), **_versions()},
        "git_revision": git_revision(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    if (out / RUN).is_file():
        old = read_run(out)
        record |= {key: old[key] for key in ("networks", "notes", "counted") if key in old}
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / RUN, record)


def read_run(run: Path) -> dict[str, Any]:
    """run.json of a run folder.

    Raises:
        InputError: The folder holds no run.
    """
    try:
        record: dict[str, Any] = json.loads((run / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{run} holds no run (no readable {RUN}); give a folder made by strokeseg train") from error
    return record


def note(run: Path, network: str, facts: dict[str, Any], notes: list[str]) -> None:
    """Records what became known of a network; what was known stays."""
    record = read_run(run)
    record["networks"][network] = {**record["networks"].get(network, {}), **facts}
    record["notes"] = [*record["notes"], *(n for n in notes if n not in record["notes"])]
    write_json(run / RUN, record)


def note_counted(run: Path, settings: dict[str, Any]) -> None:
    """Records the prepare settings that were counted on the training images; a resumed run takes these."""
    record = read_run(run)
    record["counted"] = settings
    write_json(run / RUN, record)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file beside and renames it into its place."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(beside, path)


def git_revision() -> str | None:
    """The commit that the library is checked out at, with ``-dirty`` where files differ; None outside a checkout."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    command = ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _check_same(out: Path, preset: Preset) -> None:
    record = read_run(out)
    old, new = record["settings"], preset.as_dict()
    # A key that the run's version did not have yet had no effect then.
    differ = [key for key in new if key in old and old[key] != new[key] and key not in (*MAY_CHANGE, "name")]
    if record["system"] != preset.system or differ:
        was = ", ".join(f"{key} {old.get(key)} instead of {new[key]}" for key in differ) or record["system"]
        raise InputError(
            f"{out} holds a run with other settings ({was}); resume it with its own, or choose a new folder"
        )


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found

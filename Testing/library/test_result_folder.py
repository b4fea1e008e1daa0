"""Results appear whole or not at all; nothing of the user's is lost; a kill leaves the old or the new."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from StrokeSegLib import result_folder
from StrokeSegLib.errors import InputError
from StrokeSegLib.result_folder import staged_results, swap


def run(out: Path, text: str, *, force: bool = False) -> None:
    """One run that writes the same text into two result files."""
    with staged_results(out, force=force) as stage:
        (stage / "measurements.json").write_text(text)
        (stage / "lesion.nii.gz").write_text(text)


def everything(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_results_appear_at_the_end_and_not_before(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "er" / "out"
    with staged_results(out) as stage:
        (stage / "measurements.json").write_text("new")
        assert not out.exists()
    assert everything(tmp_path) == {"deep/er/out/measurements.json": "new"}


def test_an_empty_folder_is_filled_without_force(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    run(tmp_path / "out", "new")
    assert set(everything(tmp_path)) == {"out/lesion.nii.gz", "out/measurements.json"}


@pytest.mark.parametrize("name", ["measurements.json", "lesion.nii.gz", "probability-2.nii.gz", "lesion.seg.nrrd"])
def test_a_folder_with_results_needs_force(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("old")
    with pytest.raises(InputError, match=rf"already holds results \({name}\).*--force"):
        run(out, "new")
    assert everything(tmp_path) == {f"out/{name}": "old"}
    run(out, "new", force=True)
    assert everything(tmp_path) == {"out/lesion.nii.gz": "new", "out/measurements.json": "new"}


@pytest.mark.parametrize("can_swap", [True, False])
def test_the_users_own_files_stay_and_old_results_go(
    tmp_path: Path, can_swap: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def late_swap(stage: Path, target: Path) -> bool:
        (out / "last moment.txt").write_text("saved just before the swap")
        return can_swap and swap(stage, target)  # False is what a system without the call gives

    monkeypatch.setattr(result_folder, "swap", late_swap)
    (out / "notes" / "2026").mkdir(parents=True)
    (out / "notes" / "2026" / "a.txt").write_text("mine")
    (out / "read me.txt").write_text("mine too")
    (out / "link").symlink_to("read me.txt")
    (out / "probability-3.nii.gz").write_text("old")
    out.chmod(0o750)
    with staged_results(out, force=True) as stage:
        (stage / "lesion.nii.gz").write_text("new")
        (out / "late.txt").write_text("saved during the run")
    assert everything(tmp_path) == {
        "out/last moment.txt": "saved just before the swap",
        "out/late.txt": "saved during the run",
        "out/lesion.nii.gz": "new",
        "out/link": "mine too",
        "out/notes/2026/a.txt": "mine",
        "out/read me.txt": "mine too",
    }
    assert (out / "link").is_symlink()
    assert out.stat().st_mode & 0o777 == 0o750
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_link_to_a_result_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    run(tmp_path / "out", "new")
    assert (tmp_path / "out").is_symlink()
    assert set(everything(tmp_path / "real")) == {"lesion.nii.gz", "measurements.json"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_everything_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    run(tmp_path / "out", "old")

    def fail() -> None:
        for out in ("out", "new/out"):
            with pytest.raises(error), staged_results(tmp_path / out, force=True) as stage:  # noqa: PT012
                (stage / "measurements.json").write_text("half")
                raise error

    fail()
    assert everything(tmp_path) == {"out/lesion.nii.gz": "old", "out/measurements.json": "old"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_target_that_can_not_be_a_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "below")
    for out, words in [
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "out", "lies under .*file, which is a file"),
        (tmp_path / "file" / "a" / "b", "lies under"),
        (tmp_path / "here", "current folder"),
        (Path(), "current folder"),
        (Path("/proc"), "mounted disk") if sys.platform == "linux" else (Path("/"), "."),
    ]:
        with pytest.raises(InputError, match=words), staged_results(out, force=True):
            raise AssertionError("must not come this far")
    assert everything(tmp_path) == {"file": "mine"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="permission"):
            run(tmp_path / "out", "new")
    finally:
        tmp_path.chmod(0o700)


CHILD = """
import sys
from pathlib import Path
from StrokeSegLib.result_folder import staged_results
out, number = Path(sys.argv[1]), int(sys.argv[2])
while True:
    with staged_results(out, force=True) as stage:
        for name in ("measurements.json", "lesion.nii.gz", "overlay.png"):
            (stage / name).write_text(str(number))
    print(number, flush=True)
    number += 1
"""


def test_a_disk_that_fills_up_is_told_and_leaves_the_old_results(tmp_path: Path) -> None:
    run(tmp_path / "out", "old")
    script = (
        "import resource, sys\nfrom pathlib import Path\nfrom StrokeSegLib.result_folder import staged_results\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "with staged_results(Path(sys.argv[1]), force=True) as stage:\n"
        "    (stage / 'measurements.json').write_text('x' * 5000)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert "InputError: disk full" in done.stderr.splitlines()[-1]
    assert everything(tmp_path) == {"out/lesion.nii.gz": "old", "out/measurements.json": "old"}


@pytest.mark.parametrize("can_swap", [True, False])
def test_a_kill_at_any_moment_leaves_the_old_results_or_the_new(tmp_path: Path, can_swap: bool) -> None:
    """A child replaces results over and over; 30 kills at random moments never leave a mix, a gap, or lost notes."""
    out, moments = tmp_path / "out", random.Random(7)
    run(out, "0")
    (out / "notes.txt").write_text("mine")
    without_swap = "import StrokeSegLib.result_folder as r\nr._SWAP_CALLS = {}\n"
    script = CHILD if can_swap else without_swap + CHILD
    number = 0
    for _ in range(30 if can_swap else 12):
        child = subprocess.Popen([sys.executable, "-c", script, str(out), str(number)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        finished = [int(child.stdout.readline())]  # one round is through: the kill falls into one of the next
        time.sleep(moments.uniform(0, 0.08))
        child.send_signal(signal.SIGKILL)
        finished += map(int, child.stdout.read().split())
        child.wait()
        child.stdout.close()
        if not can_swap and not out.exists():
            result_folder.clear_leftovers(out, tmp_path)  # what the next run does first: puts the old results back
        found = everything(out)
        assert found.pop("notes.txt") == "mine"
        assert set(found) == {"measurements.json", "lesion.nii.gz", "overlay.png"}
        assert len(set(found.values())) == 1
        number = int(found["measurements.json"])
        assert number in (finished[-1], finished[-1] + 1)
    run(out, "end", force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]  # what the killed runs left is cleared


def test_old_results_put_aside_by_a_killed_run_are_put_back(tmp_path: Path) -> None:
    """Where two folders can not swap, a kill between the two renames leaves ``out`` missing until the next run."""
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    run(tmp_path / "out", "old")
    prefix = result_folder._staging_prefix(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / f"{prefix}{killed.pid}-abcd-old")
    (tmp_path / f"{prefix}{killed.pid}-abcd").mkdir()
    with pytest.raises(InputError, match="already holds results"):
        run(tmp_path / "out", "new")
    assert everything(tmp_path) == {"out/lesion.nii.gz": "old", "out/measurements.json": "old"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_folder_of_a_running_process_is_not_cleared(tmp_path: Path) -> None:
    with staged_results(tmp_path / "out") as first:
        (first / "measurements.json").write_text("first")
        run(tmp_path / "out", "second")
        assert (first / "measurements.json").exists()
    assert json.dumps(everything(tmp_path)) == json.dumps({"out/measurements.json": "first"})


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no such call on this system")
def test_two_folders_swap_names_in_one_step(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"was-{name}").write_text("")
    assert swap(tmp_path / "a", tmp_path / "b")
    assert set(everything(tmp_path)) == {"a/was-b", "b/was-a"}
    with pytest.raises(FileNotFoundError):
        swap(tmp_path / "a", tmp_path / "none")

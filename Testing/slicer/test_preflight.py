"""The report on a computer: every fact has its state, and whatever is not fine says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import pytest
from StrokeSegApp import computer, preflight, torch_trial
from StrokeSegApp.computer import Driver
from StrokeSegApp.preflight import State

BUILD = {"version": "2.9.0+cu128", "cuda": "12.8"}
GPU = Driver("NVIDIA RTX 4000", 16.0, 12.0, "550.54")


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (preflight.checkSlicer((5, 12)), State.OK),
        (preflight.checkSlicer((5, 10)), State.PROBLEM),
        (preflight.checkSlicer((6, 0)), State.OK),
        (preflight.checkSlicer(None), State.WARNING),
        (preflight.checkPython((3, 12)), State.OK),
        (preflight.checkPython((3, 9)), State.PROBLEM),
        (preflight.checkPackages([]), State.OK),
        (preflight.checkPackages(["openvino>=2025.0"]), State.WARNING),
        (preflight.checkTorch(None, False, GPU), State.OK),
        (preflight.checkTorch("2.9.0+cpu", False, None), State.OK),
        (preflight.checkTorch("2.9.0+cpu", False, GPU), State.WARNING),
        (preflight.checkTorch("2.9.0+cu128", False, GPU), State.OK),
        (preflight.checkTorch("2.9.0", True, None), State.PROBLEM),
        (preflight.checkDevice(None, None), State.OK),
        (preflight.checkDevice(GPU, "2.9.0"), State.OK),
        (preflight.checkDevice(Driver("small", 2.0, 1.0, "1"), "2.9.0"), State.WARNING),
        (preflight.checkMemory(8.0), State.OK),
        (preflight.checkMemory(3.0), State.WARNING),
        (preflight.checkMemory(0.5), State.PROBLEM),
        (preflight.checkMemory(None), State.WARNING),
        (preflight.checkPathLength([Path("C:/" + "x" * 100)], limited=True), State.WARNING),
        (preflight.checkPathLength([Path("C:/" + "x" * 40)], limited=True), State.OK),
        (preflight.checkPathLength([Path("/" + "x" * 300)], limited=False), State.OK),
    ],
)
def test_each_fact_has_its_state_and_what_is_not_fine_has_a_cure(line, state):
    assert line.state is state
    assert line.title
    assert line.value
    assert (line.cure != "") or state is State.OK


def test_a_gpu_without_torch_is_no_fault_and_says_how_it_would_be_used():
    line = preflight.checkDevice(GPU, None)
    assert line.state is State.OK
    assert "12.0 of 16.0 GiB" in line.value
    assert "PyTorch" in line.cure


@pytest.mark.parametrize(
    ("facts", "code", "driver", "state", "words"),
    [
        (BUILD | {"device": "RTX"}, 0, GPU, State.OK, "for CUDA 12.8, works with RTX"),
        ({"version": "2.9.0", "cuda": None, "device": "Apple GPU"}, 0, None, State.OK, "works with Apple GPU"),
        (BUILD, 0, GPU, State.WARNING, "update the graphics driver (it is 550.54)"),
        ({"version": "2.9.0", "cuda": None}, 0, GPU, State.WARNING, "2.9.0, a build without GPU"),
        (BUILD, 0, None, State.OK, "2.9.0+cu128"),
        (
            BUILD | {"device": "RTX", "error": "no kernel image"},
            0,
            GPU,
            State.PROBLEM,
            "built for other graphics cards",
        ),
        ({"error": ""}, 0xC0000135, GPU, State.PROBLEM, "Visual C++"),
        ({"error": "something new"}, 1, GPU, State.PROBLEM, "install it again with the extension PyTorch"),
    ],
)
def test_a_trial_of_torch_says_its_cuda_version_and_whether_the_build_fits_driver_and_card(
    facts, code, driver, state, words
):
    line = torch_trial.judged(facts, code, "2.9.0", driver)
    assert line.state is state
    assert line.title == "PyTorch"
    assert words in f"{line.value} {line.cure}"
    assert line.cure or state is State.OK


def test_the_trial_runs_in_a_python_of_its_own_and_ends_with_its_files(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text(
        "import types\n__version__ = '9.9'\nversion = types.SimpleNamespace(cuda='13.0')\n"
        "cuda = types.SimpleNamespace(is_available=lambda: False)\n"
        "backends = types.SimpleNamespace(mps=types.SimpleNamespace(is_available=lambda: False))\n"
    )
    monkeypatch.setattr(torch_trial, "environment", lambda: dict(os.environ) | {"PYTHONPATH": str(tmp_path)})
    trial = torch_trial.TorchTrial([sys.executable])
    until = time.monotonic() + 60
    while not trial.poll():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert trial.line("1", GPU).value == "9.9 for CUDA 13.0, does not find the graphics card"
    folder = trial._folder
    trial.close()
    assert not folder.exists()


def test_a_torch_in_slicers_own_memory_asks_for_a_restart_where_nothing_else_is_to_do():
    fine = preflight.checkTorch("2.9.0", False, None)
    assert preflight.withRestart(fine, False) is fine
    assert "restart Slicer" in preflight.withRestart(fine, True).cure
    broken = preflight.checkTorch("2.9.0", True, None)
    assert preflight.withRestart(broken, True) is broken


def test_the_drivers_words_are_read_and_nonsense_is_no_driver():
    assert computer.parseDriver("NVIDIA H100, 81559, 80990, 570.1\nNVIDIA H100, 1, 1, 570.1\n") == Driver(
        "NVIDIA H100", 81559 / 1024, 80990 / 1024, "570.1"
    )
    assert computer.parseDriver("NVIDIA-SMI has failed because it could not communicate with the driver") is None
    assert computer.parseDriver("") is None


def test_a_driver_tool_on_the_path_is_asked_and_one_that_fails_is_no_gpu(monkeypatch, tmp_path):
    if os.name == "nt":
        pytest.skip("a script stands for the tool, which Windows would not start")
    tool = tmp_path / computer.DRIVER_TOOL
    tool.write_text("#!/bin/sh\necho 'Card, 2048, 1024, 1.2'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert computer.readDriver() == Driver("Card", 2.0, 1.0, "1.2")
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert computer.readDriver() is None


def test_a_folder_that_is_not_there_yet_is_judged_by_the_one_above_and_not_made(tmp_path):
    folder = tmp_path / "a" / "b"
    assert preflight.checkWriting("models", folder).state is State.OK
    assert preflight.checkDisk("models", folder).value.endswith("GiB free")
    assert not (tmp_path / "a").exists()
    assert list(tmp_path.iterdir()) == []  # the trial left nothing


def test_a_folder_that_can_not_be_written_to_is_a_problem_with_its_path(tmp_path):
    if os.name == "nt" or os.geteuid() == 0:
        target = Path("/proc/self") if Path("/proc/self").is_dir() else None
        if target is None:
            pytest.skip("the administrator may write everywhere")
    else:
        target = tmp_path / "locked"
        target.mkdir(mode=0o500)
    line = preflight.checkWriting("models", target)
    assert line.state is State.PROBLEM
    assert str(target) in line.value
    assert line.cure


def test_a_full_disk_is_a_problem_and_a_nearly_full_one_a_warning(monkeypatch, tmp_path):
    for freeGib, state in ((0.3, State.PROBLEM), (3.0, State.WARNING), (30.0, State.OK)):
        usage = type("Usage", (), {"free": freeGib * computer.GIB})
        monkeypatch.setattr(preflight.shutil, "disk_usage", lambda folder, usage=usage: usage)
        assert preflight.checkDisk("temporary files", tmp_path).state is state


def test_names_in_any_language_are_tried_on_the_disk_itself(tmp_path):
    assert preflight.checkEncoding("utf-8", "utf-8", tmp_path).state is State.OK
    assert preflight.checkEncoding("utf-8", "utf-8", tmp_path / "gone").state is State.WARNING


def test_a_proxys_address_is_never_shown_because_it_may_hold_a_password():
    line = preflight.checkProxy({"HTTPS_PROXY": "http://me:secret@proxy", "PATH": "/bin"})
    assert line.value == "HTTPS_PROXY"
    assert preflight.checkProxy({}).value == "none set"


def test_the_whole_report_of_this_computer_is_quick_names_all_facts_and_holds_no_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    folders = {"temporary files": Path(tempfile.gettempdir()), "your models": tmp_path / "settings" / "Models"}
    lines = preflight.examine((5, 13), folders)
    titles = [line.title for line in lines]
    for wanted in (
        "Slicer", "Python", "PyTorch", "Device", "Free memory", "Disk, temporary files", "Disk, your models",
        "Writing, your models", "Path length", "Text encoding", "Packages",
    ):  # fmt: skip
        assert wanted in titles
    text = preflight.asText(lines)
    assert str(tmp_path) not in text
    assert "~" in text
    assert text.count("\n") >= len(lines)
    assert all(line.cure in text for line in lines)


def test_the_report_imports_neither_torch_nor_openvino():
    script = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        "from stand_in import application; application.start()\n"
        "from pathlib import Path\n"
        "from StrokeSegApp import preflight\n"
        "preflight.examine((5, 12), {'temporary files': Path('.')})\n"
        "assert not {'torch', 'openvino'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_free_memory_of_this_computer_is_a_sensible_number():
    gib = computer.freeMemoryGib()
    assert gib is not None
    assert 0 < gib < 100_000


#: As macOS 15 says it, shortened.
VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               10000.
Pages active:                            400000.
Pages inactive:                           30000.
Pages speculative:                         5000.
Pages throttled:                              0.
"Translation faults":                 987654321.
"""


def test_the_words_of_macos_about_its_memory_are_counted_in_its_pages(monkeypatch):
    assert computer.parseVmStat(VM_STAT) == 45_000 * 16384
    assert (
        computer.parseVmStat(VM_STAT.replace("Pages speculative:                         5000.\n", ""))
        == 40_000 * 16384
    )
    monkeypatch.setattr(computer, "os", types.SimpleNamespace(name="posix"))
    monkeypatch.setattr(computer.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(
        computer.subprocess,
        "run",
        lambda words, **_: types.SimpleNamespace(stdout=VM_STAT.encode() * (words == ["vm_stat"])),
    )
    assert computer.freeMemoryGib() == 45_000 * 16384 / computer.GIB
    monkeypatch.setattr(computer.subprocess, "run", lambda *_, **__: types.SimpleNamespace(stdout=b"nothing known"))
    assert computer.freeMemoryGib() is None


def test_windows_is_asked_for_its_memory_with_the_structure_that_it_knows(monkeypatch):
    sizes = []

    def ask(pointer):
        status = pointer._obj
        sizes.append(status.length)
        status.total, status.free = 16 * computer.GIB, 6 * computer.GIB

    kernel = types.SimpleNamespace(GlobalMemoryStatusEx=ask)
    monkeypatch.setattr(computer.ctypes, "windll", types.SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr(computer.ctypes, "c_ulong", computer.ctypes.c_uint32)  # as wide as Windows has it
    monkeypatch.setattr(computer, "os", types.SimpleNamespace(name="nt"))
    assert computer.freeMemoryGib() == 6.0
    assert sizes == [64]  # of MEMORYSTATUSEX; Windows refuses any other


@pytest.mark.parametrize(("value", "enabled"), [(1, True), (0, False), (None, False)])
def test_long_paths_are_on_only_where_windows_registry_says_so(monkeypatch, value, enabled):
    class Key:
        """An open key of the registry."""

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    def read(key, name):
        assert name == "LongPathsEnabled"
        if value is None:
            raise FileNotFoundError(name)
        return value, 4

    registry = types.SimpleNamespace(HKEY_LOCAL_MACHINE=1, OpenKey=lambda *_: Key(), QueryValueEx=read)
    monkeypatch.setitem(sys.modules, "winreg", registry)
    assert computer.longPathsEnabled() is enabled

"""What Apply needs is looked up without importing it, and installed only through Slicer's question."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest
import slicer.packaging
from StrokeSegApp import dependencies

ABSENT = "no-such-package-of-anybody>=1"


def requirements(monkeypatch, tmp_path, text):
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    monkeypatch.setattr(dependencies, "resourcePath", lambda relative: str(path))


def installing(tmp_path, text="numpy>=1.0\n"):
    """A stand-in for pip that gets it done: afterwards the file names only what is there."""
    asked = []

    def install(wanted, requester):
        asked.append((wanted, requester))
        (tmp_path / "requirements.txt").write_text(text)

    return asked, install


def test_an_absent_package_and_one_that_is_too_old_are_missing_and_an_installed_one_is_not(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, f"# comment\n\nnumpy>=1.0\nnumpy>=999\n{ABSENT}\n")
    assert dependencies.missingRequirements() == ["numpy>=999", ABSENT]


def test_nothing_is_asked_when_nothing_is_missing(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, "numpy>=1.0\n")
    monkeypatch.setattr(slicer.packaging, "pip_ensure", lambda *_, **__: 1 / 0)
    assert dependencies.ensureRequirements() is None


def test_slicer_is_asked_with_the_modules_name_and_all_requirements(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, f"{ABSENT}\nnumpy>=1.0\n")
    asked, install = installing(tmp_path)
    monkeypatch.setattr(slicer.packaging, "pip_ensure", install)
    assert dependencies.ensureRequirements() is None
    assert asked == [([ABSENT, "numpy>=1.0"], "StrokeSeg")]


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("User declined package installation", "again"),
        ("no route\nto host", "network"),
        ("HTTPSConnectionPool: Read timed out", "Install from a folder"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate in chain", "certificate"),
        ("[Errno 28] No space left on device", "free some space"),
        ("[WinError 206] The filename or extension is too long", "short name"),
        ("[Errno 13] Permission denied: 'site-packages'", "may write"),
        ("No module named 'slicer.packaging'", "5.12"),
        ("ERROR: No matching distribution found for openvino", "latest stable Slicer"),
        ("Command 'pip install' returned non-zero exit status 1.", "Help"),
    ],
)
def test_a_failed_installation_becomes_one_line_with_its_reason_and_its_cure(monkeypatch, tmp_path, said, cure):
    requirements(monkeypatch, tmp_path, f"{ABSENT}\n")

    def fail(wanted, requester):
        raise OSError(said)

    monkeypatch.setattr(slicer.packaging, "pip_ensure", fail)
    line = dependencies.ensureRequirements()
    assert line.startswith(f"{ABSENT} ({' '.join(said.split())}); ")
    assert cure in line.split("; ", 1)[1]


#: What pip says of a failure (its own words), and a word of the cure. Each failed download ends in the same two lines.
NOT_FOUND = "ERROR: Could not find a version that satisfies the requirement x (from versions: none)"
PIP_SAYS = [
    (
        "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'ProxyError('Cannot connect to"
        " proxy.', NewConnectionError('Failed to establish a new connection: [Errno 111] Connection refused'))': /x/",
        "check the network and the proxy",
    ),
    (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'SSLError(SSLCertVerificationError(1, '[SSL:"
        " CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in chain'))': /simple/x/",
        "ask IT for its certificate",
    ),
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "free some space"),
    ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/opt/x'", "may write"),
    ("ERROR: Could not install packages due to an OSError: [WinError 206] The filename or extension", "short name"),
    ("Collecting x", "latest stable Slicer"),
]


def failingPip(*lines):
    """What Slicer's functions do when pip fails: each line is printed, and the error that is raised names none."""

    def fail(*_, **__):
        for line in lines:
            print(line)
        raise subprocess.CalledProcessError(1, "pip install")

    return fail


@pytest.mark.parametrize(("said", "cure"), PIP_SAYS)
def test_the_cure_comes_from_what_pip_said_because_slicers_error_names_only_the_exit_code(
    monkeypatch, tmp_path, capsys, said, cure
):
    requirements(monkeypatch, tmp_path, f"{ABSENT}\n")
    failed = said if said.startswith("ERROR") else NOT_FOUND
    monkeypatch.setattr(slicer.packaging, "pip_ensure", failingPip("Collecting x", said, failed))
    line = dependencies.ensureRequirements()
    assert cure in line
    assert "non-zero exit status" not in line
    assert failed.removeprefix("ERROR: ") in line
    assert "\n" not in line
    assert said in capsys.readouterr().out  # Slicer's console still has all of it


def test_torch_gets_its_cure_from_what_pip_said_as_well(monkeypatch, noTorch):
    torchExtension(monkeypatch, failingPip(PIP_SAYS[0][0], NOT_FOUND))
    assert "check the network and the proxy" in dependencies.ensureTorch()
    torchExtension(monkeypatch, lambda **words: None)  # so the extension answers a "Cancel"
    assert "asked again" in dependencies.ensureTorch()


def test_a_folder_of_wheels_gets_its_cure_from_what_pip_said_or_lacks_wheels(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, f"{ABSENT}\n")
    folder = wheels(tmp_path / "wheels", "x")
    monkeypatch.setattr(slicer.packaging, "pip_install", failingPip(PIP_SAYS[2][0]), raising=False)
    assert "free some space" in dependencies.installFromFolder(folder)
    monkeypatch.setattr(slicer.packaging, "pip_install", failingPip(NOT_FOUND), raising=False)
    assert "add their wheels" in dependencies.installFromFolder(folder)


def test_trainings_packages_leave_the_build_of_torch_that_is_there(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, f"{ABSENT}\n")
    versions = dependencies.packageVersion
    monkeypatch.setattr(
        dependencies, "packageVersion", lambda name: "2.9.0+cu128" if name == "torch" else versions(name)
    )
    monkeypatch.setattr(dependencies, "torchIsBroken", lambda: False)
    bonds = []

    def install(wanted, requester, constraints):
        bonds.append(constraints.read_text())

    monkeypatch.setattr(dependencies, "ensureRequirements", lambda: None)
    monkeypatch.setattr(slicer.packaging, "pip_ensure", install)
    monkeypatch.setattr(slicer.packaging, "pip_install", install, raising=False)
    assert ABSENT in dependencies.ensureTraining()
    assert ABSENT in dependencies.installFromFolder(wheels(tmp_path / "wheels", "torch"))
    assert bonds == ["torch==2.9.0+cu128\n"] * 2


def test_an_installer_that_does_nothing_as_in_testing_mode_is_noticed(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, f"{ABSENT}\n")
    monkeypatch.setattr(slicer.packaging, "pip_ensure", lambda wanted, requester: None)
    assert dependencies.ensureRequirements().startswith(f"{ABSENT}; ")


def test_a_slicer_without_the_packaging_module_is_told_to_be_updated(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, f"{ABSENT}\n")
    monkeypatch.delattr(slicer, "packaging")
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    assert "5.12" in dependencies.ensureRequirements()


def test_the_shipped_lists_are_free_of_torch_and_readable():
    for name in (dependencies.REQUIREMENTS_FILE, dependencies.TRAINING_FILE):
        with open(dependencies.resourcePath(name), encoding="utf-8") as file:
            lines = [line for line in file if not line.startswith("#")]
        assert lines
        assert not any(line.startswith("torch") for line in lines)
        assert not any("==" in line for line in lines)  # other extensions must be able to live beside
        dependencies.missingRequirements(name)


def torchExtension(monkeypatch, installTorch):
    module = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = lambda: types.SimpleNamespace(installTorch=installTorch)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)


@pytest.fixture
def noTorch(monkeypatch):
    """A Python without torch, as Slicer's is."""
    versions = dependencies.packageVersion
    monkeypatch.setattr(dependencies, "packageVersion", lambda name: None if name == "torch" else versions(name))
    monkeypatch.setattr(dependencies, "torchIsBroken", lambda: False)


def test_torch_comes_through_the_pytorch_extension_after_its_own_question(monkeypatch, noTorch):
    asked = []

    def install(**words):
        asked.append(words)
        monkeypatch.setattr(dependencies, "packageVersion", lambda name: "2.9.0")

    torchExtension(monkeypatch, install)
    assert dependencies.ensureTorch() is None
    assert asked == [{"askConfirmation": True, "torchVersionRequirement": ">=2.6"}]
    assert dependencies.ensureTorch() is None
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("device", "asks"), [("auto", False), ("cpu", False), ("cuda", True), ("cuda:1", True), ("mps", True)]
)
def test_torch_is_asked_for_only_where_a_gpu_was_chosen(monkeypatch, noTorch, device, asks):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    assert (dependencies.ensureForDevice(device) is not None) == asks


def test_without_the_pytorch_extension_the_line_says_to_install_it(monkeypatch, noTorch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    assert "Extensions Manager" in dependencies.ensureTorch()


def test_a_torch_that_was_declined_or_failed_is_said_with_the_cure(monkeypatch, noTorch):
    torchExtension(monkeypatch, lambda **words: None)
    assert dependencies.ensureTorch().startswith("torch>=2.6; ")

    def fail(**words):
        raise RuntimeError("[WinError 206] The filename or extension is too long")

    torchExtension(monkeypatch, fail)
    assert "short name" in dependencies.ensureTorch()


def test_half_a_torch_is_found_without_importing_it_and_named(monkeypatch, tmp_path):
    (tmp_path / "torch" / "lib").mkdir(parents=True)  # what a failed installation leaves on Windows
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(each for each in sys.path if "site-packages" not in each)])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert dependencies.torchIsBroken()
    assert "delete the folder 'torch'" in dependencies.ensureTorch()
    assert "torch" not in sys.modules


def test_training_asks_for_the_small_set_then_torch_then_the_rest_and_stops_at_the_first_no(monkeypatch):
    order = []
    monkeypatch.setattr(dependencies, "ensureRequirements", lambda: order.append("small"))
    monkeypatch.setattr(dependencies, "ensureTorch", lambda: order.append("torch") or "no torch")
    monkeypatch.setattr(dependencies, "_ensure", lambda *_: order.append("rest"))
    assert dependencies.ensureTraining() == "no torch"
    assert order == ["small", "torch"]
    monkeypatch.setattr(dependencies, "ensureTorch", lambda: order.append("torch"))
    assert dependencies.ensureTraining() is None
    assert order[2:] == ["small", "torch", "rest"]


def wheels(folder, *names):
    folder.mkdir()
    for name in names:
        (folder / f"{name}-1.0-py3-none-any.whl").write_bytes(b"")
    return folder


def test_a_folder_of_wheels_is_installed_without_a_network_and_with_all_that_is_missing(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, f"{ABSENT}\nnumpy>=1.0\n")
    asked, install = installing(tmp_path)
    monkeypatch.setattr(slicer.packaging, "pip_install", install, raising=False)
    folder = wheels(tmp_path / "räder für Slicer", "no_such_package_of_anybody")
    assert dependencies.installFromFolder(folder) is None
    assert asked == [(["--no-index", "--find-links", str(folder), ABSENT], "StrokeSeg")]


def test_torch_and_trainings_packages_come_from_the_folder_only_where_torch_is_in_it(monkeypatch, tmp_path):
    monkeypatch.setattr(dependencies, "missingForTraining", lambda: ["torch>=2.6", "monai>=1.4"])
    monkeypatch.setattr(dependencies, "missingRequirements", lambda: [])
    assert dependencies.installFromFolder(wheels(tmp_path / "a", "openvino")) is None  # nothing to do
    asked = []
    monkeypatch.setattr(slicer.packaging, "pip_install", lambda wanted, requester: asked.append(wanted), raising=False)
    line = dependencies.installFromFolder(wheels(tmp_path / "b", "torch", "monai"))
    assert asked[0][3:] == ["torch>=2.6", "monai>=1.4"]
    assert line.startswith("torch>=2.6, monai>=1.4 could not be installed from")
    assert "wheels" in line


def test_the_packages_of_an_export_to_dicom_come_from_the_folder_where_they_are_in_it(monkeypatch, tmp_path):
    missing = {dependencies.REQUIREMENTS_FILE: ["openvino>=2025.0"], dependencies.DICOM_FILE: ["highdicom>=0.28"]}
    monkeypatch.setattr(dependencies, "missingRequirements", lambda name=dependencies.REQUIREMENTS_FILE: missing[name])
    asked = []
    monkeypatch.setattr(slicer.packaging, "pip_install", lambda wanted, requester: asked.append(wanted), raising=False)
    dependencies.installFromFolder(wheels(tmp_path / "a", "openvino"))
    dependencies.installFromFolder(wheels(tmp_path / "b", "openvino", "highdicom"))
    assert [words[3:] for words in asked] == [["openvino>=2025.0"], ["openvino>=2025.0", "highdicom>=0.28"]]


@pytest.mark.parametrize("kind", ["none", "empty", "file"])
def test_a_folder_without_wheels_is_refused_with_what_to_do(tmp_path, kind):
    folder = tmp_path / kind
    if kind == "empty":
        folder.mkdir()
    elif kind == "file":
        folder.write_text("x")
    line = dependencies.installFromFolder(folder)
    assert str(folder) in line
    assert ("pip download" in line) if kind == "empty" else ("choose another folder" in line)

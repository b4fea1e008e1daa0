"""What Apply needs is looked up without importing it, and installed only through Slicer's question."""

from __future__ import annotations

import slicer.packaging
from StrokeSegApp import dependencies


def requirements(monkeypatch, tmp_path, text):
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    monkeypatch.setattr(dependencies, "resourcePath", lambda relative: str(path))


def test_an_absent_package_and_one_that_is_too_old_are_missing_and_an_installed_one_is_not(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, "# comment\n\nnumpy>=1.0\nnumpy>=999\nno-such-package-of-anybody>=1\n")
    assert dependencies.missingRequirements() == ["numpy>=999", "no-such-package-of-anybody>=1"]


def test_nothing_is_asked_when_nothing_is_missing(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, "numpy>=1.0\n")
    monkeypatch.setattr(slicer.packaging, "pip_ensure", lambda *_, **__: 1 / 0)
    assert dependencies.ensureRequirements() is None


def test_slicer_is_asked_with_the_modules_name_and_all_requirements(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, "no-such-package-of-anybody>=1\nnumpy>=1.0\n")
    asked = []

    def install(wanted, requester):
        asked.append((wanted, requester))
        (tmp_path / "requirements.txt").write_text("numpy>=1.0\n")  # as if it were installed now

    monkeypatch.setattr(slicer.packaging, "pip_ensure", install)
    assert dependencies.ensureRequirements() is None
    assert asked == [(["no-such-package-of-anybody>=1", "numpy>=1.0"], "StrokeSeg")]


def test_a_failed_installation_becomes_one_line(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, "no-such-package-of-anybody>=1\n")

    def fail(wanted, requester):
        raise OSError("no route\nto host")

    monkeypatch.setattr(slicer.packaging, "pip_ensure", fail)
    assert dependencies.ensureRequirements() == "no-such-package-of-anybody>=1 (no route to host)"


def test_an_installer_that_does_nothing_as_in_testing_mode_is_noticed(monkeypatch, tmp_path):
    requirements(monkeypatch, tmp_path, "no-such-package-of-anybody>=1\n")
    monkeypatch.setattr(slicer.packaging, "pip_ensure", lambda wanted, requester: None)
    assert dependencies.ensureRequirements() == "no-such-package-of-anybody>=1"


def test_the_shipped_list_is_free_of_torch_and_readable():
    with open(dependencies.resourcePath(dependencies.REQUIREMENTS_FILE), encoding="utf-8") as file:
        text = file.read()
    assert "\ntorch" not in text
    assert "openvino" in text
    dependencies.missingRequirements()

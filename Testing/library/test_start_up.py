"""Quick to start: what is not imported takes no time. Times are not asserted, busy machines would fail; modules are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from StrokeSegLib.demo import demo_case
from StrokeSegLib.inference import gpu
from StrokeSegLib.inference.gpu import may_have_gpu
from StrokeSegLib.io import write_image

#: Each of these takes a good part of a second, torch several.
HEAVY = ("torch", "monai", "openvino", "numpy", "scipy", "SimpleITK", "PIL", "rich", "safetensors")
TAIL = "\nimport sys; print(*[name for name in {names!r} if name in sys.modules])"


def imported_by(program: str, names: tuple[str, ...] = HEAVY) -> set[str]:
    """Which of the names a fresh process has imported at its end."""
    words = [sys.executable, "-c", program + TAIL.format(names=names)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_library_imports_nothing_heavy() -> None:
    assert imported_by("import StrokeSegLib") == set()


def test_segment_loads_on_first_use_only() -> None:
    assert "numpy" in imported_by("from StrokeSegLib import segment")
    assert "torch" not in imported_by("from StrokeSegLib import segment")


@pytest.mark.parametrize("words", [["models"], ["models", "--json"]])
def test_listing_the_models_imports_nothing_heavy(words: list[str]) -> None:
    assert imported_by(f"from StrokeSegLib.cli import main; assert main({words}) == 0; print()") == set()


HELP = """
from StrokeSegLib.cli import main
try:
    main(["segment", "--help"])
except SystemExit:
    print()
"""


def test_help_of_a_command_imports_nothing_heavy() -> None:
    assert imported_by(HELP) == set()


@pytest.mark.skipif(may_have_gpu(), reason="with a GPU, torch is what runs the network")
def test_segmenting_on_a_computer_without_gpu_never_imports_torch(tmp_path: Path) -> None:
    """Torch is installed here, but asking it for a GPU would cost more than the network's own time."""
    for role, image in demo_case().images.items():
        write_image(image, tmp_path / f"{role}.nii")
    words = ["segment", "--model", "mri", *[f"{r}={tmp_path / r}.nii" for r in ("dwi", "adc")], "--out", "out"]
    words[-1] = str(tmp_path / "out")
    program = f"from StrokeSegLib.cli import main; assert main({words}) == 0; print()"
    assert imported_by(program, ("torch", "monai", "openvino")) == {"openvino"}


def test_where_a_gpu_could_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu.sys, "platform", "linux")
    monkeypatch.setattr(gpu, "LINUX_DEVICES", (str(tmp_path / "nvidiactl"),))
    assert not may_have_gpu()
    (tmp_path / "nvidiactl").touch()
    assert may_have_gpu()
    monkeypatch.setattr(gpu.sys, "platform", "darwin")
    assert may_have_gpu()

"""Which backend runs where, and what is said when it can not."""

from __future__ import annotations

import sys

import pytest

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference import backends
from StrokeSegLib.inference.backends import Choice, choose


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch):
    """Makes packages look as if they were not installed."""
    real = backends.importlib.util.find_spec

    def hide(*names: str) -> None:
        monkeypatch.setattr(backends.importlib.util, "find_spec", lambda n: None if n in names else real(n))
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


def test_auto_on_the_cpu_is_openvino() -> None:
    assert choose("auto", "cpu") == Choice("openvino", "cpu")


def test_auto_without_torch_is_openvino(without) -> None:
    without("torch")
    assert choose("auto", "auto") == Choice("openvino", "cpu")


def test_auto_without_openvino_is_torch(without) -> None:
    without("openvino")
    assert choose("auto", "cpu") == Choice("torch", "cpu")


def test_torch_can_be_asked_for() -> None:
    assert choose("torch", "cpu") == Choice("torch", "cpu")


def test_a_gpu_without_torch_is_refused_with_the_cure(without) -> None:
    without("torch")
    with pytest.raises(InputError, match=r"device cuda is not available: torch is not installed .* use --device cpu"):
        choose("auto", "cuda")


def test_nothing_installed_is_refused_with_the_cure(without) -> None:
    without("torch", "openvino")
    with pytest.raises(InputError, match="pip install openvino"):
        choose("auto", "auto")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(InputError, match="device"):
        choose("auto", device)


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(InputError, match="known: auto, openvino, torch"):
        choose("tensorflow", "cpu")


def test_openvino_on_a_gpu_is_refused() -> None:
    with pytest.raises(InputError, match="runs on the CPU"):
        choose("openvino", "cuda")

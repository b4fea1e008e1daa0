"""Running a network: OpenVINO on the CPU without torch, or torch on any device; one weights file serves both."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.gpu import may_have_gpu
from StrokeSegLib.inference.openvino_backend import OpenVinoBackend
from StrokeSegLib.inference.torch_backend import TorchBackend
from StrokeSegLib.models import ModelCard, ModelNetwork, check_weights

__all__ = ["Backend", "Choice", "OpenVinoBackend", "TorchBackend", "choose", "load_backend", "load_backends"]


class Backend(Protocol):
    """A loaded network. ``name`` and ``device`` go into measurements.json."""

    name: str
    device: str

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits of a batch: ``(B, C, ...) -> (B, classes, ...)``, 2D or 3D."""
        ...


@dataclass(frozen=True)
class Choice:
    """Which backend on which device."""

    backend: str
    device: str


def choose(backend: str, device: str) -> Choice:
    """Resolves ``auto``: a GPU through torch when torch sees one, else OpenVINO on the CPU, else torch on the CPU.

    Raises:
        InputError: What was asked for is not installed or not there.
    """
    if backend not in ("auto", "openvino", "torch"):
        raise InputError(f"unknown backend {backend!r}; known: auto, openvino, torch")
    if not (device in ("auto", "cpu", "mps") or device.split(":", maxsplit=1)[0] == "cuda"):
        raise InputError(f"unknown device {device!r}; known: auto, cpu, cuda, cuda:N, mps")
    has_torch, has_openvino = (importlib.util.find_spec(name) is not None for name in ("torch", "openvino"))
    if backend == "openvino" or (backend == "auto" and device == "cpu" and has_openvino):
        if not has_openvino:
            raise InputError("backend openvino is not installed; pip install openvino, or use --backend torch")
        if device not in ("auto", "cpu"):
            raise InputError(f"backend openvino runs on the CPU, got device {device}; use --backend torch for {device}")
        return Choice("openvino", "cpu")
    gpu = _torch_device(device) if has_torch and device != "cpu" else None
    if device not in ("auto", "cpu") and gpu is None:
        why = "torch sees no such device" if has_torch else "torch is not installed (pip install 'strokeseg[gpu]')"
        raise InputError(f"device {device} is not available: {why}; use --device cpu")
    if gpu is not None:
        return Choice("torch", gpu)
    if backend == "auto" and has_openvino:
        return Choice("openvino", "cpu")
    if not has_torch:
        raise InputError("no backend is installed; pip install openvino (CPU) or 'strokeseg[gpu]' (torch)")
    return Choice("torch", "cpu")


def _torch_device(device: str) -> str | None:
    """The GPU meant by ``auto``, ``cuda``, ``cuda:N`` or ``mps``, None when it is not there."""
    if device == "auto" and not may_have_gpu():
        return None
    import torch

    if device in ("auto", "cuda") and torch.cuda.is_available():
        return "cuda:0"
    if device.startswith("cuda:") and device[5:].isdigit() and int(device[5:]) < torch.cuda.device_count():
        return device
    if device in ("auto", "mps") and torch.backends.mps.is_available():
        return "mps"
    return None


def fallback(choice: Choice, backend: str, device: str) -> Choice | None:
    """What to take where ``choice`` turned out not to work; None where the user's words leave nothing else.

    Args:
        choice: What ``choose`` made of the words.
        backend, device: The user's words.
    """
    has_torch, has_openvino = (importlib.util.find_spec(name) is not None for name in ("torch", "openvino"))
    if choice.device != "cpu":
        if device != "auto":
            return None
        return Choice("openvino" if backend == "auto" and has_openvino else "torch", "cpu")
    return Choice("torch", "cpu") if backend == "auto" and choice.backend == "openvino" and has_torch else None


def load_backend(card: ModelCard, choice: Choice) -> Backend:
    """Checks the weights' hash and loads the model's first network.

    Raises:
        InputError: The weights are not the ones that the card names.
    """
    return _load(card, card.networks[0], choice, None)


def load_backends(card: ModelCard, choice: Choice, cache: Path | None = None) -> dict[str, Backend]:
    """Checks and loads all networks of a model, by name; names that share their files share the network.

    Args:
        cache: Folder for compiled networks; None compiles anew.

    Raises:
        InputError: The weights are not the ones that the card names.
    """
    by_files: dict[tuple[Path, Path], Backend] = {}
    result = {}
    for network in card.networks:
        files = (network.graph, network.weights)
        if files not in by_files:
            by_files[files] = _load(card, network, choice, cache)
        result[network.name] = by_files[files]
    return result


def _load(card: ModelCard, network: ModelNetwork, choice: Choice, cache: Path | None) -> Backend:
    check_weights(network)
    if choice.backend == "openvino":
        return OpenVinoBackend(card, network, cache)
    return TorchBackend(card, choice.device, network, cache)

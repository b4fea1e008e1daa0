"""Running a network: OpenVINO on the CPU without torch, or torch on any device; one weights file serves both."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.models import ModelCard, ModelNetwork, check_weights


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
    import torch

    if device in ("auto", "cuda") and torch.cuda.is_available():
        return "cuda:0"
    if device.startswith("cuda:") and device[5:].isdigit() and int(device[5:]) < torch.cuda.device_count():
        return device
    if device in ("auto", "mps") and torch.backends.mps.is_available():
        return "mps"
    return None


def load_backend(card: ModelCard, choice: Choice) -> Backend:
    """Checks the weights' hash and loads the model's first network.

    Raises:
        InputError: The weights are not the ones that the card names.
    """
    return _load(card, card.networks[0], choice)


def load_backends(card: ModelCard, choice: Choice) -> dict[str, Backend]:
    """Checks and loads all networks of a model, by name; names that share their files share the network.

    Raises:
        InputError: The weights are not the ones that the card names.
    """
    by_files: dict[tuple[Path, Path], Backend] = {}
    result = {}
    for network in card.networks:
        files = (network.graph, network.weights)
        if files not in by_files:
            by_files[files] = _load(card, network, choice)
        result[network.name] = by_files[files]
    return result


def _load(card: ModelCard, network: ModelNetwork, choice: Choice) -> Backend:
    check_weights(network)
    if choice.backend == "openvino":
        return OpenVinoBackend(card, network)
    return TorchBackend(card, choice.device, network)


class OpenVinoBackend:
    """graph.onnx with its external data in weights.safetensors, compiled for this CPU; no torch, no network access."""

    name = "openvino"
    device = "cpu"

    def __init__(self, card: ModelCard, network: ModelNetwork | None = None) -> None:
        import openvino as ov

        network = network or card.networks[0]

        core = ov.Core()
        # fp32 arithmetic: half precision is used only where agreement has been measured.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        self._compiled: Any = core.compile_model(core.read_model(str(network.graph)), "CPU", settings)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``."""
        result: NDArray[np.float32] = np.array(self._compiled(batch)[0])
        return result


class TorchBackend:
    """The network's own class with the weights of weights.safetensors, fp32, on any torch device."""

    name = "torch"

    def __init__(self, card: ModelCard, device: str, network: ModelNetwork | None = None) -> None:
        import torch
        from safetensors.torch import load_file

        from StrokeSegLib.networks import build_network

        self.device = device
        network = network or card.networks[0]
        net = build_network(card.network, card.settings)
        state = {key: value.float() for key, value in load_file(network.weights).items()}
        missing, unexpected = net.load_state_dict(state, strict=False)
        # BatchNorm counts batches while it trains; that counter is of no use here and not stored.
        if unexpected or [key for key in missing if not key.endswith("num_batches_tracked")]:
            raise InputError(f"{network.weights} does not fit network {card.network}; install the model again")
        self._net = net.eval().to(device)
        self._torch = torch

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``."""
        with self._torch.inference_mode():
            logits = self._net(self._torch.from_numpy(batch).to(self.device))
        result: NDArray[np.float32] = logits.float().cpu().numpy()
        return result

"""Torch on any of its devices: a GPU's memory holds the volume and the blend too, and nothing waits for it in between.

Untrusted code is never loaded: the network's class is the library's own, its weights come from weights.safetensors.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.arrays import Arrays
from StrokeSegLib.inference.ladder import Rung, changes_a_cpu
from StrokeSegLib.inference.precision import permitted_precisions
from StrokeSegLib.models import ModelCard, ModelNetwork
from StrokeSegLib.systems.base import Activation

#: CUDA devices of this compute capability and later gain from fp16 (tensor cores).
FAST_FP16 = (7, 0)


class TorchBackend:
    """The network's own class with the weights of weights.safetensors.

    Attributes:
        precision: ``fp32``, or on CUDA ``bf16`` or ``fp16`` where the card permits it and the device is fast at it.
        arrays: The device's own; None on the CPU, where NumPy's do.
    """

    name = "torch"

    def __init__(
        self, card: ModelCard, device: str, network: ModelNetwork | None = None, cache: Path | None = None
    ) -> None:
        """Loads the weights onto the device.

        Raises:
            InputError: The weights do not fit the network.
        """
        import torch
        from safetensors.torch import load_file

        from StrokeSegLib.networks import build_network

        self.device = device
        self._card, self._network, self._cache, self._torch = card, network or card.networks[0], cache, torch
        net = build_network(card.network, card.settings)
        state = {key: value.float() for key, value in load_file(self._network.weights).items()}
        missing, unexpected = net.load_state_dict(state, strict=False)
        # BatchNorm counts batches while it trains; that counter is of no use here and not stored.
        if unexpected or [key for key in missing if not key.endswith("num_batches_tracked")]:
            raise InputError(f"{self._network.weights} does not fit network {card.network}; install the model again")
        self._net = net.eval().to(device)
        self._formats: dict[int, Any] = {}
        if device.startswith("cuda"):
            self._formats = {4: torch.channels_last, 5: torch.channels_last_3d}
            dimensions = {each.dim() for each in net.parameters()} & set(self._formats)
            self._net.to(memory_format=self._formats[max(dimensions, default=4)])  # type: ignore[call-overload]
        self.precision = _fast_precision(permitted_precisions(card.inference_settings), device)
        self.on_gpu = device != "cpu"
        self.arrays: Arrays | None = TorchArrays(device) if self.on_gpu else None

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``."""
        result: NDArray[np.float32] = (
            self.run_on_device(_sent(self._torch.from_numpy(batch), self.device)).cpu().numpy()
        )
        return result

    def run_on_device(self, batch: Any) -> Any:
        """Logits, float32, of a batch on the device; returns before they are there."""
        with ExitStack() as stack:
            for context in self._contexts():
                stack.enter_context(context)
            form = self._formats.get(batch.dim())
            return self._net(batch if form is None else batch.contiguous(memory_format=form)).float()

    def on_rung(self, rung: Rung) -> Any:
        """The network as a rung of the ladder wants it, None where the rung would change nothing."""
        if not self.on_gpu:
            return self if changes_a_cpu(rung) else None
        if rung.on_cpu:
            return self._moved_to_cpu()
        if rung.empties_cache:
            self.empty_cache()
        if rung.half:
            half = _half_precision(permitted_precisions(self._card.inference_settings), self.device)
            return None if half is None or self.precision != "fp32" else self._with_precision(half)
        return self

    def empty_cache(self) -> None:
        """Gives the memory back that torch holds in reserve."""
        if self.device.startswith("cuda"):
            self._torch.cuda.empty_cache()
        elif self.device == "mps":
            self._torch.mps.empty_cache()

    def _with_precision(self, precision: str) -> TorchBackend:
        other = copy.copy(self)  # the weights are shared
        other.precision = precision
        return other

    def _moved_to_cpu(self) -> Any:
        if importlib.util.find_spec("openvino") is not None:
            from StrokeSegLib.inference.openvino_backend import OpenVinoBackend

            return OpenVinoBackend(self._card, self._network, self._cache)
        return TorchBackend(self._card, "cpu", self._network)

    def _contexts(self) -> list[AbstractContextManager[Any]]:
        torch = self._torch
        contexts: list[AbstractContextManager[Any]] = [torch.inference_mode()]
        if self.device.startswith("cuda"):
            # The same kernels each time, so that two runs are equal; and fp32 means fp32.
            tf32 = self.precision != "fp32"
            contexts.append(torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=tf32))
        if self.precision != "fp32":
            half = {"bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
            contexts.append(torch.autocast(torch.device(self.device).type, dtype=half))
        return contexts


class TorchArrays:
    """Tensors on a device, see ``Arrays``."""

    def __init__(self, device: str) -> None:
        import torch

        self._device, self._torch = device, torch

    def put(self, array: NDArray[np.float32]) -> Any:
        """See ``Arrays``."""
        return _sent(self._torch.from_numpy(np.ascontiguousarray(array)), self._device)

    def take(self, array: Any) -> NDArray[np.float32]:
        """See ``Arrays``."""
        result: NDArray[np.float32] = array.cpu().numpy()
        return result

    def zeros(self, shape: Sequence[int]) -> Any:
        """See ``Arrays``."""
        return self._torch.zeros(tuple(shape), dtype=self._torch.float32, device=self._device)

    def stack(self, arrays: Sequence[Any]) -> Any:
        """See ``Arrays``."""
        return self._torch.stack(list(arrays))

    def flip(self, array: Any, axis: int) -> Any:
        """See ``Arrays``."""
        return self._torch.flip(array, (axis,))

    def probabilities(self, logits: Any, temperature: float, activation: Activation) -> Any:
        """See ``Arrays``."""
        cooled = logits / temperature
        return cooled.sigmoid() if activation == "sigmoid" else cooled.softmax(1)[:, 1:]


def _sent(tensor: Any, device: str) -> Any:
    """A CPU tensor on the device; to CUDA from pinned memory, so that nothing waits for the copy."""
    if device.startswith("cuda"):
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _fast_precision(permitted: Sequence[str], device: str) -> str:
    """The fastest permitted precision; half only on CUDA devices made for it."""
    import torch

    if device.startswith("cuda"):
        if "bf16" in permitted and torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16"
        if "fp16" in permitted and torch.cuda.get_device_capability(device) >= FAST_FP16:
            return "fp16"
    return "fp32"


def _half_precision(permitted: Sequence[str], device: str) -> str | None:
    """A permitted half precision, for its smaller memory, on a device that gains no speed by it."""
    order = ("fp16", "bf16") if device.startswith(("cuda", "mps")) else ("bf16", "fp16")
    return next((each for each in order if each in permitted), None)

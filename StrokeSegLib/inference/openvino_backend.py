"""OpenVINO on the CPU: straight from graph.onnx and weights.safetensors, without torch, telemetry or network access."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.inference.compiled import compiled_network, processor_has_bf16
from StrokeSegLib.inference.precision import permitted_precisions
from StrokeSegLib.models import ModelCard, ModelNetwork


class OpenVinoBackend:
    """A network compiled for this CPU.

    Attributes:
        precision: ``bf16`` where the card permits it and the processor has it, else ``fp32``.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, card: ModelCard, network: ModelNetwork | None = None, cache: Path | None = None) -> None:
        """Compiles, or takes the compiled network from ``cache``, see ``compiled``."""
        half = "bf16" in permitted_precisions(card.inference_settings) and processor_has_bf16()
        self.precision = "bf16" if half else "fp32"
        self._compiled: Any = compiled_network(network or card.networks[0], self.precision, cache)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``."""
        result: NDArray[np.float32] = np.array(self._compiled(batch)[0])
        return result

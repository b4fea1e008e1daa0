"""A network that remembers what it was given and how long it took, and what that is in arithmetic."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from StrokeSegLib.inference.around import AroundBackend
from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.models import ModelCard
from StrokeSegLib.networks import build_network


class Recorded(AroundBackend):
    """A backend under observation.

    Attributes:
        shapes: Shape of a batch -> how many of them came.
        seconds: Inside the network, all batches together.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.shapes: Counter[tuple[int, ...]] = Counter()
        self.seconds = 0.0

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``."""
        started = time.perf_counter()
        logits = self._backend.run(batch)
        self.seconds += time.perf_counter() - started
        self.shapes[batch.shape] += 1
        return logits

    def run_on_device(self, batch: Any) -> Any:
        """As the backend's own; on a GPU it returns early, and the seconds are those of the start alone."""
        started = time.perf_counter()
        logits = self._backend.run_on_device(batch)  # type: ignore[attr-defined]
        self.seconds += time.perf_counter() - started
        self.shapes[tuple(batch.shape)] += 1
        return logits

    def forget(self) -> None:
        """Starts counting anew."""
        self.shapes.clear()
        self.seconds = 0.0


def count_flop(card: ModelCard, shapes: Mapping[tuple[int, ...], int]) -> int:
    """Floating-point operations of convolutions and products; a multiplication and an addition are two.

    Nothing is computed: tensors without data pass through the network.
    """
    with torch.device("meta"):
        net = build_network(card.network, card.settings).eval()
    total = 0
    for shape, count in shapes.items():
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(torch.empty(shape, device="meta"))
        total += count * int(counter.get_total_flops())
    return total

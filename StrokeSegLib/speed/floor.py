"""The best rate that a backend reaches on this machine: one large convolution over and over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from StrokeSegLib.inference.compiled import openvino

CHANNELS, SIDE = 256, 64
#: Of the convolution: a multiplication and an addition for each weight and pixel.
FLOP = 2 * CHANNELS * CHANNELS * 9 * SIDE * SIDE
#: The best of so many.
TRIES = 15


def best_flop_per_second(backend: str, precision: str, device: str) -> float:
    """The best of many runs of a 3x3 convolution of 256 channels over 64 x 64 pixels.

    Args:
        backend, precision, device: As a loaded ``Backend`` names them.
    """
    once = _openvino(precision) if backend == "openvino" else _torch(precision, device)
    once()
    return FLOP / min(_seconds(once) for _ in range(TRIES))


def _seconds(once: Callable[[], Any]) -> float:
    started = time.perf_counter()
    once()
    return time.perf_counter() - started


def _openvino(precision: str) -> Callable[[], Any]:
    ov = openvino()
    op = ov.opset13
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, CHANNELS, SIDE, SIDE)).astype(np.float32)
    kernel = rng.standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
    x = op.parameter(list(image.shape), np.float32)
    y = op.convolution(x, op.constant(kernel), [1, 1], [1, 1], [1, 1], [1, 1])
    settings = {"INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(precision, precision), "PERFORMANCE_HINT": "LATENCY"}
    compiled = ov.Core().compile_model(ov.Model([y], [x]), "CPU", settings)
    return lambda: compiled(image)


def _torch(precision: str, device: str) -> Callable[[], Any]:
    import torch

    kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    convolution = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, device=device, dtype=kind)
    image = torch.randn(1, CHANNELS, SIDE, SIDE, device=device, dtype=kind)
    image = image.contiguous(memory_format=torch.channels_last)

    def once() -> None:
        with torch.inference_mode():
            convolution(image)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    return once

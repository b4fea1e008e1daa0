"""What a user would run instead: MONAI's sliding window over the whole volume, eager torch in single precision.

Default threads, no crop, batch 1, slices one by one for 2D networks, overlap as the paper says. Where the whole would
take over five minutes, some windows are run and the rest is counted from them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from numpy.typing import NDArray
from torch import Tensor

from StrokeSegLib.inference.backends import TorchBackend
from StrokeSegLib.inference.planes import AXES, members_by_plane
from StrokeSegLib.inference.settings import inference_settings
from StrokeSegLib.inference.slices import fitting_neighbors
from StrokeSegLib.inference.windows import slice_stack
from StrokeSegLib.models import ModelCard
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.systems.base import Prepared
from StrokeSegLib.training.presets import find_preset
from StrokeSegLib.training.recipes import recipe_for

#: A whole run that would take longer is not made.
LIMIT_S = 300.0
#: Windows or slices that are run where the rest is counted from them.
SAMPLED = 3


@dataclass(frozen=True)
class Plain:
    """What it takes: seconds, windows (or slices) in all, and how many of them were run."""

    seconds: float
    windows: int
    run: int

    @property
    def extrapolated(self) -> bool:
        """Whether most of the seconds were counted and not measured."""
        return self.run < self.windows


def plain_network(card: ModelCard, prepared: Prepared, limit_s: float = LIMIT_S) -> Plain:
    """The plain side's network stage on a prepared case, on the CPU."""
    side = _windows if SYSTEMS[card.system].way == "windows" else _slices
    with torch.inference_mode():
        return side(card, prepared, limit_s)


def paper_overlap(system: str) -> float:
    """Part of a window shared with the next, as the paper's own preset has it."""
    settings = recipe_for(find_preset(system, "paper")).inference_settings
    return float(settings.get("overlap", SYSTEMS[system].overlap))


def _windows(card: ModelCard, prepared: Prepared, limit_s: float) -> Plain:
    x = torch.from_numpy(np.ascontiguousarray(prepared.channels))[None]
    window = inference_settings(SYSTEMS[card.system], card.inference_settings).window
    network, overlap = TorchBackend(card, "cpu").run_on_device, paper_overlap(card.system)
    count = 0

    def only_count(patch: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return torch.zeros(1, int(card.settings["out_channels"]), *patch.shape[2:])

    started = time.perf_counter()
    sliding_window_inference(x, window, 1, only_count, overlap=overlap)
    stitching = time.perf_counter() - started
    patch = torch.zeros(1, x.shape[1], *window)
    network(patch)
    each = _mean_seconds(partial(network, patch))
    if stitching + each * count > limit_s:
        return Plain(stitching + each * count, count, SAMPLED)
    started = time.perf_counter()
    sliding_window_inference(x, window, 1, network, overlap=overlap)
    return Plain(time.perf_counter() - started, count, count)


def _slices(card: ModelCard, prepared: Prepared, limit_s: float) -> Plain:
    seconds, count, ran = 0.0, 0, 0
    for network, stacks, number in _planes(card, prepared):
        first = next(stacks)
        _one_slice(first, network)
        each = _mean_seconds(partial(_one_slice, first, network))
        count += number
        if each * number > limit_s:
            seconds, ran = seconds + each * number, ran + SAMPLED
            continue
        started = time.perf_counter()
        _one_slice(first, network)
        for x in stacks:
            _one_slice(x, network)
        seconds, ran = seconds + time.perf_counter() - started, ran + number
    return Plain(seconds, count, ran)


def _planes(card: ModelCard, prepared: Prepared) -> Iterator[tuple[TorchBackend, Iterator[Tensor], int]]:
    """Each network of the model with the slices that it has to read, whole, and their number."""
    system = SYSTEMS[card.system]
    if system.way == "slices":
        for one in card.networks:
            yield TorchBackend(card, "cpu", one), _stacks(card, prepared.channels), prepared.channels.shape[1]
        return
    by_name = {one.name: one for one in card.networks}
    for plane, names in members_by_plane(list(by_name)).items():
        if plane != "axial" and prepared.isotropic is None:
            continue
        source = prepared if plane == "axial" or prepared.isotropic is None else prepared.isotropic
        channels = np.moveaxis(source.channels, AXES[plane] + 1, 1)
        for name in names:
            yield TorchBackend(card, "cpu", by_name[name]), _stacks(card, channels), channels.shape[1]


def _stacks(card: ModelCard, channels: NDArray[np.float32]) -> Iterator[Tensor]:
    """``(1, C, H, W)`` of each slice with its neighbors, padded to the sizes that the network takes."""
    system, takes = SYSTEMS[card.system], int(card.settings["in_channels"])
    settings = inference_settings(system, card.inference_settings)
    neighbors = 0
    if system.way == "slices":
        neighbors = fitting_neighbors(settings.neighbors, system.neighbors, channels.shape[0], takes)
    for k in range(channels.shape[1]):
        x = torch.from_numpy(np.ascontiguousarray(slice_stack(channels, k, neighbors)))[None]
        x = x.repeat(1, takes // x.shape[1], 1, 1)
        high, wide = (-n % system.size_divisor for n in x.shape[2:])
        yield torch.nn.functional.pad(x, (0, wide, 0, high))


def _one_slice(x: Tensor, network: TorchBackend) -> None:
    sliding_window_inference(x, tuple(x.shape[2:]), 1, network.run_on_device, overlap=0.0)


def _mean_seconds(once: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(SAMPLED):
        once()
    return (time.perf_counter() - started) / SAMPLED

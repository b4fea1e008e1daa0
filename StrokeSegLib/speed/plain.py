"""What a user would run instead, its network: MONAI's sliding window over the whole volume, eager torch in fp32.

Default threads, no crop, batch 1, slices one by one for 2D networks, overlap as the paper says. Where the whole would
take over five minutes, some windows are run and the rest is counted from them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
from StrokeSegLib.training.presets import find_preset
from StrokeSegLib.training.recipes import recipe_for

#: A whole run that would take longer is not made.
LIMIT_S = 300.0
#: Windows or slices that are run where the rest is counted from them.
SAMPLED = 3

Channels = NDArray[np.float32]
Networks = dict[str, TorchBackend]


@dataclass(frozen=True, eq=False)
class Plain:
    """What it takes and gives.

    Attributes:
        seconds: Of all windows, counted from a few where that is said.
        windows, run: Windows (or slices) in all, and how many of them were run.
        probability: ``axial`` or ``isotropic`` -> ``(labels, K, J, I)`` on that grid: the mean of its planes; 0 where
            no window was run.
        planes: How many planes each of these is the mean of.
    """

    seconds: float
    windows: int
    run: int
    probability: dict[str, Tensor] = field(default_factory=dict)
    planes: dict[str, int] = field(default_factory=dict)

    @property
    def extrapolated(self) -> bool:
        """Whether most of the seconds were counted and not measured."""
        return self.run < self.windows


def load_networks(card: ModelCard) -> Networks:
    """All networks of a model, from their files."""
    return {one.name: TorchBackend(card, "cpu", one) for one in card.networks}


def plain_network(
    card: ModelCard,
    networks: Networks,
    axial: Channels,
    isotropic: Channels | None = None,
    limit_s: float = LIMIT_S,
) -> Plain:
    """The plain side's network stage, on the CPU.

    Args:
        card: The model.
        networks: See ``load_networks``.
        axial: ``(C, K, J, I)``, what the network sees, whole.
        isotropic: The same on cubes, for the other planes of three; None where there are none.
        limit_s: See ``LIMIT_S``.
    """
    side = _windows if SYSTEMS[card.system].way == "windows" else _slices
    with torch.inference_mode():
        return side(card, networks, axial, isotropic, limit_s)


def paper_overlap(system: str) -> float:
    """Part of a window shared with the next, as the paper's own preset has it."""
    settings = recipe_for(find_preset(system, "paper")).inference_settings
    return float(settings.get("overlap", SYSTEMS[system].overlap))


def _windows(card: ModelCard, networks: Networks, axial: Channels, _: Channels | None, limit_s: float) -> Plain:
    x = torch.from_numpy(np.ascontiguousarray(axial))[None]
    window = inference_settings(SYSTEMS[card.system], card.inference_settings).window
    network, overlap = next(iter(networks.values())).run_on_device, paper_overlap(card.system)
    count = 0

    def only_count(patch: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return torch.zeros(1, len(SYSTEMS[card.system].labels), *patch.shape[2:])

    started = time.perf_counter()
    nothing = sliding_window_inference(x, window, 1, only_count, overlap=overlap)
    stitching = time.perf_counter() - started
    patch = torch.zeros(1, x.shape[1], *window)
    network(patch)
    each = _mean_seconds(partial(network, patch))
    if stitching + each * count > limit_s:
        return Plain(stitching + each * count, count, SAMPLED, {"axial": nothing[0]}, {"axial": 1})
    started = time.perf_counter()
    p = _probability(card, _slid(x, window, network, overlap))
    return Plain(time.perf_counter() - started, count, count, {"axial": p[0]}, {"axial": 1})


def _slices(card: ModelCard, networks: Networks, axial: Channels, isotropic: Channels | None, limit_s: float) -> Plain:
    seconds, count, ran = 0.0, 0, 0
    found: dict[str, list[Tensor]] = {}
    for plane, name in _planes(card, networks, isotropic is not None):
        where = "axial" if plane == "axial" else "isotropic"
        source = axial if isotropic is None or where == "axial" else isotropic
        channels = np.moveaxis(source, AXES[plane] + 1, 1)
        p = torch.zeros(len(SYSTEMS[card.system].labels), *channels.shape[1:])
        took, done = _over_slices(card, networks[name], channels, p, limit_s)
        seconds, count, ran = seconds + took, count + channels.shape[1], ran + done
        found.setdefault(where, []).append(torch.movedim(p, 1, AXES[plane] + 1))
    mean = {where: torch.stack(several).mean(dim=0) for where, several in found.items()}
    return Plain(seconds, count, ran, mean, {where: len(several) for where, several in found.items()})


def _planes(card: ModelCard, networks: Networks, isotropic: bool) -> Iterator[tuple[str, str]]:
    """The planes that are read, each with the name of a network that reads it."""
    if SYSTEMS[card.system].way == "slices":
        yield from (("axial", name) for name in networks)
        return
    for plane, names in members_by_plane(list(networks)).items():
        if plane == "axial" or isotropic:
            yield from ((plane, name) for name in names)


def _over_slices(
    card: ModelCard, network: TorchBackend, channels: Channels, p: Tensor, limit_s: float
) -> tuple[float, int]:
    """Seconds of all slices, and how many were run; what is found goes into ``p``, ``(labels, K, H, W)``."""
    number, high, wide = p.shape[1:]
    first = next(_stacks(card, channels))
    _one_slice(first, network)
    each = _mean_seconds(partial(_one_slice, first, network))
    if each * number > limit_s:
        return each * number, SAMPLED
    started = time.perf_counter()
    for k, x in enumerate(_stacks(card, channels)):
        p[:, k] = _probability(card, _one_slice(x, network))[0, :, :high, :wide]
    return time.perf_counter() - started, number


def _stacks(card: ModelCard, channels: Channels) -> Iterator[Tensor]:
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


def _one_slice(x: Tensor, network: TorchBackend) -> Tensor:
    return _slid(x, tuple(x.shape[2:]), network.run_on_device, 0.0)


def _slid(x: Tensor, window: tuple[int, ...], network: Callable[[Tensor], Tensor], overlap: float) -> Tensor:
    found = sliding_window_inference(x, window, 1, network, overlap=overlap)
    assert isinstance(found, Tensor)
    return found


def _probability(card: ModelCard, logits: Tensor) -> Tensor:
    """Of each label: ``(B, planes, ...) -> (B, labels, ...)``."""
    cooled = logits / card.temperature
    return torch.sigmoid(cooled) if SYSTEMS[card.system].activation == "sigmoid" else torch.softmax(cooled, 1)[:, 1:]


def _mean_seconds(once: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(SAMPLED):
        once()
    return (time.perf_counter() - started) / SAMPLED

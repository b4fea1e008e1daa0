"""One case through a model's networks, on the highest rung of the memory ladder that has room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.inference.ladder import FULL, Rung, walk
from StrokeSegLib.inference.planes import Projected, members_by_plane, run_planes
from StrokeSegLib.inference.running import Counter, Members, Progress
from StrokeSegLib.inference.settings import InferenceSettings
from StrokeSegLib.inference.slices import fitting_neighbors, run_slices, slice_box
from StrokeSegLib.inference.volumes import run_windows
from StrokeSegLib.models import ModelCard
from StrokeSegLib.systems import System
from StrokeSegLib.systems.base import Prepared


@dataclass(frozen=True)
class NetworkRun:
    """How the networks ran: what goes into measurements.json of it.

    Attributes:
        device, backend, precision: Of the (first) network, in the end.
        memory_rung: Where on the ladder it had room, see ``ladder``; ``full`` normally.
        warnings: What has to be said where it was not the first rung.
    """

    device: str
    backend: str
    precision: str
    memory_rung: str
    warnings: tuple[str, ...]


def run_networks(
    prepared: Prepared,
    card: ModelCard,
    system: System,
    settings: InferenceSettings,
    backends: Mapping[str, Backend],
    progress: Progress,
) -> tuple[NDArray[np.float32], Projected | None, NetworkRun]:
    """Runs the networks over a prepared case.

    Returns:
        The probability of each label, ``(labels, K, J, I)`` on the working grid; what three planes say besides, where
        the system has them; and how it ran.

    Raises:
        InputError: No brain; the card's settings do not fit the network.
        MemoryError: There is no room even for the smallest way to run.
    """

    def attempt(
        standing: Mapping[str, Any], rung: Rung
    ) -> tuple[NDArray[np.float32], Projected | None, Mapping[str, Any]]:
        if system.way == "projections":
            projected = _run_planes(prepared, card, system, settings, standing, rung, progress)
            return projected.probability, projected, standing
        run = _run_windows if system.way == "windows" else _run_slices
        return run(prepared, card, system, settings, standing, rung, progress), None, standing

    (probability, projected, stood), rung = walk(backends, attempt)
    return probability, projected, _how_it_ran(backends, stood, rung)


def _how_it_ran(asked: Mapping[str, Any], stood: Mapping[str, Any], rung: Rung) -> NetworkRun:
    first, wanted = next(iter(stood.values())), next(iter(asked.values()))
    warnings: tuple[str, ...] = ()
    if rung != FULL:
        where = f"{first.name} on {first.device}"
        warnings = (f"{wanted.device} ran out of memory: it ran with {where}, memory rung {rung.name!r}",)
    return NetworkRun(first.device, first.name, getattr(first, "precision", "fp32"), rung.name, warnings)


def _run_windows(
    prepared: Prepared,
    card: ModelCard,
    system: System,
    settings: InferenceSettings,
    backends: Mapping[str, Backend],
    rung: Rung,
    progress: Progress,
) -> NDArray[np.float32]:
    _repeat(card, system, prepared.channels.shape[0])
    return run_windows(
        prepared.channels,
        prepared.brain,
        Members(tuple(backends.values()), card.temperature, system.activation, settings.mirror, rung),
        settings.window,
        settings.overlap,
        settings.blend,
        len(system.labels),
        progress,
    )


def _run_slices(
    prepared: Prepared,
    card: ModelCard,
    system: System,
    settings: InferenceSettings,
    backends: Mapping[str, Backend],
    rung: Rung,
    progress: Progress,
) -> NDArray[np.float32]:
    channels = prepared.channels.shape[0]
    neighbors = fitting_neighbors(settings.neighbors, system.neighbors, channels, card.settings.get("in_channels"))
    repeat = _repeat(card, system, channels * (2 * neighbors + 1))
    box = slice_box(prepared.brain, system.size_divisor, crop=settings.crop_to_brain)
    members = Members(tuple(backends.values()), card.temperature, system.activation, settings.mirror, rung)
    counter = Counter(progress, box[0].stop - box[0].start)
    return run_slices(prepared.channels, prepared.brain, members, box, neighbors, repeat, len(system.labels), counter)


def _run_planes(
    prepared: Prepared,
    card: ModelCard,
    system: System,
    settings: InferenceSettings,
    backends: Mapping[str, Backend],
    rung: Rung,
    progress: Progress,
) -> Projected:
    members = {
        plane: Members([backends[name] for name in names], card.temperature, system.activation, settings.mirror, rung)
        for plane, names in members_by_plane(list(backends)).items()
    }
    if "axial" not in members:
        raise InputError(f"model {card.id} has no axial network, got {', '.join(backends)}; install the model again")
    return run_planes(
        prepared,
        members,
        system.size_divisor,
        _repeat(card, system, prepared.channels.shape[0]),
        settings.projections,
        progress,
        crop=settings.crop_to_brain,
    )


def _repeat(card: ModelCard, system: System, planes: int) -> int:
    """How often a lone plane is given to a network that takes several (red, green, blue).

    Raises:
        InputError: The network takes another number of planes than the settings give.
    """
    takes = int(card.settings.get("in_channels", planes))
    if planes not in (1, takes) or (system.way == "windows" and planes != takes):
        raise InputError(
            f"model {card.id}: its network takes {takes} planes, its prepare_settings and inference_settings give "
            f"{planes}; repair model.json"
        )
    return takes // planes

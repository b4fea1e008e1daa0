"""One case through a model's networks, on the highest rung of the memory ladder that has room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        run = _Attempt(prepared, card, system, settings, standing, rung, progress)
        if system.way == "projections":
            projected = _through_planes(run)
            return projected.probability, projected, standing
        probability = _through_windows(run) if system.way == "windows" else _through_slices(run)
        return probability, None, standing

    (probability, projected, stood), rung = walk(backends, attempt)
    return probability, projected, _how_it_ran(backends, stood, rung)


def _how_it_ran(asked: Mapping[str, Any], stood: Mapping[str, Any], rung: Rung) -> NetworkRun:
    first, wanted = next(iter(stood.values())), next(iter(asked.values()))
    warnings: tuple[str, ...] = ()
    if rung != FULL:
        where = f"{first.name} on {first.device}"
        warnings = (f"{wanted.device} ran out of memory: it ran with {where}, memory rung {rung.name!r}",)
    return NetworkRun(first.device, first.name, getattr(first, "precision", "fp32"), rung.name, warnings)


@dataclass(frozen=True)
class _Attempt:
    """One case, its networks, and a rung of the ladder to run them on."""

    prepared: Prepared
    card: ModelCard
    system: System
    settings: InferenceSettings
    backends: Mapping[str, Backend]
    rung: Rung
    progress: Progress

    @property
    def channels(self) -> int:
        """How many images the case has."""
        return int(self.prepared.channels.shape[0])

    @property
    def labels(self) -> int:
        """How many labels the networks tell apart."""
        return len(self.system.labels)

    def members(self, names: Iterable[str]) -> Members:
        """The networks of these names, as one ensemble."""
        networks = tuple(self.backends[name] for name in names)
        return Members(networks, self.card.temperature, self.system.activation, self.settings.mirror, self.rung)

    def repeat(self, planes: int) -> int:
        """How often a lone plane is given to a network that takes several (red, green, blue).

        Raises:
            InputError: The network takes another number of planes than the settings give.
        """
        takes = int(self.card.settings.get("in_channels", planes))
        if planes not in (1, takes) or (self.system.way == "windows" and planes != takes):
            raise InputError(
                f"model {self.card.id}: its network takes {takes} planes, its prepare_settings and inference_settings "
                f"give {planes}; repair model.json"
            )
        return takes // planes


def _through_windows(run: _Attempt) -> NDArray[np.float32]:
    run.repeat(run.channels)
    prepared, settings = run.prepared, run.settings
    return run_windows(
        prepared.channels,
        prepared.brain,
        run.members(run.backends),
        settings.window,
        settings.overlap,
        settings.blend,
        run.labels,
        run.progress,
    )


def _through_slices(run: _Attempt) -> NDArray[np.float32]:
    prepared, system, settings = run.prepared, run.system, run.settings
    takes = run.card.settings.get("in_channels")
    neighbors = fitting_neighbors(settings.neighbors, system.neighbors, run.channels, takes)
    repeat = run.repeat(run.channels * (2 * neighbors + 1))
    box = slice_box(prepared.brain, system.size_divisor, crop=settings.crop_to_brain)
    counter = Counter(run.progress, box[0].stop - box[0].start)
    members = run.members(run.backends)
    return run_slices(prepared.channels, prepared.brain, members, box, neighbors, repeat, run.labels, counter)


def _through_planes(run: _Attempt) -> Projected:
    planes = members_by_plane(list(run.backends))
    if "axial" not in planes:
        raise InputError(
            f"model {run.card.id} has no axial network, got {', '.join(run.backends)}; install the model again"
        )
    return run_planes(
        run.prepared,
        {plane: run.members(names) for plane, names in planes.items()},
        run.system.size_divisor,
        run.repeat(run.channels),
        run.settings.projections,
        run.progress,
        crop=run.settings.crop_to_brain,
    )

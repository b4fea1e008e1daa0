"""What a system is: a network by key, its inputs, and the steps between an image and the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.preprocess.geometry import Grid
from StrokeSegLib.volume import Volume


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case as the network sees it.

    Attributes:
        channels: float32, shape ``(C, K, J, I)`` on ``grid``.
        grid: The working grid.
        brain: Boolean mask ``(K, J, I)`` on ``grid``: where the network looks, and what the midline is fitted to.
        notes: Facts for measurements.json, such as the unit of the ADC map.
        warnings: What the reader of the result has to know.
    """

    channels: NDArray[np.float32]
    grid: Grid
    brain: NDArray[np.bool_]
    notes: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class System:
    """One clinical system.

    Attributes:
        name: As on the command line.
        title: What people call it.
        required, optional: Input roles.
        network: Key in ``networks.NETWORKS``.
        labels: Label value to name.
        neighbors: Slices on each side that a 2D network sees besides its own.
        size_divisor: In-plane size must be a multiple of this.
        prepare: Inputs on one grid -> what the network sees.
        citation: The paper.
    """

    name: str
    title: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    network: str
    labels: dict[int, str]
    neighbors: int
    size_divisor: int
    prepare: Callable[[Mapping[str, Volume]], Prepared]
    citation: str

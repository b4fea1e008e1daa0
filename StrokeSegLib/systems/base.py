"""What a system is: a network by key, its inputs, and the steps between an image and the network."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.preprocess.geometry import Grid
from StrokeSegLib.volume import Volume

#: How the network goes over the image: 2D slices with neighbors, overlapping 3D windows, or slices of three planes.
Way = Literal["slices", "windows", "projections"]
#: softmax: plane 0 is background, then the labels in order. sigmoid: one plane a label, in order.
Activation = Literal["softmax", "sigmoid"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case as the network sees it.

    Attributes:
        channels: float32, shape ``(C, K, J, I)`` on ``grid``.
        grid: The working grid.
        brain: Boolean mask ``(K, J, I)`` on ``grid``: where the network looks, and what the midline is fitted to.
        notes: Facts for measurements.json, such as the unit of the ADC map.
        warnings: What the reader of the result has to know.
        isotropic: Only for ``projections``: the same case on the isotropic grid whose coronal and sagittal slices are
            cut; None where the slices are too thick for them.
    """

    channels: NDArray[np.float32]
    grid: Grid
    brain: NDArray[np.bool_]
    notes: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    isotropic: Prepared | None = None


@dataclass(frozen=True, eq=False)
class System:
    """One clinical system.

    Attributes:
        name: As on the command line.
        title: What people call it.
        required, optional: Input roles.
        minimum_inputs: How many inputs a case needs at least, of whatever role.
        network: Key in ``networks.NETWORKS``.
        labels: Label value to name, of what the network marks, in the order of its planes.
        way: How the network goes over the image.
        activation: From logits to probabilities.
        neighbors: Slices on each side that a 2D network sees besides its own.
        size_divisor: The size that a network sees must be a multiple of this, in the plane (2D) or along each axis.
        window: Size ``(k, j, i)`` of a 3D network's window, voxels; empty for 2D networks.
        overlap: Part of a window that it shares with the next, 0 to below 1.
        prepare: Inputs on one grid -> what the network sees. Further arguments are plain JSON values with defaults:
            the ``prepare_settings`` of a model card.
        citation: The paper.
        rule_labels: Label value to name, of what is found by a rule besides the network.
        rule_region: Where they can lie, whatever the network marks, for systems that have any: (inputs, brain).
        rule: Adds these to the label map: (region, labels), both on one grid.
        choose_inputs: Required and optional roles by the prepare settings, where they depend on them.
    """

    name: str
    title: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    minimum_inputs: int
    network: str
    labels: dict[int, str]
    way: Way
    activation: Activation
    neighbors: int
    size_divisor: int
    window: tuple[int, ...]
    overlap: float
    prepare: Callable[..., Prepared]
    citation: str
    rule_labels: dict[int, str] = field(default_factory=dict)
    rule_region: Callable[[Mapping[str, Volume], Volume], Volume] | None = None
    rule: Callable[[Volume, Volume], Volume] | None = None
    choose_inputs: Callable[..., tuple[tuple[str, ...], tuple[str, ...]]] | None = None

    def inputs_for(self, prepare_settings: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Required and optional roles of a model with these settings, as its card is to list them."""
        if self.choose_inputs is None:
            return self.required, self.optional
        return self.choose_inputs(**prepare_settings)


def prepare_inputs(system: System, inputs: Mapping[str, Volume], prepare_settings: Mapping[str, Any]) -> Prepared:
    """``system.prepare`` with the settings of a model card.

    Raises:
        InputError: A setting is unknown, or the preparation refuses the images.
    """
    known = [name for name, p in inspect.signature(system.prepare).parameters.items() if p.kind is p.KEYWORD_ONLY]
    unknown = [name for name in prepare_settings if name not in known]
    if unknown:
        raise InputError(
            f"prepare_settings of system {system.name} know no {', '.join(unknown)}; known: {', '.join(known)}"
        )
    return system.prepare(inputs, **prepare_settings)

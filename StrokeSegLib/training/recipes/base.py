"""What a recipe is: everything that turns a preset into steps of training, as plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from StrokeSegLib.training.dataset import TrainingCase
from StrokeSegLib.training.presets import Preset
from StrokeSegLib.training.source import Cases, Draw

#: (logits, target (B, L, ...), facts) -> the weighted terms of the loss by name; the loss is their sum.
Loss = Callable[[Tensor, Tensor, Mapping[str, float]], dict[str, Tensor]]


@dataclass(frozen=True, eq=False)
class Plan:
    """One network of a run.

    Attributes:
        name: Of its folder in the run, and of its file in a model.
        draw: How one of its samples is drawn.
        seed: Of its weights, data and dropout.
        prepare_settings: In which its training cases differ from the recipe's.
    """

    name: str
    draw: Draw
    seed: int
    prepare_settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Counted:
    """Prepare settings that are counted on the training images.

    Attributes:
        raw: Prepare settings under which the cases are counted.
        count: From these cases, the settings to train and to predict with; plain JSON values.
    """

    raw: dict[str, Any]
    count: Callable[[Iterable[TrainingCase]], dict[str, Any]]


def _train_all(net: nn.Module, step: int) -> None:
    net.train()


def _no_notes(net: nn.Module) -> list[str]:
    return []


def _no_facts(cases: Cases) -> dict[str, float]:
    return {}


def _no_monitor(net: nn.Module) -> dict[str, float]:
    return {}


@dataclass(frozen=True, eq=False)
class Recipe:
    """How the networks of a preset are trained.

    Attributes:
        preset: Where the numbers come from.
        network: Key in ``networks.NETWORKS``.
        network_settings: (input channels, labels) -> keyword arguments of the network.
        plans: The run's networks, trained one after the other.
        loss: Weighted terms by name.
        optimizer: Made once for a network; a group's ``rate_factor`` multiplies the learning rate.
        learning_rate: Of a step, counted from 0.
        prepare_settings: For ``System.prepare``, in training and in the exported model.
        inference_settings: For the exported model.
        ema: Decay of averaged weights; 0 for none.
        gradient_clip: Largest norm of the gradient; 0 for none.
        begin: Called with a new network; what the run's record should say of it.
        set_phase: Called before each step: which modules train.
        count_facts: Counted on the training cases once and stored with the weights.
        counted: Further prepare settings that are counted on the training images before anything is prepared.
        monitor: Values of the network itself for the log, such as a penalty.
    """

    preset: Preset
    network: str
    network_settings: Callable[[int, int], dict[str, Any]]
    plans: tuple[Plan, ...]
    loss: Loss
    optimizer: Callable[[nn.Module], Optimizer]
    learning_rate: Callable[[int], float]
    prepare_settings: dict[str, Any] = field(default_factory=dict)
    inference_settings: dict[str, Any] = field(default_factory=dict)
    ema: float = 0.0
    gradient_clip: float = 0.0
    begin: Callable[[nn.Module], list[str]] = _no_notes
    set_phase: Callable[[nn.Module, int], None] = _train_all
    count_facts: Callable[[Cases], dict[str, float]] = _no_facts
    monitor: Callable[[nn.Module], dict[str, float]] = _no_monitor
    counted: Counted | None = None

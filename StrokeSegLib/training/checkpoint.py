"""Checkpoints: everything that a run needs to go on, written beside and renamed, read without running code."""

from __future__ import annotations

import copy
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from StrokeSegLib.disk import DISK_FULL, disk_full, flush_to_disk
from StrokeSegLib.errors import InputError

#: The last weights with all that a run needs to go on, and the best ones of a validation.
CHECKPOINT, BEST = "checkpoint.pt", "best.pt"


@dataclass(eq=False)
class State:
    """What training changes, and what it was told.

    No state of a random generator is kept: data, augmentation and dropout of a step come from (seed, step) alone.

    Attributes:
        net: The network.
        average: The averaged weights, where the preset has them.
        optimizer: With its moments.
        scaler: Of fp16's gradients; it does nothing in other precisions.
        step: Steps that were done.
        validated: Steps that were done at the latest validation.
        best_step, best_iou: Of the best validation so far; -1 before the first.
        facts: Counted on the training cases, such as the part of lesion voxels.
        description: Plain values that the export needs: system, preset, network, settings.
    """

    net: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: nn.Module | None = None
    step: int = 0
    validated: int = 0
    best_step: int = -1
    best_iou: float = -1.0
    facts: dict[str, float] = field(default_factory=dict)
    description: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes the checkpoint; a kill at any moment leaves the old one or the new one.

        Raises:
            InputError: The disk is full.
        """
        content = {
            **self.weights(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "validation": {"step": self.validated, "best_step": self.best_step, "best_iou": self.best_iou},
        }
        write_content(content, path)

    def weights(self) -> dict[str, Any]:
        """What an export needs of a checkpoint."""
        return {
            **self.description,
            "net": self.net.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "step": self.step,
            "facts": self.facts,
        }

    def load(self, path: Path) -> None:
        """Goes on from a checkpoint.

        Raises:
            InputError: The file is damaged, holds more than tensors and plain values, or belongs to another network.
        """
        content = read_checkpoint(path)
        try:
            self.net.load_state_dict(content["net"])
            if self.average is not None:
                self.average.load_state_dict(content["average"])
            self.optimizer.load_state_dict(content["optimizer"])
            self.scaler.load_state_dict(content["scaler"])
            self.step, self.facts = int(content["step"]), dict(content["facts"])
            validation = content.get("validation", {})
            self.validated = int(validation.get("step", 0))
            self.best_step = int(validation.get("best_step", -1))
            self.best_iou = float(validation.get("best_iou", -1.0))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{path} is the checkpoint of another run ({error}); train into a new folder") from error


def write_content(content: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint beside and renames it.

    Raises:
        InputError: The disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    try:
        torch.save(content, beside)
        flush_to_disk(beside)
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno not in DISK_FULL:
            raise
        raise disk_full(path.parent) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint: tensors and plain values, on the CPU.

    Keys: ``system``, ``preset`` (all settings), ``network`` (key), ``network_name``, ``network_settings``,
    ``prepare_settings``, ``inference_settings``, ``net``, ``average`` (None or weights to be preferred), ``optimizer``,
    ``scaler``, ``step``, ``facts``, ``validation``; best.pt has ``validation_iou`` in place of the optimizer's.

    Raises:
        InputError: The file is damaged or holds what could run code.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} holds more than tensors and plain values and is not loaded; train again") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"{path} is no checkpoint ({type(error).__name__}); train again") from error
    if not isinstance(content, dict) or "net" not in content:
        raise InputError(f"{path} is no checkpoint of a run; give a run folder made by strokeseg train")
    return content


def copied_average(net: nn.Module) -> nn.Module:
    """A copy of the network to average into, in eval mode."""
    average = copy.deepcopy(net).eval()
    average.requires_grad_(False)
    return average


@torch.no_grad()
def update_average(average: nn.Module, net: nn.Module, decay: float, step: int) -> None:
    """Moves the averaged weights and statistics a little to the network's; the first steps count more.

    Args:
        step: Steps that were done, this one included.
    """
    weight = 1 - min(decay, step / (step + 100))
    for mean, value in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, weight)
        else:
            mean.copy_(value)

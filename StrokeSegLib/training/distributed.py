"""Devices, and several processes as one: torchrun's environment, gradients averaged, one decision for all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from StrokeSegLib.errors import InputError

#: The first process prepares and validates while the others wait; torch's own limit is 10 minutes.
LONGEST_WAIT = timedelta(hours=12)


@dataclass(frozen=True)
class Group:
    """This process among those of the run.

    Attributes:
        rank: 0 writes files and shows progress.
        world: Number of processes.
        device: Where this one computes.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def share(self, batch_size: int) -> range:
        """The numbers of this process's samples.

        Raises:
            InputError: The batch does not divide evenly.
        """
        if batch_size % self.world:
            raise InputError(
                f"a batch of {batch_size} does not divide over {self.world} processes; "
                f"needed a multiple; set batch_size={self.world * -(-batch_size // self.world)}"
            )
        each = batch_size // self.world
        return range(self.rank * each, (self.rank + 1) * each)

    def smallest(self, *numbers: int) -> list[int]:
        """The smallest over all processes of each number."""
        if self.world == 1:
            return list(numbers)
        shared = torch.tensor(numbers, device=self.device)
        dist.all_reduce(shared, dist.ReduceOp.MIN)
        return [int(n) for n in shared]

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(values)
            values /= self.world
        return values

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces each gradient by its mean over all processes, in one exchange."""
        if self.world == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = self.mean(torch.cat([g.flatten() for g in gradients]))
        for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


@contextmanager
def process_group(device: str) -> Iterator[Group]:
    """One process, or under ``torchrun`` one of several (RANK, WORLD_SIZE and LOCAL_RANK say which).

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; under torchrun each process takes a GPU of its own.

    Raises:
        InputError: The device is not there.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    chosen = find_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    own = world > 1 and not dist.is_initialized()
    if own:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=LONGEST_WAIT)
    try:
        yield Group(rank, world, chosen)
    finally:
        if own:
            dist.destroy_process_group()


def is_first_process() -> bool:
    """Whether this process speaks for all of them."""
    return os.environ.get("RANK", "0") == "0"


def find_device(device: str, local_rank: int = 0) -> torch.device:
    """A torch device by its name; ``auto`` is a GPU where there is one.

    Raises:
        InputError: Unknown, or not there.
    """
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdigit())):
        raise InputError(f"unknown device {device!r}; known: auto, cpu, cuda, cuda:N, mps")
    if kind in ("auto", "cuda") and torch.cuda.is_available():
        index = int(number) if number else local_rank
        if index >= torch.cuda.device_count():
            raise InputError(f"device cuda:{index} is not there, torch sees {torch.cuda.device_count()}; use cuda:0")
        return torch.device("cuda", index)
    if kind in ("auto", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    if kind in ("auto", "cpu"):
        return torch.device("cpu")
    raise InputError(f"device {device} is not available: torch sees no such device; use --device cpu")

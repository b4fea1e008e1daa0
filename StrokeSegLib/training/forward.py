"""A batch on its device."""

from __future__ import annotations

import torch
from torch import Tensor

from StrokeSegLib.training.source import Batch


def on_device(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """A batch as tensors, channels last."""
    x = torch.from_numpy(batch.x).to(device).contiguous(memory_format=memory_format(batch.x.ndim))
    return x, torch.from_numpy(batch.y).to(device)


def memory_format(dimensions: int) -> torch.memory_format:
    return torch.channels_last if dimensions == 4 else torch.channels_last_3d

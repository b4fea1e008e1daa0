"""The training loop: generated crops in, checkpoints out; a killed run resumes from its last checkpoint."""

from __future__ import annotations

import copy
import csv
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from StrokeSegLib.networks import build_network
from StrokeSegLib.systems.mri import MRI
from StrokeSegLib.training.config import BundledMri
from StrokeSegLib.training.losses import batch_dice_loss, cross_entropies, lesion_dice_loss
from StrokeSegLib.training.pool import Pool, Sources

CHECKPOINT = "checkpoint.pt"
#: Seconds between checkpoints.
CHECKPOINT_EVERY_S = 120.0
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def network_settings(config: BundledMri) -> dict[str, Any]:
    """The keyword arguments of the network, as they go into model.json."""
    planes = len(MRI.required) * (2 * MRI.neighbors + 1)
    return {"in_channels": planes, "out_channels": 1 + len(MRI.labels), "width": config.width}


def learning_rate(step: int, config: BundledMri) -> float:
    """Linear warm-up, then a cosine from the peak to a hundredth of it."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = min(1.0, (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps))
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def train(
    config: BundledMri,
    sources: Sources,
    out: Path,
    *,
    processes: int = 1,
    report: Callable[[str], None] = lambda line: None,
) -> nn.Module:
    """Trains, or goes on with, the network of a run folder.

    Args:
        sources: Heads and lesions to generate from.
        out: Run folder: config.json, checkpoint.pt, log.csv. An existing checkpoint is resumed.
        processes: Background processes that generate.
        report: Called with a line now and then.

    Returns:
        The network with the averaged weights, in eval mode.

    Raises:
        FloatingPointError: The loss became NaN; the checkpoint before it is kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(asdict(config), indent=2))
    torch.manual_seed(config.seed)
    net = build_network(MRI.network, network_settings(config))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average: nn.Module = copy.deepcopy(net).eval()
    optimizer = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    step = _resume(out / CHECKPOINT, net, average, optimizer)
    rng = np.random.default_rng([config.seed, step])
    started, saved, recent = time.monotonic(), time.monotonic(), []
    first_step = step
    with Pool(sources, size=config.pool_size, processes=processes, seed=config.seed * 7919 + step) as pool:
        pool.refresh(wait_for=min(24, config.pool_size))
        while step < config.steps:
            pool.refresh()
            x_np, y_np = pool.batch(rng, config.batch_size, config.crop, config.lesion_chance)
            x = torch.from_numpy(x_np).contiguous(memory_format=torch.channels_last)  # (B, 6, crop, crop)
            y = torch.from_numpy(y_np)  # (B, crop, crop), 0..1
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, config)
            with torch.autocast("cpu", PRECISIONS[config.precision], enabled=config.precision != "fp32"):
                logits = net(x)
            losses = (
                *cross_entropies(logits, y, config.hard_fraction),
                batch_dice_loss(logits, y),
                lesion_dice_loss(logits, y),
            )
            loss = 2 * losses[0] + 0.5 * losses[1] + losses[2] + 0.5 * losses[3]
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f"loss is {loss.item()} at step {step}; the last checkpoint is {out / CHECKPOINT}"
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            step += 1
            _update_average(average, net, min(config.ema, step / (step + 100)))
            recent.append([item.item() for item in losses])
            if step % 50 == 0:
                means = np.mean(recent, axis=0)
                recent = []
                seconds = (time.monotonic() - started) / (step - first_step)
                _log(out / "log.csv", [step, *means.round(4), pool.made, round(seconds, 3)])
                left = (config.steps - step) * seconds
                report(
                    f"step {step}/{config.steps} losses {means.round(3)} {seconds:.2f} s/step, {left / 60:.0f} min left"
                )
            if time.monotonic() - saved > CHECKPOINT_EVERY_S or step == config.steps:
                _save(out / CHECKPOINT, net, average, optimizer, step, config)
                saved = time.monotonic()
    return average


def _update_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for a, b in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
            if a.dtype.is_floating_point:
                a.lerp_(b, 1 - decay)
            else:
                a.copy_(b)


def _save(
    path: Path, net: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, step: int, config: BundledMri
) -> None:
    """Writes beside and renames, so that a kill leaves the old checkpoint or the new one."""
    state = {
        "net": net.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": asdict(config),
    }
    beside = path.with_suffix(".tmp")
    torch.save(state, beside)
    os.replace(beside, path)


def _resume(path: Path, net: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    net.load_state_dict(state["net"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _log(path: Path, row: list[Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "ce", "hard_ce", "batch_dice", "lesion_dice", "heads_made", "seconds_per_step"])
        writer.writerow(row)

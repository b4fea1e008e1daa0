"""Training's speed, measured against a plain MONAI loop in the same process on the same images.

The two take turns, so that a busy machine slows both alike; where it is busy, only the ratios mean something.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table import Case
from StrokeSegLib.io import write_image
from StrokeSegLib.synth.procedural import procedural_head
from StrokeSegLib.synth.sources import find_maker
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.benchmark_memory import memory_growth_mb, one_step_memory
from StrokeSegLib.training.benchmark_plain import PlainLoop, plain_loader
from StrokeSegLib.training.dataset import cached_cases
from StrokeSegLib.training.loop import train
from StrokeSegLib.training.pool import MODALITY
from StrokeSegLib.training.presets import Preset, find_preset, with_settings
from StrokeSegLib.training.recipes import Recipe, recipe_for
from StrokeSegLib.training.run_folder import read_run
from StrokeSegLib.training.source import IndexedCases, TableSource

#: Generated cases that both loops train on, and turns that each takes.
CASES, ROUNDS = 3, 3
#: Our first steps, which begin what later ones use (threads, buffers), and the last one, which saves, do not count.
WARM_STEPS = 2


def training_speed(system: str, steps: int = 6, progress: Progress | None = None) -> dict[str, Any]:
    """Measures the bundled preset of a system on the CPU, with the threads that torch has.

    Args:
        system: See ``presets.find_preset``.
        steps: Of each loop, in ``ROUNDS`` turns; rounded up to whole turns.
        progress: Called with ("cases", done, total) and ("train", turns done, turns).

    Returns:
        ``ratio``: our steps per second over the plain loop's, median of the turns. ``ratio_network``: the plain loop's
        seconds without its loader over our whole step; ``ratio_network_fp32``: the same with ours in single precision.
        ``floor_fraction``: the network's arithmetic at the best rate that one large convolution reached, over our
        step. ``data_ratio``: preparing all cases over finding them in the cache. ``seconds`` and memory of a process
        that takes one step (``peak_memory_mb``) and what 200 tiny steps add to it (``memory_growth_mb``).
    """
    preset = find_preset(system, "bundled")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = generated_cases(system, folder / "images", progress)
        measured = compared(preset, cases, folder, steps, progress)
    memory = one_step_memory(system, "bundled")
    growth = memory_growth_mb(system)
    memory = {"peak_memory_mb": memory["peak_memory_mb"]} if "peak_memory_mb" in memory else {}
    return {**measured, **memory, **({} if growth is None else {"memory_growth_mb": growth})}


def compared(
    preset: Preset, cases: Sequence[Case], folder: Path, steps: int, progress: Progress | None = None
) -> dict[str, Any]:
    """Both loops on the same cases; see ``training_speed``."""
    recipe, cache = recipe_for(preset), folder / "cache"
    first, second = (data_seconds(recipe, cases, cache) for _ in range(2))
    plain = PlainLoop(plain_loader(cases, recipe, preset.batch_size), recipe)
    plain.take(1)
    ours: list[float] = []
    single: list[float] = []
    theirs: list[float] = []
    network: list[float] = []
    each = -(-steps // ROUNDS)
    fp32 = with_settings(preset, ["precision=fp32"])
    for turn in range(ROUNDS):
        ours.append(our_seconds(preset, cases, folder / f"ours-{turn}", cache, each))
        taken = plain.take(each)
        theirs.append(statistics.mean(step.data_s + step.network_s for step in taken))
        network.append(statistics.mean(step.network_s for step in taken))
        single.append(our_seconds(fp32, cases, folder / f"fp32-{turn}", cache, each))
        if progress is not None:
            progress("train", turn + 1, ROUNDS)
    floor = network_flop(plain.net, plain.sample) / best_flop_per_second()
    return {
        "ratio": _median_ratio(theirs, ours),
        "ratio_network": _median_ratio(network, ours),
        "ratio_network_fp32": _median_ratio(network, single),
        "data_ratio": first / second,
        "floor_fraction": floor / statistics.median(ours),
        "seconds": {
            "ours_per_step": statistics.median(ours),
            "ours_fp32_per_step": statistics.median(single),
            "plain_per_step": statistics.median(theirs),
            "plain_network_per_step": statistics.median(network),
            "data_first_epoch": first,
            "data_second_epoch": second,
        },
        "steps": each * ROUNDS,
        "batch_size": preset.batch_size,
        "precision": preset.precision,
        "threads": torch.get_num_threads(),
        "notes": read_run(folder / "ours-0")["notes"],
    }


def generated_cases(system: str, folder: Path, progress: Progress | None = None) -> list[Case]:
    """The same few cases each time, one procedural head, written as compressed NIfTI as users' cases are."""
    make = find_maker(MODALITY[system])
    head = procedural_head(np.random.default_rng(0))
    cases = []
    for n in range(CASES):
        made = make(np.random.default_rng([1, n]), head, None, False)
        place = folder / f"case-{n}"
        place.mkdir(parents=True)
        images = {role: place / f"{role}.nii.gz" for role in made.images}
        for role, path in images.items():
            write_image(made.images[role], path)
        write_image(made.truth, place / "lesion.nii.gz")
        cases.append(Case(f"case-{n}", f"patient-{n}", images, place / "lesion.nii.gz", "train"))
        if progress is not None:
            progress("cases", n + 1, CASES)
    return cases


def our_seconds(preset: Preset, cases: Sequence[Case], out: Path, cache: Path, steps: int) -> float:
    """Seconds a step of the real loop, when it is warm."""
    times: list[float] = []

    def note(stage: str, done: int, total: int) -> None:
        if stage == "train":
            times.append(time.perf_counter())

    short = with_settings(preset, [f"steps={WARM_STEPS + steps + 1}"])
    train(short, cases, out, device="cpu", cache_dir=cache, progress=note)
    return (times[WARM_STEPS + steps - 1] - times[WARM_STEPS - 1]) / steps


def data_seconds(recipe: Recipe, cases: Sequence[Case], cache: Path) -> float:
    """Opens all cases, which prepares those that the cache has not, and draws one batch."""
    start = time.perf_counter()
    plan = recipe.plans[0]
    settings = {**recipe.prepare_settings, **plan.prepare_settings}
    indexed = IndexedCases(cached_cases(cases, SYSTEMS[recipe.preset.system], settings, cache))
    TableSource(indexed, plan.draw, plan.seed).batch(0, range(recipe.preset.batch_size))
    return time.perf_counter() - start


def network_flop(net: nn.Module, x: Tensor) -> int:
    """Floating-point operations of one forward and backward pass (a multiplication and an addition are two)."""
    with FlopCounterMode(display=False) as counter:
        net(x).float().sum().backward()
    net.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())


def best_flop_per_second() -> float:
    """The best rate of one large 2D convolution, in single precision and bfloat16, channels last."""
    rates = []
    for precision in (torch.float32, torch.bfloat16):
        convolution = nn.Conv2d(256, 256, 3, padding=1).to(precision, memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = torch.randn(1, 256, 64, 64).to(precision, memory_format=torch.channels_last)
        operations = 2 * 256 * 256 * 9 * 64 * 64
        with torch.no_grad():
            convolution(x)
            for _ in range(5):
                start = time.perf_counter()
                convolution(x)
                rates.append(operations / (time.perf_counter() - start))
    return max(rates)


def _median_ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    return statistics.median(s / f for s, f in zip(slow, fast, strict=True))

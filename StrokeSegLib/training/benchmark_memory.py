"""Memory of training, measured in a process of its own: the peak of one step, and whether it grows over many.

Random prepared cases of the right shape stand for patients: what a step needs does not depend on what is in them.
The kernel's own numbers are read (/proc), so there are none on other systems than Linux.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.dataset import TrainingCase
from StrokeSegLib.training.presets import Preset, find_preset, with_settings

#: Channels that the preparation gives, by system and preset.
CHANNELS = {
    ("ct-perfusion", "paper"): 5,
    ("ct-perfusion", "bundled"): 5,
    ("mri", "paper"): 3,
    ("mri", "bundled"): 2,
    ("noncontrast-ct", "paper"): 1,
    ("noncontrast-ct", "bundled"): 1,
    ("three-projection", "paper"): 1,
    ("three-projection", "bundled"): 3,
}
#: Words that make each bundled preset so small that 220 steps take seconds.
TINY = {
    "ct-perfusion": ("width=0.125", "patch=16,32,32"),
    "mri": ("width=0.0625", "crop=32"),
    "noncontrast-ct": ("width=0.0625", "patch=16,32,32"),
    "three-projection": ("width=0.0625", "crop=32"),
}
#: Memory at the first of these steps is compared with that at the second.
EARLY, LATE = 20, 220
#: Left for the rest of the machine: a step that needs more is refused by the kernel, and not answered by killing.
SPARE_MB = 1500


def one_step_memory(system: str, name: str, words: Sequence[str] = ()) -> dict[str, Any]:
    """Peak memory of a process that trains one step of a preset.

    Args:
        system: See ``presets.find_preset``.
        name: ``paper`` or ``bundled``.
        words: ``key=value`` for ``with_settings``.

    Returns:
        ``batch_size`` and ``peak_memory_mb``, or ``needed_more_than_mb`` where the memory that was free did not do.
        The peak is of the whole process, with Python, torch, weights and optimizer. Empty where it cannot be measured.
    """
    return _in_child(system, name, ["steps=1", *words])


def memory_growth_mb(system: str) -> float | None:
    """What 200 steps of a tiny training add to the memory of the process; None where it cannot be measured."""
    growth = _in_child(system, "bundled", [f"steps={LATE + 1}", "batch_size=2", "ema=0.9", *TINY[system]])
    return growth.get("growth_mb")


def full_size_memory(system: str) -> dict[str, Any]:
    """One step of the paper's preset at full size; at batch size 1 where the whole batch does not fit.

    A run trains its networks one after the other: of several, one (axial) is measured.
    """
    words = ["axial_members=1", "coronal_members=0", "sagittal_members=0"] if system == "three-projection" else []
    whole = one_step_memory(system, "paper", words)
    if "needed_more_than_mb" in whole:
        alone = one_step_memory(system, "paper", [*words, "batch_size=1"])
        whole["batch_1"] = {key: value for key, value in alone.items() if key != "batch_size"}
    return whole


def random_case(preset: Preset) -> TrainingCase:
    """A case just as large as a sample of the preset needs, with a lesion in its middle."""
    sides = {key: getattr(preset, key) for key in ("slice_pixels", "crop") if hasattr(preset, key)}
    side = next(iter(sides.values()), 0)
    shape = tuple(preset.patch) if hasattr(preset, "patch") else (5, side, side)
    rng = np.random.default_rng(0)
    channels = CHANNELS[preset.system, preset.name.removesuffix(", modified")]
    target = np.zeros((len(SYSTEMS[preset.system].labels), *shape), np.uint8)
    target[(slice(None), *[slice(n // 3, n // 3 + max(1, n // 4)) for n in shape])] = 255
    x = rng.standard_normal((channels, *shape), np.float32).astype(np.float16)
    return TrainingCase("random", x, target, np.ones(shape, bool), (1.0, 1.0, 1.0))


def process_memory_mb(key: str) -> float | None:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process, MB of 2**20 bytes; None on other systems than Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (line,) = [line for line in status.read_text().splitlines() if line.startswith(f"{key}:")]
    return int(line.split()[1]) / 1024


def _in_child(system: str, name: str, words: Sequence[str]) -> dict[str, Any]:
    # One thread: what is measured must not depend on the number of cores.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "StrokeSegLib.training.benchmark_memory", system, name, *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RuntimeError(f"training of {name} of {system} could not be measured (exit {ended.returncode}): {last}")
    measured: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return measured


def _measure(system: str, name: str, words: Sequence[str]) -> dict[str, Any]:
    """Trains in this process and reports its memory."""
    from StrokeSegLib.training.loop import train

    preset = with_settings(find_preset(system, name), words)
    limit = _limit_memory()
    at: dict[int, float | None] = {}

    def look(stage: str, done: int, total: int) -> None:
        if stage == "train" and done in (EARLY, LATE):
            at[done] = process_memory_mb("VmRSS")

    with tempfile.TemporaryDirectory() as folder:
        try:
            train(preset, [random_case(preset)], Path(folder) / "run", device="cpu", progress=look)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            return {"batch_size": preset.batch_size, "needed_more_than_mb": limit}
    peak = process_memory_mb("VmHWM")
    if peak is None:
        return {}
    measured = {"batch_size": preset.batch_size, "peak_memory_mb": round(peak)}
    early, late = at.get(EARLY), at.get(LATE)
    return measured if early is None or late is None else {**measured, "growth_mb": round(late - early, 1)}


def _limit_memory() -> float | None:
    """Lets this process ask for what is free now less ``SPARE_MB``, MB; None where it is not limited."""
    free = Path("/proc/meminfo")
    has = process_memory_mb("VmSize")
    if has is None or not free.exists():
        return None
    import resource

    (line,) = [line for line in free.read_text().splitlines() if line.startswith("MemAvailable:")]
    allowed = int(line.split()[1]) / 1024 - SPARE_MB
    resource.setrlimit(resource.RLIMIT_AS, (int((has + allowed) * 2**20), resource.RLIM_INFINITY))
    return round(allowed)


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], sys.argv[2], sys.argv[3:])))

"""Tiny prepared cases with a bright square of lesion, and settings to train on them in a second."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from StrokeSegLib.training.dataset import TrainingCase
from StrokeSegLib.training.presets import Preset, find_preset, with_settings

#: (system, preset) -> words for ``--set``, and the shape of its channels (C, K, J, I) and its number of labels.
TINY: dict[tuple[str, str], tuple[list[str], tuple[int, int, int, int], int]] = {
    ("mri", "paper"): (["width=0.0625", "crop=64"], (3, 6, 64, 64), 1),
    ("mri", "bundled"): (["width=0.0625", "crop=64"], (2, 6, 64, 64), 1),
    ("noncontrast-ct", "paper"): (["width=0.125", "patch=8,16,16"], (1, 12, 32, 32), 1),
    ("noncontrast-ct", "bundled"): (["width=0.125", "patch=8,16,16"], (1, 12, 32, 32), 1),
    ("ct-perfusion", "paper"): (["width=0.25", "patch=16,32,32"], (5, 16, 32, 32), 1),
    ("ct-perfusion", "bundled"): (["width=0.25", "patch=16,32,32"], (5, 6, 32, 32), 1),
    ("three-projection", "paper"): (
        [
            *("width=0.0625", "slice_pixels=64", "plane_pixels=64"),
            *("axial_members=2", "coronal_members=1", "sagittal_members=1"),
        ],
        (1, 24, 40, 40),
        2,
    ),
    ("three-projection", "bundled"): (["width=0.0625", "crop=64"], (3, 24, 40, 40), 2),
}


def tiny_preset(system: str, name: str, *words: str) -> Preset:
    """A preset made small, three steps of two samples, with further words."""
    return with_settings(find_preset(system, name), ["steps=3", "batch_size=2", *TINY[system, name][0], *words])


def tiny_cases(system: str, name: str, count: int = 3) -> list[TrainingCase]:
    """Noise with a square of 2 where the lesion is; each case has its own."""
    _, (channels, *shape), labels = TINY[system, name]
    return [_case(n, channels, (shape[0], shape[1], shape[2]), labels) for n in range(count)]


def _case(number: int, channels: int, shape: tuple[int, int, int], labels: int) -> TrainingCase:
    rng = np.random.default_rng(number)
    x = rng.normal(0, 0.3, (channels, *shape)).astype(np.float16)
    brain = np.zeros(shape, bool)
    brain[tuple(slice(n // 8, n - n // 8) for n in shape)] = True
    target = np.zeros((labels, *shape), np.uint8)
    for label in range(labels):
        square = tuple(slice(n // 4 + number + label, n // 4 + number + label + n // 5) for n in shape)
        target[(label, *square)] = 255
        x[(slice(None), *square)] += 2
    return TrainingCase(f"case-{number}", x, target, brain, (1.0, 1.0, 1.0))


def main() -> None:
    """``training_phantoms.py RUN SYSTEM PRESET KEY=VALUE ...``: trains with a checkpoint each step, as a child.

    A word ``table:PATH`` gives a case table in place of the prepared cases.
    """
    from StrokeSegLib.case_table import read_case_table
    from StrokeSegLib.training import loop

    torch.set_num_threads(1)
    loop.CHECKPOINT_EVERY_S = 0.0
    out, system, name, *words = sys.argv[1:]
    resume = "--resume" in words
    preset = tiny_preset(system, name, *[w for w in words if "=" in w])
    tables = [read_case_table(Path(w.removeprefix("table:"))) for w in words if w.startswith("table:")]

    def tell(stage: str, done: int, total: int) -> None:
        print(stage, done, total, flush=True)

    data = tables[0] if tables else tiny_cases(system, name)
    loop.train(preset, data, Path(out), resume=resume, device="cpu", progress=tell)


if __name__ == "__main__":
    main()

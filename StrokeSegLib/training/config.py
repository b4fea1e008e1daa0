"""Every setting of a training run, in one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BundledMri:
    """The preset that trained ``Resources/Models/mri``.

    Attributes:
        width: Multiplier of the network's channels.
        steps: Optimizer steps in all.
        batch_size: Crops a step.
        crop: Side of a square crop, pixels of the working grid.
        learning_rate: Peak, after ``warmup_steps``; cosine to a hundredth of it at the end.
        lesion_chance: Part of the crops that are centered near a lesion voxel.
        hard_fraction: Part of the voxels, the hardest, that one of the two cross-entropies counts.
        pool_size: Generated heads kept in memory; the oldest leave as new ones come.
        ema: Decay of the averaged weights that are exported.
        seed: Of everything.
        precision: ``fp32`` or ``bf16``.
    """

    width: float = 0.25
    steps: int = 14200
    batch_size: int = 16
    crop: int = 128
    learning_rate: float = 1e-3
    warmup_steps: int = 300
    weight_decay: float = 1e-2
    lesion_chance: float = 0.6
    hard_fraction: float = 0.03
    pool_size: int = 500
    ema: float = 0.999
    seed: int = 1
    precision: str = "bf16"

"""Learning rates: functions of the optimizer step, counted from 0, and of the first (or the peak) rate."""

from __future__ import annotations

import math


def step_with_floor(
    step: int, first_rate: float, *, every: int = 5000, factor: float = 0.5, floor_fraction: float = 1 / 8
) -> float:
    """Halved every 5000 steps down to an eighth (non-contrast CT: 1e-4 to 1.25e-5, reached at step 15 000).

    Args:
        every: Steps between two falls.
        factor: What the rate is multiplied with at each.
        floor_fraction: Part of the first rate below which it never falls.
    """
    return first_rate * max(factor ** (step // every), floor_fraction)


def exponential(step: int, first_rate: float, *, decay: float = 0.99977) -> float:
    """Multiplied with ``decay`` each step (three projections: 1e-4 to a hundredth of it after 20 000 steps)."""
    return float(first_rate * decay**step)


def constant(step: int, first_rate: float) -> float:
    """The same at every step (CT perfusion: 2e-4; MRI: 1e-5)."""
    return first_rate


def warmup_cosine(step: int, peak_rate: float, *, warmup_steps: int, steps: int) -> float:
    """Linear from near 0 to the peak, then a cosine to a hundredth of it at step ``steps`` (the bundled presets)."""
    if step < warmup_steps:
        return peak_rate * (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
    return peak_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

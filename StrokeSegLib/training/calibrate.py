"""Temperature, threshold and smallest lesion of a model, chosen on generated heads that training never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.inference.predict import predict
from StrokeSegLib.metrics import dice
from StrokeSegLib.models import ModelCard
from StrokeSegLib.postprocess import label_map
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.pool import Sources

#: Candidates; the mean Dice over the generated cases decides.
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
#: No larger ones: a ball of 3.4 mm is 0.02 mL, and radiologists read emboli of that size.
SMALLEST_ML = (0.0, 0.005, 0.01, 0.02)
#: Seeds of the held-out heads start here; training counts from far below.
HELD_OUT_SEED = 9_000_000


@dataclass(frozen=True)
class Calibration:
    """What was chosen, and the numbers behind it.

    Attributes:
        temperature, threshold, min_lesion_ml: For model.json.
        error_before, error_after: Expected calibration error of voxel probabilities (15 bins, within the brain).
        dice_raw, dice_post: Mean Dice on the generated cases at threshold 0.5 without, and with the chosen values.
        cases: How many.
    """

    temperature: float
    threshold: float
    min_lesion_ml: float
    error_before: float
    error_after: float
    dice_raw: float
    dice_post: float
    cases: int


def held_out_cases(sources: Sources, count: int, seed: int = HELD_OUT_SEED) -> list[SyntheticCase]:
    """Generated cases from seeds that training never uses."""
    return [sources.make(np.random.default_rng(seed + n)) for n in range(count)]


def calibrate(card: ModelCard, backend: Backend, cases: Sequence[SyntheticCase]) -> Calibration:
    """Chooses temperature, threshold and smallest lesion on cases with known truth."""
    plain = replace(card, temperature=1.0)
    predictions = [predict(c.images, plain, SYSTEMS[card.system], backend, _silent) for c in cases]
    p, y = _sampled(cases, [(x.probability[1].array, x.brain.array) for x in predictions])
    logit = np.log(p / (1 - p))

    def cost(log_t: float) -> float:
        q = _sigmoid(logit / np.exp(log_t))
        return float(-np.mean(np.log(np.where(y, q, 1 - q))))

    temperature = float(np.exp(minimize_scalar(cost, bounds=(-1.5, 1.5), method="bounded").x))
    best = (-1.0, 0.5, 0.0)
    cooled = [
        {1: x.probability[1].with_array(_at_temperature(x.probability[1].array, temperature))} for x in predictions
    ]
    raw = np.mean(
        [dice(x.probability[1].array > 0.5, c.truth.array > 0) for x, c in zip(predictions, cases, strict=True)]
    )
    for threshold in THRESHOLDS:
        for smallest in SMALLEST_ML:
            scores = [
                dice(label_map(q, {1: threshold}, smallest).array > 0, c.truth.array > 0)
                for q, c in zip(cooled, cases, strict=True)
            ]
            best = max(best, (float(np.mean(scores)), threshold, smallest))
    return Calibration(
        temperature=round(temperature, 3),
        threshold=best[1],
        min_lesion_ml=best[2],
        error_before=expected_calibration_error(p, y),
        error_after=expected_calibration_error(_sigmoid(logit / temperature), y),
        dice_raw=float(raw),
        dice_post=best[0],
        cases=len(cases),
    )


def expected_calibration_error(p: NDArray[np.float64], y: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean distance of stated and observed frequency over equal-width bins, weighted by count (Guo et al. 2017)."""
    index = np.minimum((p * bins).astype(int), bins - 1)
    counts = np.bincount(index, minlength=bins)
    stated = np.bincount(index, p, bins)
    observed = np.bincount(index, y.astype(float), bins)
    return float(np.abs(stated - observed).sum() / counts.sum())


def _sampled(
    cases: Sequence[SyntheticCase], maps: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities and truth of up to 50,000 brain voxels a case."""
    rng = np.random.default_rng(0)
    p, y = [], []
    for case, (probability, brain) in zip(cases, maps, strict=True):
        where = np.flatnonzero(brain)
        where = rng.choice(where, min(50_000, len(where)), replace=False)
        p.append(probability.ravel()[where])
        y.append(case.truth.array.ravel()[where] > 0)
    return np.clip(np.concatenate(p).astype(np.float64), 1e-6, 1 - 1e-6), np.concatenate(y)


def _at_temperature(p: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    q = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(_sigmoid(np.log(q / (1 - q)) / temperature), np.float32)


def _sigmoid(x: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-x)), np.float64)


def _silent(stage: str, done: int, total: int) -> None:
    """No progress shown."""

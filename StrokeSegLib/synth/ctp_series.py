"""The 4D CT series behind perfusion maps, with the arterial input and the residue functions known.

Indicator dilution: the tissue's enhancement is ``CBF * (AIF conv R)(t - delay)`` with an exponential residue
``R(t) = exp(-t / MTT)``, so that its area is ``CBV`` times the input's area, and the residue peaks at the delay: Tmax.
Flow enters as mL per g and s: CBF / 6000; volume as mL per g: CBV / 100. One g of tissue counts as one mL.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import gamma

from StrokeSegLib.synth.ctp_perfusion import Perfusion
from StrokeSegLib.synth.ctp_ranges import CTP_RANGES, CTPRanges
from StrokeSegLib.synth.fields import Float, gaussian

#: Step of the curves' table, s, and its MTT axis: rows from 0.2 to 60 s, each 4 % longer.
FINE_S = 0.05
TABLE_MTT_S = np.geomspace(0.2, 60.0, 147)


@dataclass(frozen=True)
class ArterialInput:
    """Two passes of a bolus, each a gamma variate ``t**alpha * exp(-t / beta)``; enhancement in HU over time in s."""

    start_s: float
    alpha: float
    beta_s: float
    peak_hu: float
    recirculation: float = 0.0

    def __call__(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Enhancement in HU at the given times."""
        first = self._pass(time_s - self.start_s, self.beta_s)
        second = self._pass(time_s - self.start_s - 10.0, 2.5 * self.beta_s)
        # Areas are to each other as `recirculation`: area of a unit-peak variate is proportional to its beta.
        return self.peak_hu * (first + self.recirculation / 2.5 * second)

    def _pass(self, time_s: NDArray[np.float64], beta_s: float) -> NDArray[np.float64]:
        after = np.maximum(time_s, 0) / (self.alpha * beta_s)  # 1 at the peak
        return np.asarray(after**self.alpha * np.exp(self.alpha * (1 - after)))

    @property
    def area_hu_s(self) -> float:
        """Area under the curve over all time, HU s."""
        unit = self.beta_s * np.exp(self.alpha) * self.alpha**-self.alpha * gamma(self.alpha + 1)
        return float(self.peak_hu * unit * (1 + self.recirculation))


@dataclass(frozen=True, eq=False)
class CTPSeries:
    """A perfusion scan over time and what is behind it.

    Attributes:
        frames: HU, int16, shape ``(T, K, J, I)``.
        time_s: When each frame was taken.
        arterial, venous: The input and the venous output without noise, HU over the baseline, one value a frame.
        input: The arterial input as a formula.
    """

    frames: NDArray[np.int16]
    time_s: NDArray[np.float64]
    arterial: NDArray[np.float64]
    venous: NDArray[np.float64]
    input: ArterialInput


def draw_input(rng: np.random.Generator, ranges: CTPRanges = CTP_RANGES) -> ArterialInput:
    """An arterial input."""
    return ArterialInput(
        start_s=float(rng.uniform(*ranges.aif_start_s)),
        alpha=float(rng.uniform(*ranges.aif_shape)),
        beta_s=float(rng.uniform(*ranges.aif_scale_s)),
        peak_hu=float(rng.uniform(*ranges.aif_peak_hu)),
        recirculation=float(rng.uniform(*ranges.recirculation)),
    )


def residue(time_s: NDArray[np.float64], mtt_s: float, delay_s: float) -> NDArray[np.float64]:
    """Part of the indicator that is still in the tissue: 0 before the delay, then ``exp(-(t - delay) / MTT)``."""
    since = np.asarray(time_s) - delay_s
    return np.where(since < 0, 0.0, np.exp(-np.maximum(since, 0) / mtt_s))


class TissueCurves:
    """Enhancement of tissues behind one input, from a table over MTT and time.

    Rows hold the curve of a tissue of CBV 100 %, whose area is the input's; mixing two rows keeps the area.
    """

    def __init__(self, arterial: ArterialInput, duration_s: float) -> None:
        self._time = np.arange(0, duration_s + FINE_S, FINE_S)
        curve = arterial(self._time)
        rows = np.empty((len(TABLE_MTT_S), len(self._time)))
        for row, mtt_s in zip(rows, TABLE_MTT_S, strict=True):
            # y' = (input - y) / MTT, solved exactly for an input that is straight between the samples.
            ratio = FINE_S / mtt_s
            keep = np.exp(-ratio)
            new, old = 1 - (1 - keep) / ratio, (1 - keep) / ratio - keep
            row[:] = lfilter([new, old], [1.0, -keep], curve)
        self._rows = rows.astype(np.float32)

    def at(self, time_s: float, cbv: Float, mtt_s: Float, delay_s: Float) -> Float:
        """Enhancement in HU at one time, for arrays of one shape (mL/100 g, s, s)."""
        row = np.interp(np.log(np.clip(mtt_s, 0.2, 60.0)), np.log(TABLE_MTT_S), np.arange(len(TABLE_MTT_S)))
        column = np.clip((time_s - delay_s) / FINE_S, 0, len(self._time) - 1.001)
        r, c = np.minimum(row.astype(np.int32), len(TABLE_MTT_S) - 2), column.astype(np.int32)
        # Rows are mixed linearly in MTT's index, times linearly too.
        dr, dc = (row - r).astype(np.float32), (column - c).astype(np.float32)
        t = self._rows
        early = t[r, c] * (1 - dr) + t[r + 1, c] * dr
        late = t[r, c + 1] * (1 - dr) + t[r + 1, c + 1] * dr
        result: Float = cbv / np.float32(100) * (early * (1 - dc) + late * dc)
        return result


def make_series(
    rng: np.random.Generator,
    perfusion: Perfusion,
    *,
    ranges: CTPRanges = CTP_RANGES,
    noise_hu: float | None = None,
) -> CTPSeries:
    """A series of one frame a second; truth is ``perfusion`` itself (tissue), arteries hold the input.

    Args:
        noise_hu: SD of each frame's noise; drawn when None, none at all when 0.
    """
    arterial = draw_input(rng, ranges)
    low, high = ranges.series_s
    time_s = np.arange(int(rng.integers(low, high + 1)), dtype=np.float64)
    noise = float(rng.uniform(*ranges.series_noise_hu)) if noise_hu is None else noise_hu
    curves = TissueCurves(arterial, float(time_s[-1]))
    one = np.ones(1, np.float32)
    mtt, delay = float(rng.uniform(*ranges.venous_mtt_s)), float(rng.uniform(*ranges.venous_delay_s))
    venous = np.array([curves.at(t, 100 * one, mtt * one, delay * one)[0] for t in time_s], np.float64)

    flows = (perfusion.cbf > 0) & (perfusion.brain > 0)
    cbv, mtt_map, tmax = perfusion.cbv[flows], perfusion.mtt[flows], perfusion.tmax[flows]
    frames = np.empty((len(time_s), *perfusion.grid.shape), np.int16)
    in_arteries = arterial(time_s)
    for n, t in enumerate(time_s):
        frame = perfusion.ct_hu + perfusion.artery * np.float32(in_arteries[n]) + perfusion.vein * np.float32(venous[n])
        frame[flows] += curves.at(t, cbv, mtt_map, tmax)
        if noise:
            grain = gaussian(rng.standard_normal(perfusion.grid.shape, dtype=np.float32), (0, 0.5, 0.5), truncate=3)
            frame += np.float32(noise / max(float(grain.std()), 1e-6)) * grain
        frames[n] = np.clip(np.rint(frame), -1024, 3071)
    return CTPSeries(frames, time_s, in_arteries, venous, arterial)

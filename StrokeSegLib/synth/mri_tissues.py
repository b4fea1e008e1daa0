"""Signals of a head's tissues in each state of a stroke, and their averages over what a voxel covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.anatomy import BRAIN, PARENCHYMA, Head, Tissue
from StrokeSegLib.synth.compute import compute
from StrokeSegLib.synth.fields import Float
from StrokeSegLib.synth.mri_ranges import TISSUE_MR
from StrokeSegLib.synth.mri_sequences import STAGES, TISSUE_T1_MS, MriRanges, Protocol, nulling_ti_ms, signals

#: Kinds of tissue state: each is a set of tables, and each has a map of how far a voxel is in it.
STATES = ("normal", "infarct", "cavity", "gliosis", "fluid")


@dataclass(frozen=True, eq=False)
class Tables:
    """Signals by state, sequence and tissue number; and the tissues' flags."""

    signal: dict[tuple[str, str], Float]
    flags: dict[str, Float]


def draw_tables(rng: np.random.Generator, stage: str, ranges: MriRanges) -> tuple[Protocol, Tables, dict[str, float]]:
    """The scanner's settings and each tissue's signals in each state."""
    size = len(Tissue)
    density, t1, t2, adc = (np.ones(size, np.float32) for _ in range(4))
    field = rng.uniform(*ranges.t1_scale)
    # One person's tissues lie high or low together: drawn apart, a brainstem may outshine every infarct.
    common = rng.uniform(0.2, 0.8, 4)
    for tissue, (densities, t2s, adcs) in TISSUE_MR.items():
        own = common + rng.uniform(-0.2, 0.2, 4)
        rows = zip((density, t1, t2, adc), (densities, TISSUE_T1_MS[tissue], t2s, adcs), own, strict=True)
        for values, (low, high), part in rows:
            values[tissue] = low + part * (high - low)
        t1[tissue] *= 1.0 if tissue == Tissue.CSF else field
    tr = rng.uniform(*ranges.flair_tr_ms)
    protocol = Protocol(
        b=rng.uniform(*ranges.diffusion.b_s_per_mm2) / 1000,
        dwi_te=rng.uniform(*ranges.diffusion.te_ms),
        flair_te=rng.uniform(*ranges.flair_te_ms),
        flair_tr=tr,
        flair_ti=nulling_ti_ms(tr, float(t1[Tissue.CSF])) * rng.uniform(*ranges.flair_null),
        t1_te=rng.uniform(*ranges.t1_te_ms),
        t1_tr=rng.uniform(*ranges.t1_tr_ms),
        t2_te=rng.uniform(*ranges.t2_te_ms),
        t2_tr=rng.uniform(*ranges.t2_tr_ms),
    )
    of = STAGES[stage]
    parameters = {
        "lesion_adc_factor": float(rng.uniform(*of.adc)),
        "lesion_t2_factor": float(rng.uniform(*of.t2)),
        "lesion_t1_factor": float(rng.uniform(*of.t1)),
        "cavity": float(rng.random() < of.cavity_chance),
    }
    brain = np.isin(np.arange(size), PARENCHYMA)

    def changed(t1_factor: float, t2_factor: float, adc_factor: float) -> dict[str, Float]:
        t1s, t2s, adcs = (np.where(brain, a * f, a) for a, f in ((t1, t1_factor), (t2, t2_factor), (adc, adc_factor)))
        return signals(density, t1s, t2s, adcs, protocol)

    csf = int(Tissue.CSF)
    fluid = [np.where(brain, a[csf], a).astype(np.float32) for a in (density, t1, t2, adc)]
    cavity = signals(
        fluid[0], np.where(brain, 0.85 * fluid[1], t1), np.where(brain, 0.5 * fluid[2], t2), fluid[3], protocol
    )
    states = {
        "normal": changed(1, 1, 1),
        "infarct": changed(
            parameters["lesion_t1_factor"], parameters["lesion_t2_factor"], parameters["lesion_adc_factor"]
        ),
        "cavity": cavity,
        "gliosis": changed(rng.uniform(1.1, 1.3), rng.uniform(1.3, 1.7), rng.uniform(1.1, 1.4)),
        "fluid": signals(fluid[0], fluid[1], fluid[2], fluid[3], protocol),
    }
    signal = {
        (state, role): np.asarray(values, np.float32) for state, all_ in states.items() for role, values in all_.items()
    }
    white = (Tissue.WHITE_MATTER, Tissue.CEREBELLUM_WHITE)
    flags = {
        name: np.isin(np.arange(size), group).astype(np.float32)
        for name, group in (("parenchyma", PARENCHYMA), ("white", white), ("brain", BRAIN), ("csf", (Tissue.CSF,)))
    }
    return protocol, Tables(signal, flags), parameters


def averaged(
    head: Head, positions: list[NDArray[np.float32]], tables: Tables, roles: tuple[str, ...]
) -> dict[str, Float]:
    """Means over sub-samples: ``"state role"`` and the flags. Counting tissues first makes all tables cheap."""
    columns = {f"{s} {r}": tables.signal[s, r] for s in STATES for r in roles} | tables.flags
    table = np.stack(list(columns.values()), axis=0)
    sums = compute().table_sums(head.tissue, positions, head.spacing_mm, table)
    sums /= len(positions)
    return dict(zip(columns, sums, strict=True))


def mixed(mean: dict[str, Float], role: str, weights: dict[str, Float]) -> Float:
    """One sequence's signal where each voxel is so far in each state; see ``averaged`` for ``mean``."""
    normal = mean[f"normal {role}"]
    total = normal.copy()
    for state, weight in weights.items():
        if weight.any():
            total += weight * (mean[f"{state} {role}"] - normal)
    return total


def reference_signal(image: Float, white: Float) -> float:
    """White matter's signal."""
    return max(float(np.median(image[white > 0.8])) if (white > 0.8).any() else float(image.max()), 1e-6)

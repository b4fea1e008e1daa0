"""One signal model of five sequences, and every range the multi-sequence MRI generator draws from.

Sources: T1 and T2 of brain at 1.5 and 3 T from Wansapura 1999 (JMRI 9:531) and Stanisz 2005 (MRM 54:507), widened;
time course of ADC and T2 in infarcts from Lansberg 2001 (AJNR 22:637); DWI-FLAIR mismatch in the first hours from
Thomalla 2011 (Lancet Neurol 10:978). T1 and T2 in ms, ADC in um2/ms (1e-3 mm2/s), lengths in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from StrokeSegLib.synth.anatomy import Tissue
from StrokeSegLib.synth.fields import Float
from StrokeSegLib.synth.mri_ranges import DIFFUSION, DiffusionRanges, Range

#: T1 in ms per tissue at 1.5 T; density, T2 and ADC stand in ``mri_ranges.TISSUE_MR``.
TISSUE_T1_MS: dict[Tissue, Range] = {
    Tissue.AIR: (1000, 1000),
    Tissue.WHITE_MATTER: (600, 720),
    Tissue.CORTEX: (1000, 1200),
    Tissue.CSF: (3900, 4300),
    Tissue.DEEP_GRAY: (880, 1050),
    Tissue.PALLIDUM: (760, 900),
    Tissue.CEREBELLUM_WHITE: (620, 740),
    Tissue.CEREBELLUM_GRAY: (1000, 1180),
    Tissue.BRAINSTEM: (680, 800),
    Tissue.CHOROID_PLEXUS: (1300, 2000),
    Tissue.BONE: (500, 800),
    Tissue.MARROW: (300, 450),
    Tissue.SCALP: (280, 400),
    Tissue.MUSCLE: (850, 1050),
    Tissue.EYE: (3000, 4000),
    Tissue.MUCOSA: (900, 1500),
    Tissue.VESSEL: (1200, 1600),
}


@dataclass(frozen=True)
class StageRanges:
    """How an infarct of one age changes its tissue: factors on ADC, T2 and T1, and the chance of a cavity."""

    adc: Range
    t2: Range
    t1: Range
    cavity_chance: float = 0.0


#: Up to about 4 h; to about 5 days; to about 3 weeks; months.
STAGES: dict[str, StageRanges] = {
    "hyperacute": StageRanges(adc=(0.50, 0.75), t2=(1.0, 1.03), t1=(1.0, 1.03)),
    "acute": StageRanges(adc=(0.45, 0.70), t2=(1.20, 1.55), t1=(1.08, 1.25)),
    "subacute": StageRanges(adc=(0.88, 1.15), t2=(1.45, 1.95), t1=(1.15, 1.40)),
    "chronic": StageRanges(adc=(1.40, 1.90), t2=(1.35, 1.75), t1=(1.25, 1.55), cavity_chance=0.75),
}


@dataclass(frozen=True)
class MriRanges:
    """Uniform ranges (low, high) unless a name ends in ``_chance``."""

    diffusion: DiffusionRanges = DIFFUSION
    #: Chances of the stages, in the order of ``STAGES``.
    stage_chances: tuple[float, float, float, float] = (0.2, 0.4, 0.2, 0.2)
    t1_scale: Range = (1.0, 1.22)  # 1.5 T to 3 T
    flair_te_ms: Range = (90, 140)
    flair_tr_ms: Range = (8000, 11000)
    flair_null: Range = (0.97, 1.03)  # inversion time over the one that nulls CSF
    t1_te_ms: Range = (3, 14)
    t1_tr_ms: Range = (420, 650)
    t2_te_ms: Range = (80, 115)
    t2_tr_ms: Range = (3000, 6000)
    in_plane_mm: Range = (0.5, 1.0)
    slice_mm: Range = (4.0, 6.0)
    psf_fwhm_pixel: Range = (0.8, 1.8)  # sharpness in the plane; scanners interpolate
    volume_scan_chance: float = 0.5  # T1 and T2 as 3D scans of about 1 mm
    noise: Range = (0.01, 0.06)  # SD over white matter's signal
    bias: Range = (0.0, 0.20)
    motion_chance: float = 0.25
    flow_chance: float = 0.4  # bright CSF on FLAIR
    white_matter_disease_chance: float = 0.5
    microbleed_chance: float = 0.2
    perivascular_chance: float = 0.4
    #: A lesion voxel that differs less than this part of white matter's signal, or so many SD, cannot be seen.
    visible_contrast: float = 0.15
    visible_noise_sd: float = 2.0
    visible_adc: float = 0.12


MRI_RANGES = MriRanges()


@dataclass(frozen=True)
class Protocol:
    """What the scanner was set to; ms, and ``b`` in ms/um2."""

    b: float
    dwi_te: float
    flair_te: float
    flair_tr: float
    flair_ti: float
    t1_te: float
    t1_tr: float
    t2_te: float
    t2_tr: float


def nulling_ti_ms(tr_ms: float, t1_ms: float) -> float:
    """The inversion time at which a tissue's longitudinal magnetization crosses zero."""
    return float(t1_ms * np.log(2 / (1 + np.exp(-tr_ms / t1_ms))))


def signals(density: Float, t1: Float, t2: Float, adc: Float, at: Protocol) -> dict[str, Float]:
    """Noise-free signals of ``b0``, ``dwi``, ``flair``, ``t1`` and ``t2``, spin echoes all."""
    b0 = density * np.exp(-at.dwi_te / t2)
    inverted = np.abs(1 - 2 * np.exp(-at.flair_ti / t1) + np.exp(-at.flair_tr / t1))
    return {
        "b0": b0,
        "dwi": b0 * np.exp(-at.b * adc),
        "flair": density * np.exp(-at.flair_te / t2) * inverted,
        "t1": density * np.exp(-at.t1_te / t2) * (1 - np.exp(-at.t1_tr / t1)),
        "t2": density * np.exp(-at.t2_te / t2) * (1 - np.exp(-at.t2_tr / t1)),
    }

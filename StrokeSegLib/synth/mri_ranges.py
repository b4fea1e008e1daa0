"""Every range that the diffusion MRI generator draws from, in one place.

Sources: relaxation and diffusion of brain tissue at 1.5-3 T as commonly tabulated (gray matter T2 80-110 ms and ADC
0.75-0.95, white matter T2 65-85 ms and ADC 0.65-0.85, CSF ADC near free water); lesion contrast from the spread that
acute DWI shows (in-lesion ADC medians of 0.46-0.82). ADC in um2/ms, which equals 1e-3 mm2/s.
"""

from __future__ import annotations

from dataclasses import dataclass

from StrokeSegLib.synth.aging import AGING, AgingRanges
from StrokeSegLib.synth.anatomy import Tissue

Range = tuple[float, float]

#: Proton density (relative), T2 in ms, ADC in um2/ms, each as a range, per tissue. Fat is mostly suppressed in EPI.
TISSUE_MR: dict[Tissue, tuple[Range, Range, Range]] = {
    Tissue.AIR: ((0.0, 0.0), (50, 50), (1.0, 1.0)),
    Tissue.WHITE_MATTER: ((0.66, 0.74), (65, 85), (0.65, 0.88)),
    Tissue.CORTEX: ((0.78, 0.86), (80, 110), (0.74, 0.98)),
    Tissue.CSF: ((0.95, 1.0), (500, 1500), (2.5, 3.2)),
    Tissue.DEEP_GRAY: ((0.75, 0.83), (65, 82), (0.68, 0.86)),
    Tissue.PALLIDUM: ((0.70, 0.80), (45, 75), (0.65, 0.90)),
    Tissue.CEREBELLUM_WHITE: ((0.66, 0.74), (65, 90), (0.62, 0.85)),
    Tissue.CEREBELLUM_GRAY: ((0.78, 0.86), (76, 96), (0.70, 0.90)),
    Tissue.BRAINSTEM: ((0.68, 0.76), (65, 90), (0.65, 0.88)),
    Tissue.CHOROID_PLEXUS: ((0.80, 0.95), (100, 250), (1.2, 2.2)),
    Tissue.BONE: ((0.02, 0.08), (20, 40), (0.8, 1.5)),
    Tissue.MARROW: ((0.03, 0.20), (40, 60), (0.3, 0.9)),
    Tissue.SCALP: ((0.05, 0.35), (40, 60), (0.2, 0.8)),
    Tissue.MUSCLE: ((0.50, 0.70), (32, 45), (1.1, 1.7)),
    Tissue.EYE: ((0.95, 1.0), (300, 900), (2.4, 3.1)),
    Tissue.MUCOSA: ((0.60, 0.90), (60, 140), (1.1, 1.9)),
    Tissue.VESSEL: ((0.10, 0.40), (60, 120), (1.5, 3.0)),
}


@dataclass(frozen=True)
class DiffusionRanges:
    """Uniform ranges (low, high) unless a name ends in ``_chance``; lengths in mm, ADC in um2/ms."""

    # --- acquisition
    b_s_per_mm2: Range = (800, 1400)
    te_ms: Range = (55, 110)
    tesla: tuple[float, ...] = (1.5, 3.0)
    #: EPI's: echo spacings of 0.5-1 ms, 96-192 lines, two- to threefold parallel imaging. Signal moves and piles up
    #: by it where the field is off (``epi.py``), in bands that must not be marked.
    readout_s: Range = (0.015, 0.060)
    in_plane_mm: Range = (0.9, 2.3)
    slice_mm: Range = (2.0, 6.5)
    isotropic_2mm_chance: float = 0.3  # 1.8-2.2 mm cubes, as many research and resampled scans have
    slice_gap_fraction: Range = (0.0, 0.25)
    tilt_degrees: Range = (-20, 20)
    #: Noise SD of b0, as a part of white matter's DWI signal.
    noise: Range = (0.01, 0.09)
    psf_fwhm_voxel: Range = (0.4, 1.3)
    bias: Range = (0.0, 0.30)
    skull_stripped_chance: float = 0.55
    ghost: Range = (0.0, 0.05)
    # --- the person
    scale: Range = (0.88, 1.14)
    warp_mm: Range = (0.0, 4.0)
    aging: AgingRanges = AGING
    # --- normal tissue that varies
    white_matter_texture: Range = (0.02, 0.08)  # symmetric, as fiber direction makes it
    cortex_texture: Range = (0.03, 0.12)
    # --- lesions
    healthy_chance: float = 0.12
    lesion_adc: Range = (0.25, 0.95)  # and always under `lesion_adc_drop` of the same tissue's
    lesion_adc_drop: float = 0.95
    lesion_dwi_ratio: Range = (1.25, 3.4)  # lesion over the same tissue, in DWI
    lesion_edge_mm: Range = (0.5, 3.0)  # blur of the border
    lesion_fade: Range = (0.0, 0.6)  # how deep the involvement dips inside
    white_matter_involvement: Range = (0.35, 1.0)
    shower_chance: float = 0.40
    shower_count: tuple[int, int] = (2, 40)
    shower_diameter_mm: Range = (2.5, 11.0)
    #: Where a voxel is infarcted by more than this part it belongs to the lesion, as in SynthStroke's labels (Chalcroft
    #: 2025): readers outline all that is bright, the blurred border too.
    label_involvement: float = 0.2
    #: A lesion voxel brighter than its tissue by less than this part, or than so many SD of the noise, is not labeled:
    #: nobody could see it.
    visible_contrast: float = 0.14
    visible_noise_sd: float = 1.5
    # --- what must not be marked
    plexus_bright_chance: float = 0.35
    white_matter_disease_chance: float = 0.45
    old_infarct_chance: float = 0.20


DIFFUSION = DiffusionRanges()

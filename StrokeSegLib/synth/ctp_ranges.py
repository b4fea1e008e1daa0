"""Every range that the CT perfusion generator draws from, in one place.

Sources: perfusion of the normal brain as commonly tabulated (gray matter CBF 50-70 mL/100 g/min and CBV 3-5 mL/100 g,
white matter 20-30 and 1.5-2.5); the thresholds in clinical use (core: CBF under 30 % of normal; penumbra: Tmax over
6 s); the grids of ISLES 2018 (slabs of 2 to 22 thick slices). CBF in mL/100 g/min, CBV in mL/100 g, MTT and Tmax in s.
"""

from __future__ import annotations

from dataclasses import dataclass

from StrokeSegLib.synth.anatomy import Tissue

Range = tuple[float, float]

#: Values of the painted vessels in a head's tissue map, after the last ``Tissue``.
ARTERY, VEIN = len(Tissue), len(Tissue) + 1

#: CBF, CBV and CT density in HU, each as a range, per tissue.
TISSUE_PERFUSION: dict[int, tuple[Range, Range, Range]] = {
    Tissue.AIR: ((0, 0), (0, 0), (-1000, -1000)),
    Tissue.WHITE_MATTER: ((20, 30), (1.5, 2.5), (25, 30)),
    Tissue.CORTEX: ((50, 70), (3.0, 5.0), (34, 39)),
    Tissue.CSF: ((1, 4), (0.1, 0.4), (4, 12)),
    Tissue.DEEP_GRAY: ((45, 65), (3.0, 4.5), (33, 38)),
    Tissue.PALLIDUM: ((35, 50), (2.2, 3.5), (33, 42)),
    Tissue.CEREBELLUM_WHITE: ((22, 32), (1.7, 2.7), (26, 32)),
    Tissue.CEREBELLUM_GRAY: ((50, 70), (3.0, 5.0), (34, 39)),
    Tissue.BRAINSTEM: ((25, 40), (2.0, 3.0), (26, 32)),
    Tissue.CHOROID_PLEXUS: ((40, 60), (4.0, 6.0), (30, 60)),
    Tissue.BONE: ((0, 0), (0, 0), (900, 1500)),
    Tissue.MARROW: ((3, 8), (0.3, 0.8), (250, 600)),
    Tissue.SCALP: ((3, 8), (0.3, 0.8), (-90, 20)),
    Tissue.MUSCLE: ((5, 10), (0.4, 1.0), (45, 60)),
    Tissue.EYE: ((2, 5), (0.1, 0.3), (5, 20)),
    Tissue.MUCOSA: ((20, 40), (2.0, 4.0), (30, 45)),
    Tissue.VESSEL: ((60, 100), (4.0, 8.0), (40, 55)),
    ARTERY: ((180, 350), (14, 30), (40, 50)),
    VEIN: ((150, 300), (16, 35), (45, 60)),
}


@dataclass(frozen=True)
class CTPRanges:
    """Uniform ranges (low, high) unless a name ends in ``_chance`` or ``_log``; lengths in mm, times in s."""

    # --- the scan
    slab_chance: float = 0.65  # a slab of a few slices; else the whole brain
    slab_slices: tuple[int, int] = (2, 22)
    slab_slice_mm: Range = (5.0, 10.0)
    slab_in_plane_mm: Range = (1.0, 2.2)
    whole_slice_mm: Range = (3.0, 5.0)
    whole_in_plane_mm: Range = (1.5, 2.5)
    tilt_degrees: Range = (-18, 18)
    # --- the person
    scale: Range = (0.88, 1.14)
    warp_mm: Range = (0.0, 4.0)
    cbf_gain: Range = (0.75, 1.35)  # people and vendors differ
    cbv_gain: Range = (0.80, 1.25)
    texture: Range = (0.03, 0.12)  # uneven flow and volume of normal tissue
    tmax_gray_s: Range = (0.3, 2.0)
    tmax_white_more_s: Range = (0.2, 1.2)
    # --- acute ischemia
    healthy_chance: float = 0.15
    no_core_chance: float = 0.08  # delayed, not infarcted
    core_ml_log: tuple[float, float] = (14.0, 1.2)  # median and sigma of the log-normal volume without a library
    core_cbf: Range = (0.05, 0.28)  # parts of the same tissue's normal value
    core_cbv: Range = (0.20, 0.60)
    core_edge_mm: Range = (0.5, 3.0)
    penumbra_cbf_inner: Range = (0.30, 0.45)  # next to the core
    penumbra_cbf_outer: Range = (0.55, 0.75)  # where Tmax is 6 s
    penumbra_cbv_inner: Range = (0.80, 1.10)
    penumbra_cbv_outer: Range = (1.00, 1.30)
    penumbra_peak_s: Range = (8.5, 16.0)  # Tmax next to the core and in it
    oligemia_width: Range = (0.10, 0.50)  # how fast delay fades outside, part of the penumbra's own depth
    large_vessel_chance: float = 0.55  # hypoperfusion of a whole territory whatever the core's volume
    territory_ml_log: tuple[float, float] = (90.0, 0.6)  # median and sigma of its log-normal volume
    mismatch_ratio: Range = (1.15, 4.0)  # hypoperfused over core volume, for the others; log-uniform
    core_hu_drop: Range = (0.0, 6.0)  # early ischemia is faint on CT
    # --- what must not be marked
    carotid_chance: float = 0.22  # one hemisphere late, or both
    carotid_delay_s: Range = (2.0, 5.0)
    white_matter_disease_chance: float = 0.40
    old_infarct_chance: float = 0.20
    other_tmax_limit_s: float = 5.6  # never as late as penumbra
    # --- the maps
    psf_mm: Range = (1.5, 5.0)  # FWHM in plane
    cbf_noise: Range = (1.0, 7.0)  # SD
    cbv_noise: Range = (0.08, 0.45)
    tmax_noise_s: Range = (0.1, 0.7)  # where CBF is 40; more where flow is low
    noise_fwhm_voxel: Range = (1.0, 3.0)
    motion_mm: Range = (0.0, 1.5)  # CT against maps, in plane
    motion_chance: float = 0.5
    ct_noise_hu: Range = (1.5, 5.0)
    ct_stripped_chance: float = 0.4
    maps_stripped_chance: float = 0.85
    csf_masked_chance: float = 0.5
    vessels_masked_chance: float = 0.4
    cbf_limit: Range = (90, 250)  # values over it saturate
    cbv_limit: Range = (8, 25)
    mtt_limit_s: Range = (14, 30)
    tmax_limit_s: Range = (14, 35)
    quantized_chance: float = 0.4
    # --- the 4D series
    series_s: tuple[int, int] = (45, 60)
    aif_start_s: Range = (4.0, 9.0)
    aif_shape: Range = (2.5, 3.5)  # gamma variate's alpha
    aif_scale_s: Range = (1.2, 1.9)  # and its beta
    aif_peak_hu: Range = (200, 420)
    recirculation: Range = (0.05, 0.20)  # area of the second pass over the first
    venous_delay_s: Range = (3.0, 6.0)
    venous_mtt_s: Range = (3.0, 5.0)
    series_noise_hu: Range = (3.0, 6.0)


CTP_RANGES = CTPRanges()

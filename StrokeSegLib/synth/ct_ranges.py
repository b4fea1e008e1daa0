"""Every range that the CT generator draws from, in one place.

Sources: Hounsfield units of head tissues as radiology texts tabulate them (water 0, CSF 0-15, white matter 20-32, gray
matter 30-42, clotted blood 50-85, blood of low hematocrit or some days old down to 36, fat -100, compact bone over
700); early infarcts lose 2-6 HU, first in gray matter, and edema later takes 8-18 HU; noise SD of clinical 5 mm head CT
2-5 HU. HU throughout, lengths in mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from StrokeSegLib.synth.anatomy import Tissue

Range = tuple[float, float]

#: HU of a tissue, drawn once a person. Cortex and deep gray are drawn as white matter plus a gap, see ``CtRanges``.
TISSUE_HU: dict[Tissue, Range] = {
    Tissue.AIR: (-1000, -995),
    Tissue.WHITE_MATTER: (24, 31),
    Tissue.CSF: (3, 12),
    Tissue.CEREBELLUM_WHITE: (26, 32),
    Tissue.BRAINSTEM: (26, 32),
    Tissue.CHOROID_PLEXUS: (20, 45),
    Tissue.BONE: (900, 1600),
    Tissue.MARROW: (350, 800),
    Tissue.SCALP: (-100, -30),
    Tissue.MUSCLE: (40, 65),
    Tissue.EYE: (2, 15),
    Tissue.MUCOSA: (15, 50),
    Tissue.VESSEL: (40, 60),
}


@dataclass(frozen=True)
class InfarctAge:
    """What an infarct of one age looks like: hours since onset, HU lost by each tissue, swelling 0..1."""

    hours: Range
    gray_drop_hu: Range
    white_drop_hu: Range
    swelling: Range


#: Gray matter goes first, so that its border with white matter fades; white matter follows.
HYPERACUTE = InfarctAge((1, 6), (2.0, 6.0), (0.5, 4.0), (0.0, 0.4))
ACUTE = InfarctAge((6, 24), (5.0, 10.0), (3.0, 8.0), (0.2, 0.8))
SUBACUTE = InfarctAge((24, 168), (9.0, 18.0), (7.0, 15.0), (0.3, 1.0))


@dataclass(frozen=True)
class CtRanges:
    """Uniform ranges (low, high) unless a name ends in ``_chance`` or ``_shares``."""

    # --- acquisition
    in_plane_mm: Range = (0.9, 1.5)
    fine_in_plane_chance: float = 0.12  # as reconstructed, `fine_in_plane_mm`, rather than downsampled
    fine_in_plane_mm: Range = (0.4, 0.9)
    slice_mm: Range = (2.5, 6.0)
    thin_slice_chance: float = 0.25
    thin_slice_mm: Range = (1.0, 2.5)
    #: Upper slices some times as thick as the lower ones, from this part of the stack on (``ct_uneven.py``).
    uneven_chance: float = 0.08
    uneven_from: Range = (0.35, 0.75)
    uneven_ratio: Range = (1.3, 2.5)
    tilt_degrees: Range = (-25, 25)
    margin_mm: Range = (14, 30)  # air around the brain's box
    psf_fwhm_mm: Range = (0.8, 3.0)
    sharp_kernel_chance: float = 0.12  # edges enhanced, noise doubled
    #: SD of the noise at 5 mm slices; thinner slices have more, as the square root.
    noise_hu: Range = (1.2, 5.0)
    noise_fwhm_mm: Range = (0.8, 1.8)
    noise_limit_hu: float = 25.0
    offset_hu: Range = (-3.0, 3.0)
    gain: Range = (0.94, 1.06)
    #: Residual beam hardening under the bone, at the bone: a narrow glow, and a wide cup.
    glow_hu: Range = (0.0, 30.0)
    glow_fwhm_mm: Range = (4.0, 12.0)
    cup_hu: Range = (-3.0, 14.0)
    cup_fwhm_mm: Range = (15.0, 50.0)
    #: HU a mm of what bone's hardened beam leaves (``ct_hardening.py``), which is most at the vertex. The upper end
    #: covers the one real CT that generated heads were laid beside.
    hardening_hu_per_mm: Range = (0.0, 4.0)
    streak_hu: Range = (0.0, 14.0)  # dark bands between dense bones
    motion_chance: float = 0.10
    metal_chance: float = 0.05
    view_cut_chance: float = 0.20  # the reconstruction circle cuts the head
    table_chance: float = 0.7
    #: Saved through a display window, 8 bits a voxel.
    eight_bit_chance: float = 0.30
    window_width_hu: Range = (70, 250)
    window_level_hu: Range = (25, 60)
    skull_stripped_chance: float = 0.20
    # --- the person
    scale: Range = (0.88, 1.14)
    warp_mm: Range = (0.0, 2.5)
    flip_chance: float = 0.5
    gray_white_gap_hu: Range = (4.0, 9.0)
    pallidum_above_gray_hu: Range = (0.0, 5.0)
    tissue_texture_hu: Range = (0.3, 1.3)
    ventricle_growth: Range = (-0.15, 0.40)  # age: the ventricles' width, relative
    sulcus_growth: Range = (-0.6, 0.8)  # age: the sulci's CSF, relative
    # --- kinds
    kind_shares: tuple[float, float, float, float] = (0.15, 0.45, 0.32, 0.08)  # healthy, ischemic, hemorrhagic, both
    # --- infarcts
    infarct_ages: tuple[InfarctAge, ...] = (HYPERACUTE, ACUTE, SUBACUTE)
    infarct_age_shares: tuple[float, ...] = (0.20, 0.38, 0.42)
    infarct_edge_mm: Range = (1.0, 5.0)
    infarct_fade: Range = (0.0, 0.35)
    #: Infarcts under `small_infarct_ml` are drawn again with the rest of this chance: CT seldom shows them.
    small_infarct_chance: float = 0.25
    small_infarct_ml: float = 2.0
    second_infarct_chance: float = 0.15
    #: Infarcted voxels that lost less than this, or than so many SD of the noise as seen at 5 mm, are not labeled:
    #: nobody could see them.
    visible_hu: float = 1.5
    visible_noise_sd: float = 0.6
    visible_blood_hu: float = 5.0  # above what was there before
    # --- blood
    blood_hu: Range = (50, 80)
    pale_blood_hu: Range = (38, 52)  # low hematocrit, hyperacute, or some days old
    pale_blood_chance: float = 0.35
    blood_limits_hu: Range = (36, 85)
    blood_texture_hu: Range = (1.0, 6.0)
    #: Chance of each place of blood; at least one is drawn.
    parenchymal_chance: float = 0.50
    ventricular_chance: float = 0.22  # and, with parenchymal blood, once more
    subdural_chance: float = 0.24
    epidural_chance: float = 0.08
    subarachnoid_chance: float = 0.20
    parenchymal_ml: Range = (0.1, 90.0)  # log-uniform
    several_hematomas_chance: float = 0.15  # the volume is shared by 2 to 5
    edema_mm: Range = (2.0, 10.0)
    edema_drop_hu: Range = (5.0, 15.0)
    subdural_mm: Range = (1.5, 14.0)  # log-uniform: thin layers are common
    falcine_chance: float = 0.15  # of a subdural: along the falx rather than under the bone
    epidural_mm: Range = (5.0, 25.0)
    subarachnoid_reach_mm: Range = (8.0, 45.0)  # log-uniform
    # --- what must not be marked
    old_infarct_chance: float = 0.25
    old_infarct_hu: Range = (5, 20)
    #: Ex vacuo: beside an old infarct the ventricle has grown by so much, and the sulci by a part of it.
    ex_vacuo_chance: float = 0.6
    ex_vacuo_mm: Range = (2.0, 9.0)
    ex_vacuo_sulci: Range = (0.15, 0.5)
    #: Chronic subdural collections and hygromas: like CSF to darker than brain.
    chronic_subdural_chance: float = 0.08
    chronic_subdural_both_sides_chance: float = 0.35
    chronic_subdural_mm: Range = (3.0, 14.0)
    chronic_subdural_hu: Range = (5, 25)
    white_matter_disease_chance: float = 0.45
    white_matter_disease_drop_hu: Range = (3, 12)
    lacune_chance: float = 0.2
    calcification_chance: float = 0.5
    calcification_hu: Range = (70, 350)
    falx_chance: float = 0.8
    falx_hu: Range = (32, 65)
    dense_vessel_chance: float = 0.12
    dense_vessel_hu: Range = (55, 80)
    cyst_chance: float = 0.05
    tissue_hu: dict[Tissue, Range] = field(default_factory=lambda: dict(TISSUE_HU))


CT_RANGES = CtRanges()

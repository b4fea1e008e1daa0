"""``strokeseg demo``: generated heads with a known stroke through the bundled models, one on MRI and one on CT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.io import write_image
from StrokeSegLib.metrics import dice
from StrokeSegLib.result_folder import check_target
from StrokeSegLib.synth.ct import make_ct_case
from StrokeSegLib.synth.ct_ranges import CT_RANGES
from StrokeSegLib.synth.diffusion import SyntheticCase, make_case
from StrokeSegLib.synth.mri_ranges import DIFFUSION
from StrokeSegLib.synth.procedural import procedural_head

MODEL = "mri"
CT_MODEL = "three-projection"
#: Where, in the demo's folder, the CT and its results lie; those of the MRI lie in the folder itself.
CT_FOLDER = "ct"
#: The heads and strokes of the demo; any number would do, this one has a middle-sized infarct.
SEED = 43
SPACING_MM = (1.4, 1.4, 4.0)
CT_SPACING_MM = (0.9, 0.9, 5.0)
#: A scan of fair quality with one infarct: what a first look should show. Harder ones are for training.
CALM = replace(
    DIFFUSION,
    b_s_per_mm2=(1000, 1000),
    tilt_degrees=(-3, 3),
    noise=(0.02, 0.04),
    bias=(0.0, 0.08),
    warp_mm=(1.0, 1.5),
    skull_stripped_chance=0.0,
    white_matter_texture=(0.02, 0.05),
    cortex_texture=(0.02, 0.05),
    lesion_adc=(0.45, 0.55),
    lesion_dwi_ratio=(2.0, 2.5),
    white_matter_involvement=(0.8, 1.0),
    shower_chance=0.0,
    rim_gain=(0.2, 0.5),
    old_infarct_chance=0.0,
)
#: The same for CT, with one bleeding in the brain's tissue.
CALM_CT = replace(
    CT_RANGES,
    tilt_degrees=(-3, 3),
    noise_hu=(1.8, 2.4),
    psf_fwhm_mm=(1.0, 1.4),
    sharp_kernel_chance=0.0,
    rim_hu=(0, 2),
    streak_hu=(0, 4),
    offset_hu=(-0.5, 0.5),
    gain=(0.99, 1.01),
    motion_chance=0.0,
    metal_chance=0.0,
    view_cut_chance=0.0,
    eight_bit_chance=0.0,
    skull_stripped_chance=0.0,
    ventricle_growth=(-0.05, 0.15),
    sulcus_growth=(-0.2, 0.3),
    parenchymal_chance=1.0,
    ventricular_chance=0.0,
    subdural_chance=0.0,
    epidural_chance=0.0,
    subarachnoid_chance=0.0,
    parenchymal_ml=(20, 40),
    pale_blood_chance=0.0,
    old_infarct_chance=0.0,
    white_matter_disease_chance=0.0,
    lacune_chance=0.0,
    cyst_chance=0.0,
)


def demo_case(seed: int = SEED) -> SyntheticCase:
    """The demo's DWI, ADC and truth."""
    rng = np.random.default_rng(seed)
    return make_case(rng, procedural_head(rng), ranges=CALM, healthy=False, spacing_mm=SPACING_MM)


def demo_ct_case(seed: int = SEED) -> SyntheticCase:
    """The demo's CT and truth."""
    rng = np.random.default_rng(seed)
    return make_ct_case(rng, procedural_head(rng), ranges=CALM_CT, kind="hemorrhagic", spacing_mm=CT_SPACING_MM)


def run_demo(out: Path, progress: Progress) -> list[str]:
    """Writes the images, their truth and the results beside each other; returns what to tell.

    An earlier demo in the same folder is replaced.

    Raises:
        InputError: ``out`` cannot be written.
    """
    check_target(out, force=True)
    lines = _shown(demo_case, MODEL, "infarct", out, progress)
    lines += _shown(demo_ct_case, CT_MODEL, "hemorrhage", out / CT_FOLDER, progress)
    pictures = f"{out / 'overlay.png'} and {out / CT_FOLDER / 'overlay.png'}"
    return [*lines, f"Look at {pictures}; numbers are in measurements.json beside them."]


def _shown(make: Callable[[], SyntheticCase], model: str, what: str, out: Path, progress: Progress) -> list[str]:
    from StrokeSegLib.segmentation import segment  # the heads alone are made without the packages that this needs

    progress("make", 0, 1)
    case = make()
    progress("make", 1, 1)
    result = segment(case.images, model, "cpu", progress)
    progress("write", 0, 1)
    result.write(out, force=True)
    for name, volume in {**case.images, "truth": case.truth}.items():
        write_image(volume, out / f"{name}.nii.gz")
    progress("write", 1, 1)
    truth_ml = float(np.count_nonzero(case.truth.array)) * case.truth.voxel_volume_ml
    found = result.measurements
    agreement = dice(result.labels.array > 0, case.truth.array > 0)
    sides = ", ".join(f"{lesion['volume_ml']:.1f} mL {lesion['side']}" for lesion in found["lesions"][:3])
    images = " and ".join(role.upper() for role in case.images)
    return [
        f"{images} of a generated head with {truth_ml:.1f} mL of {what}: model {model} found "
        f"{found['total_volume_ml']:.1f} mL in {len(found['lesions'])} lesion(s): {sides or 'none'}.",
        f"Agreement with the known truth (Dice, on a generated image): {agreement:.2f}.",
    ]

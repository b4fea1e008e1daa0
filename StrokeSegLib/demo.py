"""``strokeseg demo``: generated heads with a known stroke through the bundled models: MRI, CT and CT perfusion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.io import write_image
from StrokeSegLib.metrics import dice
from StrokeSegLib.result_folder import check_target
from StrokeSegLib.synth.aging import AgingRanges
from StrokeSegLib.synth.ct import make_ct_case
from StrokeSegLib.synth.ct_ranges import CT_RANGES
from StrokeSegLib.synth.ctp import make_ctp_case
from StrokeSegLib.synth.ctp_ranges import CTP_RANGES
from StrokeSegLib.synth.diffusion import SyntheticCase, make_case
from StrokeSegLib.synth.mri_ranges import DIFFUSION
from StrokeSegLib.synth.procedural import procedural_head

MODEL = "mri"
#: The heads and strokes of the demo; any number would do, this one has a middle-sized infarct.
SEED = 43
SPACING_MM = (1.4, 1.4, 4.0)
CT_SPACING_MM = (1.2, 1.2, 5.0)
PERFUSION_SPACING_MM = (1.8, 1.8, 5.0)
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
    tesla=(1.5,),
    readout_s=(0.015, 0.020),
    old_infarct_chance=0.0,
    aging=AgingRanges(chance=0.0),
)
#: The same for a CT: one bleed in the brain.
CALM_CT = replace(
    CT_RANGES,
    tilt_degrees=(-3, 3),
    warp_mm=(1.0, 1.5),
    noise_hu=(1.5, 2.5),
    hardening_hu_per_mm=(0.0, 1.0),
    sharp_kernel_chance=0.0,
    motion_chance=0.0,
    metal_chance=0.0,
    view_cut_chance=0.0,
    eight_bit_chance=0.0,
    skull_stripped_chance=0.0,
    parenchymal_chance=1.0,
    ventricular_chance=0.0,
    subdural_chance=0.0,
    epidural_chance=0.0,
    subarachnoid_chance=0.0,
    parenchymal_ml=(15.0, 40.0),
    pale_blood_chance=0.0,
    old_infarct_chance=0.0,
    chronic_subdural_chance=0.0,
)
#: The same for perfusion maps: a whole brain, little noise, one core with its penumbra.
CALM_CTP = replace(
    CTP_RANGES,
    slab_chance=0.0,
    tilt_degrees=(-3, 3),
    warp_mm=(1.0, 1.5),
    no_core_chance=0.0,
    carotid_chance=0.0,
    white_matter_disease_chance=0.0,
    old_infarct_chance=0.0,
    cbf_noise=(1.0, 2.0),
    cbv_noise=(0.08, 0.15),
    tmax_noise_s=(0.1, 0.2),
    quantized_chance=0.0,
)


def demo_case(seed: int = SEED) -> SyntheticCase:
    """The demo's DWI, ADC and truth."""
    rng = np.random.default_rng(seed)
    return make_case(rng, procedural_head(rng), ranges=CALM, healthy=False, spacing_mm=SPACING_MM)


def demo_ct_case(seed: int = SEED) -> SyntheticCase:
    """The demo's CT and truth."""
    rng = np.random.default_rng(seed)
    return make_ct_case(rng, procedural_head(rng), ranges=CALM_CT, kind="hemorrhagic", spacing_mm=CT_SPACING_MM)


def demo_perfusion_case(seed: int = SEED) -> SyntheticCase:
    """The demo's maps of CT perfusion, its CT, and truth."""
    rng = np.random.default_rng(seed)
    return make_ctp_case(rng, procedural_head(rng), ranges=CALM_CTP, healthy=False, spacing_mm=PERFUSION_SPACING_MM)


@dataclass(frozen=True)
class Example:
    """One of the demo's scans.

    Attributes:
        make: The images and their truth.
        model: What reads them.
        label: Of what is compared with the truth.
        what: What people call that.
        folder: In the demo's folder; empty for that folder itself.
    """

    make: Callable[[], SyntheticCase]
    model: str
    label: int
    what: str
    folder: str


EXAMPLES = (
    Example(demo_case, MODEL, 1, "infarct", ""),
    Example(demo_ct_case, "three-projection", 2, "hemorrhage", "ct"),
    # Penumbra is a rule's, beside the core.
    Example(demo_perfusion_case, "ct-perfusion", 1, "core", "ct-perfusion"),
)


def run_demo(out: Path, progress: Progress) -> list[str]:
    """Writes the images, their truth and the results beside each other; returns what to tell.

    An earlier demo in the same folder is replaced.

    Raises:
        InputError: ``out`` cannot be written.
    """
    check_target(out, force=True)
    lines = [line for example in EXAMPLES for line in _shown(example, out / example.folder, progress)]
    *most, last = (str(out / example.folder / "overlay.png") for example in EXAMPLES)
    return [*lines, f"Look at {', '.join(most)} and {last}; numbers are in measurements.json beside them."]


def _shown(example: Example, out: Path, progress: Progress) -> list[str]:
    from StrokeSegLib.segmentation import segment  # the heads alone are made without the packages that this needs

    progress("make", 0, 1)
    case = example.make()
    progress("make", 1, 1)
    result = segment(case.images, example.model, "cpu", progress)
    progress("write", 0, 1)
    result.write(out, force=True)
    for name, volume in {**case.images, "truth": case.truth}.items():
        write_image(volume, out / f"{name}.nii.gz")
    progress("write", 1, 1)
    lesion = case.truth.array == example.label
    truth_ml = float(np.count_nonzero(lesion)) * case.truth.voxel_volume_ml
    found = [each for each in result.measurements["lesions"] if each["label"] == example.label]
    found_ml = sum(each["volume_ml"] for each in found)
    agreement = dice(result.labels.array == example.label, lesion)
    sides = ", ".join(f"{each['volume_ml']:.1f} mL {each['side']}" for each in found[:3])
    images = " and ".join(", ".join(role.upper() for role in case.images).rsplit(", ", 1))
    return [
        f"{images} of a generated head with {truth_ml:.1f} mL of {example.what}: model {example.model} found "
        f"{found_ml:.1f} mL in {len(found)} lesion(s): {sides or 'none'}.",
        f"Agreement with the known truth (Dice, on a generated image): {agreement:.2f}.",
    ]

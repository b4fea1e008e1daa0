"""``strokeseg demo``: a generated head with a known stroke through the bundled model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.io import write_image
from StrokeSegLib.metrics import dice
from StrokeSegLib.result_folder import check_target
from StrokeSegLib.synth.diffusion import SyntheticCase, make_case
from StrokeSegLib.synth.mri_ranges import DIFFUSION
from StrokeSegLib.synth.procedural import procedural_head

MODEL = "mri"
#: The head and stroke of the demo; any number would do, this one has a middle-sized infarct.
SEED = 43
SPACING_MM = (1.4, 1.4, 4.0)
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


def demo_case(seed: int = SEED) -> SyntheticCase:
    """The demo's DWI, ADC and truth."""
    rng = np.random.default_rng(seed)
    return make_case(rng, procedural_head(rng), ranges=CALM, healthy=False, spacing_mm=SPACING_MM)


def run_demo(out: Path, progress: Progress) -> list[str]:
    """Writes the images (dwi, adc, truth) and the results beside each other; returns what to tell.

    An earlier demo in the same folder is replaced.

    Raises:
        InputError: ``out`` cannot be written.
    """
    from StrokeSegLib.segmentation import segment  # the head alone is made without the packages that this needs

    check_target(out, force=True)
    progress("make", 0, 1)
    case = demo_case()
    progress("make", 1, 1)
    result = segment(case.images, MODEL, "cpu", progress)
    progress("write", 0, 1)
    result.write(out, force=True)
    for name, volume in {**case.images, "truth": case.truth}.items():
        write_image(volume, out / f"{name}.nii.gz")
    progress("write", 1, 1)
    truth_ml = float(np.count_nonzero(case.truth.array)) * case.truth.voxel_volume_ml
    found = result.measurements
    agreement = dice(result.labels.array > 0, case.truth.array > 0)
    sides = ", ".join(f"{lesion['volume_ml']:.1f} mL {lesion['side']}" for lesion in found["lesions"][:3])
    return [
        f"A generated head holds {truth_ml:.1f} mL of infarct; the model found {found['total_volume_ml']:.1f} mL in "
        f"{len(found['lesions'])} lesion(s): {sides or 'none'}.",
        f"Agreement with the known truth (Dice, on a generated image): {agreement:.2f}.",
        f"Look at {out / 'overlay.png'}; numbers are in {out / 'measurements.json'}.",
    ]

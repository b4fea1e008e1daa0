"""DWI, ADC, FLAIR, T1 and T2 of one head with a stroke of known age: one signal model, so that all agree.

Each tissue has one density, T1, T2 and ADC (``mri_tissues.py``); a lesion changes them by its stage; the sequences
follow. The diffusion pair is distorted and banded as EPI is; the others (``mri_structural.py``) have slices, noise and
shading of their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth import distractors
from StrokeSegLib.synth.aging import aged
from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.ct_anatomy import Landmarks, landmarks
from StrokeSegLib.synth.diffusion import (
    SyntheticCase,
    acquire,
    draw_spacing,
    lesion_occupancy,
    soft_involvement,
    stripping_mask,
    sub_samples,
)
from StrokeSegLib.synth.epi import draw_shift, movement
from StrokeSegLib.synth.fields import Float, blur_mm, smooth_field, stretch
from StrokeSegLib.synth.lesions import LesionLibrary
from StrokeSegLib.synth.mri_sequences import MRI_RANGES, STAGES, MriRanges
from StrokeSegLib.synth.mri_structural import STRUCTURAL, Scene, structural_image
from StrokeSegLib.synth.mri_tissues import averaged, draw_tables, mixed, reference_signal
from StrokeSegLib.synth.mri_white_matter import white_matter_disease
from StrokeSegLib.synth.placement import ScanGrid, place
from StrokeSegLib.volume import Volume

#: What one um2/ms is in the units that scanners and tools store.
ADC_UNITS = {"um2/ms": 1.0, "mm2/s": 1e-3, "um2/s": 1e3}


def make_mri_case(
    rng: np.random.Generator,
    head: Head,
    library: LesionLibrary | None = None,
    *,
    ranges: MriRanges = MRI_RANGES,
    healthy: bool | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
    own_grids: bool = False,
    adc_unit: str = "um2/ms",
) -> SyntheticCase:
    """One examination of a head, with at most one stage of stroke.

    Args:
        library: Real lesion shapes; procedural ones when None.
        healthy: No stroke when True, one for sure when False; drawn when None.
        spacing_mm: The diffusion images' voxel size ``(i, j, k)``; drawn when None.
        own_grids: FLAIR, T1 and T2 on grids of their own when True; resampled to the diffusion images' when False.
        adc_unit: A name of ``ADC_UNITS``.

    Returns:
        Images ``dwi``, ``adc``, ``flair``, ``t1``, ``t2``. Truth, on the first image's grid, is 1 where the
        stroke can be seen on at least one of them; ``visible_on`` tells on which.
    """
    diffusion = ranges.diffusion
    marks = landmarks(
        head
    )  # of the young head: they are kept from case to case, and the old one's lie in the same place
    head = aged(rng, head, ranges.diffusion.aging)
    grid = place(
        rng,
        head,
        spacing_mm if spacing_mm is not None else draw_spacing(rng, diffusion),
        tilt_degrees=rng.uniform(*diffusion.tilt_degrees),
        scale=rng.uniform(*diffusion.scale),
        warp_mm=rng.uniform(*diffusion.warp_mm),
    )
    stage = str(rng.choice(list(STAGES), p=ranges.stage_chances))
    protocol, tables, parameters = draw_tables(rng, stage, ranges)
    positions = sub_samples(rng, grid)
    mean = averaged(head, positions, tables, ("b0", "dwi", *STRUCTURAL))
    parenchyma, white = mean["parenchyma"], mean["white"]
    if healthy is None:
        healthy = rng.random() < diffusion.healthy_chance
    occupancy = np.zeros(grid.shape, np.float32)
    if not healthy:
        occupancy = lesion_occupancy(rng, head, library, grid, positions, parenchyma, diffusion)
    weights = _state_weights(rng, occupancy, parenchyma, white, grid, marks, parameters, ranges)

    stripped = bool(rng.random() < diffusion.skull_stripped_chance)
    reference = {role: reference_signal(mean[f"normal {role}"], white) for role in ("dwi", *STRUCTURAL)}
    noise = {role: float(rng.uniform(*ranges.noise)) * reference[role] for role in STRUCTURAL}
    noise["dwi"] = float(rng.uniform(*diffusion.noise)) * reference["dwi"]
    visible = _visible(mean, weights, reference, noise, protocol.b, ranges)

    gain = distractors.coil_shading(rng, grid, diffusion)
    bleeds = _microbleeds(rng, parenchyma, grid, ranges)
    move = movement(draw_shift(rng, head, grid, diffusion), mean["normal b0"] > 0)
    pair = [mixed(mean, role, weights) for role in ("b0", "dwi")]
    for role in ("dwi", "adc"):  # what is seen there lies where EPI put it; the others are as the head is
        visible[role] = move.of_mask(visible[role], pair[1])
    truth = np.logical_or.reduce(list(visible.values()))
    brain = move.of_mask(mean["brain"] > 0.5, mean["normal b0"]).astype(np.float32)
    b0, signal = (move.of(image * gain * bleeds) for image in pair)
    _, dwi, adc = acquire(rng, b0, signal, grid, protocol.b, noise["dwi"], diffusion)
    keep = stripping_mask(rng, brain, grid) if stripped else np.ones(grid.shape, bool)
    images = {
        "dwi": _volume(dwi * keep * _scale(rng, reference["dwi"]), grid),
        "adc": _volume(adc * keep * ADC_UNITS[adc_unit], grid),
    }
    scene = Scene(head, grid, tables, weights)
    if stripped:
        keep = stripping_mask(rng, mean["brain"], grid)
    for role in STRUCTURAL:
        own, one = structural_image(rng, role, scene, noise[role], own_grids, ranges)
        mask = stretch(keep.astype(np.float32), one.shape) > 0.5
        images[role] = _volume(one * mask * _scale(rng, reference[role]), own)
    seen = _volume(truth.astype(np.uint8), grid)
    parameters["stage"] = float(list(STAGES).index(stage))
    parameters["b_s_per_mm2"] = protocol.b * 1000
    parameters["adc_unit_factor"] = ADC_UNITS[adc_unit]
    return SyntheticCase(images, seen, parameters, visible)


def _state_weights(
    rng: np.random.Generator,
    occupancy: Float,
    parenchyma: Float,
    white: Float,
    grid: ScanGrid,
    marks: Landmarks,
    parameters: dict[str, float],
    ranges: MriRanges,
) -> dict[str, Float]:
    """How far each voxel is infarcted, a cavity, gliotic (white-matter disease) or a perivascular space; 0..1."""
    infarct = soft_involvement(rng, occupancy, grid, ranges.diffusion)
    zero = np.zeros(grid.shape, np.float32)
    cavity = zero
    if parameters["cavity"] and occupancy.any():
        cavity = np.clip((blur_mm(occupancy, grid.spacing_mm, 6.0) - 0.55) * 4, 0, 1) * infarct
    gliosis, fluid = zero, zero
    if rng.random() < ranges.white_matter_disease_chance:
        gliosis = white_matter_disease(rng, white, grid, marks)
    if rng.random() < ranges.perivascular_chance:
        field = smooth_field(rng, grid.shape, grid.spacing_mm, 3.0)
        fluid = np.clip((field - rng.uniform(2.8, 3.4)) * 1.5, 0, 0.7) * (parenchyma > 0.95)
    rest = 1 - infarct
    result = {"infarct": infarct - cavity, "cavity": cavity, "gliosis": gliosis * rest, "fluid": fluid * rest}
    return {name: np.asarray(weight, np.float32) for name, weight in result.items()}


def _visible(
    mean: dict[str, Float],
    weights: dict[str, Float],
    reference: dict[str, float],
    noise: dict[str, float],
    b: float,
    ranges: MriRanges,
) -> dict[str, NDArray[np.bool_]]:
    """Where the stroke differs enough from the same place without it, for each role."""
    stroke = {name: weights[name] for name in ("infarct", "cavity")}
    infarcted = weights["infarct"] + weights["cavity"]
    inside = (infarcted > ranges.diffusion.label_involvement) & (mean["parenchyma"] > 0.5)
    result: dict[str, NDArray[np.bool_]] = {}
    for role in ("dwi", *STRUCTURAL):
        change = mixed(mean, role, stroke) - mean[f"normal {role}"]
        # An old infarct's darkness on DWI is no sign of its own: only what is bright there counts.
        size = change if role == "dwi" else np.abs(change)
        limit = max(ranges.visible_contrast * reference[role], ranges.visible_noise_sd * noise[role])
        result[role] = inside & (size > limit)
    adc = [
        np.log(np.maximum(b0, 1e-6) / np.maximum(dwi, 1e-6)) / b
        for b0, dwi in (
            (mean["normal b0"], mean["normal dwi"]),
            (mixed(mean, "b0", stroke), mixed(mean, "dwi", stroke)),
        )
    ]
    result["adc"] = inside & (np.abs(adc[1] - adc[0]) > ranges.visible_adc)
    return {role: result[role] for role in ("dwi", "adc", *STRUCTURAL)}


def _microbleeds(rng: np.random.Generator, parenchyma: Float, grid: ScanGrid, ranges: MriRanges) -> Float:
    """Factor on EPI signals: black dots of a few mm."""
    factor = np.ones(grid.shape, np.float32)
    if rng.random() >= ranges.microbleed_chance:
        return factor
    places = np.argwhere(parenchyma > 0.95)
    for _ in range(int(rng.integers(1, 10)) if len(places) else 0):
        k, j, i = places[rng.integers(len(places))]
        box = (slice(k, k + 1), slice(max(0, j - 4), j + 5), slice(max(0, i - 4), i + 5))
        center = grid.head_mm[:, k, j, i][:, None, None, None]
        distance = np.sqrt(((grid.head_mm[(slice(None), *box)] - center) ** 2).sum(axis=0))
        factor[box] *= 1 - 0.9 * np.clip(rng.uniform(1.5, 3.5) - distance + 0.5, 0, 1)
    return factor


def _scale(rng: np.random.Generator, reference: float) -> np.float32:
    """Arbitrary units: white matter somewhere from 50 to 3000."""
    return np.float32(np.exp(rng.uniform(np.log(50), np.log(3000))) / reference)


def _volume(array: NDArray[np.generic], grid: ScanGrid) -> Volume:
    data = array if array.dtype == np.uint8 else array.astype(np.float32)
    return Volume(data, grid.spacing_mm, grid.origin, grid.direction)

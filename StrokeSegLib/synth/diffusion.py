"""DWI and ADC of a head with a known acute infarct: one signal model, so that both agree.

``S(b) = PD * exp(-TE / T2) * exp(-b * ADC)`` per tissue, averaged over sub-samples of each voxel; Rician noise on b0
and DWI; the ADC map is computed from the noisy pair, as a scanner does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth import distractors
from StrokeSegLib.synth.aging import aged
from StrokeSegLib.synth.anatomy import BRAIN, PARENCHYMA, Head, Tissue
from StrokeSegLib.synth.compute import compute
from StrokeSegLib.synth.epi import draw_shift, movement
from StrokeSegLib.synth.fields import Float, blur_mm, gaussian, smooth_field
from StrokeSegLib.synth.lesion_shapes import grown, mask_from_library, shower
from StrokeSegLib.synth.lesions import LesionLibrary
from StrokeSegLib.synth.mri_ranges import DIFFUSION, TISSUE_MR, DiffusionRanges, Range
from StrokeSegLib.synth.placement import ScanGrid, place
from StrokeSegLib.volume import Volume


@dataclass(frozen=True, eq=False)
class SyntheticCase:
    """Images of one head and the truth about them, all on one grid.

    Attributes:
        images: Volume a role; ``dwi`` in arbitrary units, ``adc`` in um2/ms (1e-3 mm2/s).
        truth: uint8, 1 where an acute infarct lies that can be seen.
        parameters: What was drawn, by name.
        visible_on: Where the lesion can be seen on each role's image, bool, on the truth's grid; None where one truth
            serves all roles. The truth of a case with only some of its images is the union of theirs.
    """

    images: dict[str, Volume]
    truth: Volume
    parameters: dict[str, float]
    visible_on: dict[str, NDArray[np.bool_]] | None = None


@dataclass(frozen=True, eq=False)
class _Tissues:
    """Per-voxel averages over sub-samples: normal signals, the signals if infarcted, and fractions 0..1."""

    b0: Float
    dwi: Float
    b0_infarct: Float
    dwi_infarct: Float
    parenchyma: Float
    white: Float
    gray: Float
    brain: Float


def make_case(
    rng: np.random.Generator,
    head: Head,
    library: LesionLibrary | None = None,
    *,
    ranges: DiffusionRanges = DIFFUSION,
    healthy: bool | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
) -> SyntheticCase:
    """One scan of a head.

    Args:
        library: Real lesion shapes; procedural ones when None.
        healthy: No acute lesion when True, one for sure when False; drawn when None.
        spacing_mm: The scan's voxel size ``(i, j, k)``; drawn when None.
    """
    draw = _drawer(rng)
    head = aged(rng, head, ranges.aging)
    if spacing_mm is None:
        spacing_mm = draw_spacing(rng, ranges)
    grid = place(
        rng,
        head,
        spacing_mm,
        tilt_degrees=draw(ranges.tilt_degrees),
        scale=draw(ranges.scale),
        warp_mm=draw(ranges.warp_mm),
    )
    parameters = {
        "b_s_per_mm2": draw(ranges.b_s_per_mm2),
        "te_ms": draw(ranges.te_ms),
        "lesion_adc": draw(ranges.lesion_adc),
        "lesion_dwi_ratio": draw(ranges.lesion_dwi_ratio),
        "white_matter_involvement": draw(ranges.white_matter_involvement),
        "noise": draw(ranges.noise),
    }
    b_ms_per_um2 = parameters["b_s_per_mm2"] / 1000.0
    positions = sub_samples(rng, grid)
    tissues = _average_tissues(rng, head, positions, parameters, ranges)

    if healthy is None:
        healthy = rng.random() < ranges.healthy_chance
    occupancy = np.zeros(grid.shape, np.float32)
    if not healthy:
        occupancy = lesion_occupancy(rng, head, library, grid, positions, tissues.parenchyma, ranges)
    involvement = soft_involvement(rng, occupancy, grid, ranges)

    b0, dwi = distractors.normal_variation(rng, tissues.b0, tissues.dwi, tissues.white, tissues.gray, grid, ranges)
    b0, dwi = distractors.other_disease(rng, b0, dwi, tissues.parenchyma, tissues.white, grid, b_ms_per_um2, ranges)
    normal_dwi = dwi
    # Infarcted signal carries the same local variation as the normal one.
    dwi = dwi + involvement * (tissues.dwi_infarct - tissues.dwi) * _ratio(dwi, tissues.dwi)
    b0 = b0 + involvement * (tissues.b0_infarct - tissues.b0) * _ratio(b0, tissues.b0)
    reference = float(np.median(tissues.dwi[tissues.white > 0.8])) if (tissues.white > 0.8).any() else 0.1
    noise = parameters["noise"] * reference
    seen = dwi - normal_dwi > np.maximum(ranges.visible_contrast * normal_dwi, ranges.visible_noise_sd * noise)
    truth = (involvement > ranges.label_involvement) & (tissues.parenchyma > 0.5) & seen

    gain = distractors.coil_shading(rng, grid, ranges)
    move = movement(draw_shift(rng, head, grid, ranges), tissues.b0 > 0)
    truth = move.of_mask(truth, dwi)
    b0, dwi = move.of(b0 * gain), move.of(dwi * gain)
    b0, dwi, adc = acquire(rng, b0, dwi, grid, b_ms_per_um2, noise, ranges)
    if rng.random() < ranges.skull_stripped_chance:
        keep = stripping_mask(rng, move.of_mask(tissues.brain > 0.5, tissues.b0).astype(np.float32), grid)
        dwi, adc = dwi * keep, adc * keep
    dwi = dwi * np.float32(np.exp(rng.uniform(np.log(50), np.log(3000))) / max(reference, 1e-6))

    def volume(array: NDArray[np.generic]) -> Volume:
        return Volume(array, grid.spacing_mm, grid.origin, grid.direction)

    images = {"dwi": volume(dwi.astype(np.float32)), "adc": volume(adc.astype(np.float32))}
    return SyntheticCase(images, volume(truth.astype(np.uint8)), parameters)


def _drawer(rng: np.random.Generator) -> Callable[[Range], float]:
    """Draws uniformly from a range."""
    return lambda bounds: float(rng.uniform(*bounds))


def draw_spacing(rng: np.random.Generator, ranges: DiffusionRanges) -> tuple[float, float, float]:
    if rng.random() < ranges.isotropic_2mm_chance:
        side = float(rng.uniform(1.8, 2.2))
        return (side, side, side)
    side = float(rng.uniform(*ranges.in_plane_mm))
    return (side, side, float(rng.uniform(*ranges.slice_mm)))


def sub_samples(rng: np.random.Generator, grid: ScanGrid, count: int | None = None) -> list[NDArray[np.float32]]:
    """Positions (mm in the head) of ``count`` points spread over each voxel; slice gaps and warp included.

    None: 3 points in thin slices, 5 in thick ones.
    """
    if count is None:
        count = 3 if grid.spacing_mm[2] < 3.5 else 5
    steps = [np.diff(grid.head_mm, axis=axis).mean(axis=(1, 2, 3), keepdims=True) for axis in (3, 2, 1)]
    result = []
    for n in range(count):
        offset = [rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), (n + 0.5) / count - 0.5]
        shift = sum(o * s for o, s in zip(offset, steps, strict=True))
        result.append((grid.head_mm + shift).astype(np.float32))
    return result


def _average_tissues(
    rng: np.random.Generator,
    head: Head,
    positions: list[NDArray[np.float32]],
    parameters: dict[str, float],
    ranges: DiffusionRanges,
) -> _Tissues:
    b, te = parameters["b_s_per_mm2"] / 1000.0, parameters["te_ms"]
    size = len(Tissue)
    b0, dwi, b0_infarct, dwi_infarct = (np.zeros(size, np.float32) for _ in range(4))
    # One person's tissues lie high or low together: drawn apart, a brainstem may outshine every infarct.
    common = rng.uniform(0.2, 0.8, 3)
    for tissue, bounds in TISSUE_MR.items():
        part = common + rng.uniform(-0.2, 0.2, 3)
        density, t2_ms, tissue_adc = (low + p * (high - low) for p, (low, high) in zip(part, bounds, strict=True))
        b0[tissue] = density * np.exp(-te / t2_ms)
        dwi[tissue] = b0[tissue] * np.exp(-b * tissue_adc)
        b0_infarct[tissue], dwi_infarct[tissue] = b0[tissue], dwi[tissue]
        if tissue in PARENCHYMA:
            white = tissue in (Tissue.WHITE_MATTER, Tissue.CEREBELLUM_WHITE, Tissue.BRAINSTEM)
            depth = parameters["white_matter_involvement"] if white else 1.0
            ratio = 1 + (parameters["lesion_dwi_ratio"] - 1) * depth
            # The T2 gain follows from the drawn DWI ratio and ADC, not the other way round.
            infarct_adc = (
                tissue_adc + (min(parameters["lesion_adc"], ranges.lesion_adc_drop * tissue_adc) - tissue_adc) * depth
            )
            dwi_infarct[tissue] = dwi[tissue] * ratio
            b0_infarct[tissue] = dwi_infarct[tissue] * np.exp(b * infarct_adc)
    flags = [np.isin(np.arange(size), group).astype(np.float32) for group in (PARENCHYMA, _WHITE, _GRAY, BRAIN)]
    tables = [b0, dwi, b0_infarct, dwi_infarct, *flags]
    sums = compute().table_sums(head.tissue, positions, head.spacing_mm, np.stack(tables))
    return _Tissues(*[total / len(positions) for total in sums])


_WHITE = (Tissue.WHITE_MATTER, Tissue.CEREBELLUM_WHITE, Tissue.BRAINSTEM)
_GRAY = (Tissue.CORTEX, Tissue.DEEP_GRAY, Tissue.CEREBELLUM_GRAY)


def lesion_occupancy(
    rng: np.random.Generator,
    head: Head,
    library: LesionLibrary | None,
    grid: ScanGrid,
    positions: list[NDArray[np.float32]],
    parenchyma: Float,
    ranges: DiffusionRanges,
) -> Float:
    """Occupancy 0..1 of one to several lesions."""
    with_shower = rng.random() < ranges.shower_chance
    occupancy = np.zeros(grid.shape, np.float32)
    if not with_shower or rng.random() < 0.4:
        for _ in range(1 + int(rng.random() < 0.25)):
            if library is not None and head.to_template is not None and rng.random() < 0.85:
                one = mask_from_library(rng, head, library, positions)
            else:
                one = grown(rng, grid, parenchyma)
            occupancy = np.maximum(occupancy, one)
    if with_shower:
        occupancy = np.maximum(occupancy, shower(rng, grid, parenchyma, ranges))
    return occupancy


def soft_involvement(rng: np.random.Generator, occupancy: Float, grid: ScanGrid, ranges: DiffusionRanges) -> Float:
    """How far each voxel is infarcted, 0..1: occupancy with a soft border and an uneven inside."""
    if not occupancy.any():
        return occupancy
    edge = float(rng.uniform(*ranges.lesion_edge_mm))
    # Blur in mm would smear thick slices into nothing: the border softens within the plane.
    sigma = [0.0, edge / 2.355 / grid.spacing_mm[1], edge / 2.355 / grid.spacing_mm[0]]
    soft = gaussian(occupancy, sigma)
    # Small emboli keep their strength under the blur.
    soft = np.maximum(soft, occupancy * 0.75)
    fade = (
        rng.uniform(*ranges.lesion_fade) * np.clip(smooth_field(rng, grid.shape, grid.spacing_mm, 12.0), 0, 1.6) / 1.6
    )
    result: Float = (soft * (1 - fade)).astype(np.float32)
    return result


def acquire(
    rng: np.random.Generator,
    b0: Float,
    dwi: Float,
    grid: ScanGrid,
    b_ms_per_um2: float,
    noise: float,
    ranges: DiffusionRanges,
) -> tuple[Float, Float, Float]:
    """Point spread, ghost and Rician noise; then the ADC map of the noisy pair, as scanners and tools store it."""
    sigma = rng.uniform(*ranges.psf_fwhm_voxel) / 2.355
    correlated = rng.uniform(0.4, 0.9) if rng.random() < 0.4 else 0.0  # scanner interpolation smooths the noise too
    ghost = rng.uniform(*ranges.ghost) if rng.random() < 0.4 else 0.0
    noisy = []
    for signal, averages in ((b0, 1.0), (dwi, rng.uniform(0.6, 1.0))):
        image = gaussian(signal, (0, sigma, sigma))
        if ghost:
            image = image + ghost * np.roll(image, image.shape[1] // 2, axis=1)
        grain = rng.standard_normal((2, *image.shape), dtype=np.float32)
        if correlated:
            grain = gaussian(grain, (0, 0, correlated, correlated)) * np.float32(1 + 2.2 * correlated)
        grain *= np.float32(noise * averages)
        noisy.append(np.hypot(image + grain[0], grain[1]))
    b0, dwi = noisy
    floor = np.float32(1e-3 * noise + 1e-6)
    adc = np.log(np.maximum(b0, floor) / np.maximum(dwi, floor)) / np.float32(b_ms_per_um2)
    if rng.random() < 0.6:  # background masked
        adc = np.where(b0 > rng.uniform(2, 5) * noise, adc, 0)
    if rng.random() < 0.5:
        adc = np.maximum(adc, 0)
    return b0, dwi, np.clip(adc, -1, 5)


def stripping_mask(rng: np.random.Generator, brain: Float, grid: ScanGrid) -> NDArray[np.bool_]:
    """A skull stripper's mask: the brain, closed, a little too wide or too tight."""
    level = rng.uniform(0.25, 0.7)
    mask: NDArray[np.bool_] = blur_mm(brain, grid.spacing_mm, 4.0) > level
    return mask


def _ratio(now: Float, before: Float) -> Float:
    result: Float = now / np.maximum(before, np.float32(1e-6))
    return np.clip(result, 0, 4)

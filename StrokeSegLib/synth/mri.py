"""DWI, ADC, FLAIR, T1 and T2 of one head with a stroke of known age: one signal model, so that all agree.

Each tissue has one density, T1, T2 and ADC (``mri_sequences.py``); a lesion changes them by its stage; the sequences
follow. The diffusion pair is distorted and banded as EPI is; the others have slices, noise and shading of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.synth import distractors
from StrokeSegLib.synth.anatomy import BRAIN, PARENCHYMA, Head, Tissue
from StrokeSegLib.synth.diffusion import (
    SyntheticCase,
    acquire,
    draw_spacing,
    lesion_occupancy,
    soft_involvement,
    stripping_mask,
    sub_samples,
)
from StrokeSegLib.synth.fields import Float, blur_mm, smooth_field, stretch
from StrokeSegLib.synth.lesions import LesionLibrary
from StrokeSegLib.synth.mri_ranges import TISSUE_MR
from StrokeSegLib.synth.mri_sequences import (
    MRI_RANGES,
    STAGES,
    TISSUE_T1_MS,
    MriRanges,
    Protocol,
    nulling_ti_ms,
    signals,
)
from StrokeSegLib.synth.placement import ScanGrid, lookup, place
from StrokeSegLib.volume import Volume

#: What one um2/ms is in the units that scanners and tools store.
ADC_UNITS = {"um2/ms": 1.0, "mm2/s": 1e-3, "um2/s": 1e3}
STRUCTURAL = ("flair", "t1", "t2")
#: Kinds of tissue state: each is a set of tables, and each has a map of how far a voxel is in it.
STATES = ("normal", "infarct", "cavity", "gliosis", "fluid")


@dataclass(frozen=True, eq=False)
class _Tables:
    """Signals by state, sequence and tissue number; and the tissues' flags."""

    signal: dict[tuple[str, str], Float]
    flags: dict[str, Float]


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
    grid = place(
        rng,
        head,
        spacing_mm if spacing_mm is not None else draw_spacing(rng, diffusion),
        tilt_degrees=rng.uniform(*diffusion.tilt_degrees),
        scale=rng.uniform(*diffusion.scale),
        warp_mm=rng.uniform(*diffusion.warp_mm),
    )
    stage = str(rng.choice(list(STAGES), p=ranges.stage_chances))
    protocol, tables, parameters = _tables(rng, stage, ranges)
    positions = sub_samples(rng, grid)
    mean = _averaged(head, positions, tables, ("b0", "dwi", *STRUCTURAL))
    parenchyma, white = mean["parenchyma"], mean["white"]
    if healthy is None:
        healthy = rng.random() < diffusion.healthy_chance
    occupancy = np.zeros(grid.shape, np.float32)
    if not healthy:
        occupancy = lesion_occupancy(rng, head, library, grid, positions, parenchyma, diffusion)
    weights = _state_weights(rng, occupancy, parenchyma, white, grid, parameters, ranges)

    stripped = bool(rng.random() < diffusion.skull_stripped_chance)
    keep = stripping_mask(rng, mean["brain"], grid) if stripped else np.ones(grid.shape, bool)
    reference = {role: _reference(mean[f"normal {role}"], white) for role in ("dwi", *STRUCTURAL)}
    noise = {role: float(rng.uniform(*ranges.noise)) * reference[role] for role in STRUCTURAL}
    noise["dwi"] = float(rng.uniform(*diffusion.noise)) * reference["dwi"]
    visible = _visible(mean, weights, occupancy, reference, noise, protocol.b, ranges)
    truth = np.logical_or.reduce(list(visible.values()))

    gain = distractors.coil_and_rims(rng, mean["brain"], grid, head, diffusion)
    bleeds = _microbleeds(rng, parenchyma, grid, ranges)
    pair = [_mixed(mean, role, weights) * gain * bleeds for role in ("b0", "dwi")]
    _, dwi, adc = acquire(rng, pair[0], pair[1], grid, protocol.b, noise["dwi"], diffusion)
    images = {
        "dwi": _volume(dwi * keep * _scale(rng, reference["dwi"]), grid),
        "adc": _volume(adc * keep * ADC_UNITS[adc_unit], grid),
    }
    scene = _Scene(head, grid, _distortion(rng, grid, ranges), tables, weights)
    for role in STRUCTURAL:
        own, one = _structural(rng, role, scene, noise[role], own_grids, ranges)
        mask = stretch(keep.astype(np.float32), one.shape) > 0.5
        images[role] = _volume(one * mask * _scale(rng, reference[role]), own)
    seen = _volume(truth.astype(np.uint8), grid)
    parameters["stage"] = float(list(STAGES).index(stage))
    parameters["b_s_per_mm2"] = protocol.b * 1000
    parameters["adc_unit_factor"] = ADC_UNITS[adc_unit]
    return SyntheticCase(images, seen, parameters, visible)


def _tables(rng: np.random.Generator, stage: str, ranges: MriRanges) -> tuple[Protocol, _Tables, dict[str, float]]:
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
    return protocol, _Tables(signal, flags), parameters


def _averaged(
    head: Head, positions: list[NDArray[np.float32]], tables: _Tables, roles: tuple[str, ...]
) -> dict[str, Float]:
    """Means over sub-samples: ``"state role"`` and the flags. Counting tissues first makes all tables cheap."""
    shape = positions[0].shape[1:]
    columns = {f"{s} {r}": tables.signal[s, r] for s in STATES for r in roles} | tables.flags
    table = np.stack(list(columns.values()), axis=0)
    sums = np.zeros((len(columns), *shape), np.float32)
    for position in positions:
        tissue = lookup(head.tissue, position, head.spacing_mm)
        for n in range(len(columns)):
            sums[n] += np.take(table[n], tissue)
    sums /= len(positions)
    return dict(zip(columns, sums, strict=True))


def _state_weights(
    rng: np.random.Generator,
    occupancy: Float,
    parenchyma: Float,
    white: Float,
    grid: ScanGrid,
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
        field = smooth_field(rng, grid.shape, grid.spacing_mm, rng.uniform(6, 16))
        gliosis = np.clip((field - rng.uniform(1.0, 2.0)) * 3, 0, 1) * (white > 0.8)
    if rng.random() < ranges.perivascular_chance:
        field = smooth_field(rng, grid.shape, grid.spacing_mm, 3.0)
        fluid = np.clip((field - rng.uniform(2.8, 3.4)) * 1.5, 0, 0.7) * (parenchyma > 0.95)
    rest = 1 - infarct
    result = {"infarct": infarct - cavity, "cavity": cavity, "gliosis": gliosis * rest, "fluid": fluid * rest}
    return {name: np.asarray(weight, np.float32) for name, weight in result.items()}


def _mixed(mean: dict[str, Float], role: str, weights: dict[str, Float]) -> Float:
    normal = mean[f"normal {role}"]
    total = normal.copy()
    for state, weight in weights.items():
        if weight.any():
            total += weight * (mean[f"{state} {role}"] - normal)
    return total


def _visible(
    mean: dict[str, Float],
    weights: dict[str, Float],
    occupancy: Float,
    reference: dict[str, float],
    noise: dict[str, float],
    b: float,
    ranges: MriRanges,
) -> dict[str, NDArray[np.bool_]]:
    """Where the stroke differs enough from the same place without it, for each role."""
    stroke = {name: weights[name] for name in ("infarct", "cavity")}
    inside = (occupancy > 0.5) & (mean["parenchyma"] > 0.5)
    result: dict[str, NDArray[np.bool_]] = {}
    for role in ("dwi", *STRUCTURAL):
        change = _mixed(mean, role, stroke) - mean[f"normal {role}"]
        # An old infarct's darkness on DWI is no sign of its own: only what is bright there counts.
        size = change if role == "dwi" else np.abs(change)
        limit = max(ranges.visible_contrast * reference[role], ranges.visible_noise_sd * noise[role])
        result[role] = inside & (size > limit)
    adc = [
        np.log(np.maximum(b0, 1e-6) / np.maximum(dwi, 1e-6)) / b
        for b0, dwi in (
            (mean["normal b0"], mean["normal dwi"]),
            (_mixed(mean, "b0", stroke), _mixed(mean, "dwi", stroke)),
        )
    ]
    result["adc"] = inside & (np.abs(adc[1] - adc[0]) > ranges.visible_adc)
    return {role: result[role] for role in ("dwi", "adc", *STRUCTURAL)}


@dataclass(frozen=True, eq=False)
class _Scene:
    """What every sequence looks at: the head on the diffusion images' grid, its states, and EPI's distortion."""

    head: Head
    grid: ScanGrid
    shift: Float
    tables: _Tables
    weights: dict[str, Float]


def _structural(
    rng: np.random.Generator, role: str, scene: _Scene, noise: float, own_grids: bool, ranges: MriRanges
) -> tuple[ScanGrid, Float]:
    """FLAIR, T1 or T2: its own slices and in-plane grid, undistorted, with shading, flow, motion and noise."""
    grid, shift = scene.grid, scene.shift
    extent = [(n - 1) * s for n, s in zip(grid.shape, grid.spacing_mm[::-1], strict=True)]
    volume_scan = role != "flair" and rng.random() < ranges.volume_scan_chance
    slice_mm = 1.0 if volume_scan else rng.uniform(*ranges.slice_mm)
    in_plane = 1.0 if volume_scan else rng.uniform(*ranges.in_plane_mm)
    # Resampled images are linear between the scan's slices; in the plane they are sampled where they will be needed.
    wanted = [slice_mm, in_plane, in_plane] if own_grids else [slice_mm, *grid.spacing_mm[1::-1]]
    if volume_scan and not own_grids:
        wanted[0] = grid.spacing_mm[2]
    size = [max(2, round(e / w) + 1) for e, w in zip(extent, wanted, strict=True)]
    shape = (size[0], size[1], size[2])
    straight = [_shifted(axis, shift) for axis in grid.head_mm]
    head_mm = np.stack([stretch(axis, shape) for axis in straight]) + rng.normal(0, 0.4, (3, 1, 1, 1))
    spacing = [e / (n - 1) for e, n in zip(extent, shape, strict=True)]
    own = replace(
        grid, shape=shape, spacing_mm=(spacing[2], spacing[1], spacing[0]), head_mm=head_mm.astype(np.float32)
    )
    thickness = slice_mm / own.spacing_mm[2]
    mean = _averaged(scene.head, _slab(rng, own, thickness, in_plane), scene.tables, (role,))
    states = {name: stretch(_shifted(w, shift), shape) for name, w in scene.weights.items()}
    image = _mixed(mean, role, states)
    if role == "flair" and rng.random() < ranges.flow_chance:
        low = np.linspace(1, 0, shape[0], dtype=np.float32)[:, None, None]
        flow = low * np.clip(smooth_field(rng, shape, own.spacing_mm, 12.0) - rng.uniform(0.8, 1.6), 0, 1)
        image = image + flow * mean["csf"] * np.float32(0.8 * _reference(mean["normal flair"], mean["white"]))
    image = image * np.exp(rng.uniform(*ranges.bias) * smooth_field(rng, shape, own.spacing_mm, rng.uniform(60, 150)))
    image = ndimage.gaussian_filter(image, (0, 0.35, 0.35))
    if rng.random() < ranges.motion_chance:
        image = image + rng.uniform(0.01, 0.06) * np.roll(image, int(rng.integers(3, 12)), axis=1)
    grain = rng.standard_normal((2, *shape), dtype=np.float32) * np.float32(noise)
    image = np.hypot(image + grain[0], grain[1])
    if own_grids:
        return own, image
    return grid, stretch(image, grid.shape)


def _slab(rng: np.random.Generator, grid: ScanGrid, thickness: float, in_plane_mm: float) -> list[NDArray[np.float32]]:
    """Sub-samples over ``thickness`` (in slice distances) and a scan's own in-plane voxel."""
    count = 3 if thickness * grid.spacing_mm[2] > 2 else 2
    steps = [np.diff(grid.head_mm, axis=axis).mean(axis=(1, 2, 3), keepdims=True) for axis in (3, 2, 1)]
    factors = [in_plane_mm / grid.spacing_mm[0], in_plane_mm / grid.spacing_mm[1], thickness]
    result = []
    for n in range(count):
        offset = [rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), (n + 0.5) / count - 0.5]
        move = sum(o * f * s for o, f, s in zip(offset, factors, steps, strict=True))
        result.append((grid.head_mm + move).astype(np.float32))
    return result


def _distortion(rng: np.random.Generator, grid: ScanGrid, ranges: MriRanges) -> Float:
    """Voxels along ``j`` by which the diffusion images are off the others: most near the base."""
    field = smooth_field(rng, grid.shape, grid.spacing_mm, 40.0)
    low = np.linspace(1.3, 0.3, grid.shape[0], dtype=np.float32)[:, None, None]
    return np.asarray(field * low * np.float32(rng.uniform(*ranges.distortion_mm) / 2 / grid.spacing_mm[1]), np.float32)


def _shifted(array: Float, shift: Float) -> Float:
    """``array`` taken ``shift`` voxels further along ``j``, linear; the edge repeats."""
    rows = array.shape[1]
    at = np.clip(np.arange(rows, dtype=np.float32)[None, :, None] + shift, 0, rows - 1)
    low = np.minimum(at.astype(np.intp), rows - 2)
    part = at - low
    result: Float = np.take_along_axis(array, low, 1) * (1 - part) + np.take_along_axis(array, low + 1, 1) * part
    return result


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


def _reference(image: Float, white: Float) -> float:
    """White matter's signal."""
    return max(float(np.median(image[white > 0.8])) if (white > 0.8).any() else float(image.max()), 1e-6)


def _scale(rng: np.random.Generator, reference: float) -> np.float32:
    """Arbitrary units: white matter somewhere from 50 to 3000."""
    return np.float32(np.exp(rng.uniform(np.log(50), np.log(3000))) / reference)


def _volume(array: NDArray[np.generic], grid: ScanGrid) -> Volume:
    data = array if array.dtype == np.uint8 else array.astype(np.float32)
    return Volume(data, grid.spacing_mm, grid.origin, grid.direction)

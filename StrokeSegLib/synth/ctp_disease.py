"""Disease in perfusion: acute core and penumbra, and what must not be taken for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.ctp_ranges import CTPRanges
from StrokeSegLib.synth.ctp_tissues import Scan, Tissues
from StrokeSegLib.synth.fields import Float, fractal_field, gaussian, stretch
from StrokeSegLib.synth.lesion_shapes import grown, mask_from_library
from StrokeSegLib.synth.lesions import LesionLibrary
from StrokeSegLib.synth.placement import ScanGrid

#: Tissue with a longer delay may be saved by reperfusion: the penumbra of the clinical trials.
PENUMBRA_TMAX_S = 6.0
#: CBF, CBV, Tmax, HU.
Maps = tuple[Float, Float, Float, Float]


def normal_delay(scan: Scan) -> Float:
    """Tmax of tissue without acute disease; late in one hemisphere or both when carotids are narrow."""
    rng, ranges, parts = scan.rng, scan.ranges, scan.parts
    uneven = rng.uniform(0.1, 0.4) * scan.field(rng.uniform(15, 40))
    tmax = scan.draw(ranges.tmax_gray_s) + scan.draw(ranges.tmax_white_more_s) * parts.white + uneven
    delay = scan.draw(ranges.carotid_delay_s) if rng.random() < ranges.carotid_chance else 0.0
    if delay:
        side = float(rng.choice([-1.0, 0.0, 1.0], p=[0.42, 0.16, 0.42]))
        reach = 1.0 if side == 0 else _one_side(scan.grid, parts, side)
        tmax = tmax + np.float32(delay) * reach * (1 - parts.hindbrain) * (1 + 0.12 * scan.field(25.0))
    scan.parameters["carotid_delay_s"] = delay
    return np.clip(tmax, 0, ranges.other_tmax_limit_s).astype(np.float32)


def _midline_mm(grid: ScanGrid, parts: Tissues) -> float:
    """Where in the head (x, mm) the brain's middle lies."""
    inside = parts.brain > 0.5
    return float(grid.head_mm[0][inside].mean()) if inside.any() else 0.0


def _one_side(grid: ScanGrid, parts: Tissues, side: float) -> Float:
    """1 on one side of the brain, 0 on the other, over a few mm."""
    ramp: Float = 0.5 + side * (grid.head_mm[0] - np.float32(_midline_mm(grid, parts))) / np.float32(10.0)
    return np.clip(ramp, 0, 1)


def white_matter_disease(scan: Scan, maps: Maps) -> Maps:
    """Leukoaraiosis: patches of low flow and volume in white matter on both sides, a little late, dark on CT."""
    rng = scan.rng
    if rng.random() >= scan.ranges.white_matter_disease_chance:
        return maps
    cbf, cbv, tmax, ct_hu = maps
    field = scan.field(rng.uniform(10, 22))
    field = (field + field[:, :, ::-1]) * np.float32(0.7)
    patch = np.clip((field - rng.uniform(0.4, 1.4)) * 2.5, 0, 1) * (scan.parts.white > 0.7)
    cbf = cbf * (1 - patch * rng.uniform(0.25, 0.55))
    cbv = cbv * (1 - patch * rng.uniform(0.10, 0.35))
    tmax = np.minimum(tmax + patch * rng.uniform(0.3, 2.0), scan.ranges.other_tmax_limit_s)
    return cbf, cbv, tmax, ct_hu - patch * rng.uniform(2, 9)


def old_infarct(scan: Scan, maps: Maps) -> tuple[NDArray[np.bool_], Maps]:
    """A scar: next to no flow and volume, yet not late (Tmax under 6 s), near CSF on CT."""
    rng = scan.rng
    if rng.random() >= scan.ranges.old_infarct_chance:
        return np.zeros(scan.grid.shape, bool), maps
    cbf, cbv, tmax, ct_hu = maps
    old = grown(rng, scan.grid, scan.parts.parenchyma)
    cbf, cbv = cbf * (1 - old * rng.uniform(0.6, 0.9)), cbv * (1 - old * rng.uniform(0.5, 0.85))
    tmax = tmax + old * (rng.uniform(0.5, 5.0) - tmax)
    return old > 0.5, (cbf, cbv, tmax, ct_hu + old * (np.minimum(rng.uniform(7, 20), ct_hu) - ct_hu))


def acute(scan: Scan, head: Head, library: LesionLibrary | None, maps: Maps) -> tuple[NDArray[np.bool_], Maps]:
    """Core, penumbra and the oligemia around them."""
    rng, ranges, grid, draw = scan.rng, scan.ranges, scan.grid, scan.draw
    seed = _core_shape(scan, head, library)
    core = seed > 0.5
    if not core.any():
        return core, maps
    depth = np.where(
        core, np.float32(0), _depth(rng, grid, scan.parts, core, _hypoperfused_ml(rng, core, grid, ranges))
    )
    edge = draw(ranges.core_edge_mm) / 2.355
    soft = gaussian(seed, (0, edge / grid.spacing_mm[1], edge / grid.spacing_mm[0]), truncate=2.5)
    soft = np.maximum(soft, 0.75 * seed)  # what is smaller than the blur keeps its strength
    if rng.random() < ranges.no_core_chance:
        core, soft = np.zeros_like(core), np.zeros_like(soft)
    # Across the penumbra `inner` falls from 1 to 0; beyond its border `outer` does.
    inner, outer = np.clip(1 - depth, 0, 1), np.exp(-np.maximum(depth - 1, 0) / draw(ranges.oligemia_width))
    flow = _profile(inner, outer, draw(ranges.penumbra_cbf_inner), draw(ranges.penumbra_cbf_outer))
    volume = _profile(inner, outer, draw(ranges.penumbra_cbv_inner), draw(ranges.penumbra_cbv_outer))
    cbf, cbv, tmax, ct_hu = maps
    peak = draw(ranges.penumbra_peak_s)
    late = PENUMBRA_TMAX_S + (peak - PENUMBRA_TMAX_S) * inner ** np.float32(rng.uniform(0.5, 1.2))
    tmax = np.maximum(tmax, tmax + outer * (late - tmax))
    uneven = 1 + 0.15 * np.clip(scan.field(10.0), -1.5, 1.5)
    core_flow, core_volume, drop = draw(ranges.core_cbf), draw(ranges.core_cbv), draw(ranges.core_hu_drop)
    flow = flow + soft * (np.minimum(core_flow * uneven, 0.3) - flow)
    volume = volume + soft * (core_volume * uneven - volume)
    ct_hu = ct_hu - scan.parts.parenchyma * np.float32(drop) * (soft + 0.2 * inner * outer * (1 - soft))
    scan.parameters.update(core_cbf=core_flow, core_cbv=core_volume, peak_s=peak, core_hu_drop=drop)
    return core, (cbf * flow, cbv * volume, tmax, ct_hu)


def _profile(inner: Float, outer: Float, next_to_core: float, at_border: float) -> Float:
    """Part of the normal value: drawn next to the core and at the penumbra's border, back to 1 beyond."""
    result: Float = 1 + outer * (at_border + inner * (next_to_core - at_border) - 1)
    return result


def _core_shape(scan: Scan, head: Head, library: LesionLibrary | None) -> Float:
    """Occupancy 0..1 of one core: a real shape that the slab meets, or a grown one on one side of the brain."""
    rng, grid, parenchyma = scan.rng, scan.grid, scan.parts.parenchyma
    if library is not None and head.to_template is not None and rng.random() < 0.85:
        voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
        for _ in range(6):
            seed = int(rng.integers(2**62))
            quick = [scan.positions[0][:, :, ::4, ::4]]  # does it lie in the slab at all?
            if mask_from_library(np.random.default_rng(seed), head, library, quick).sum() * 16 * voxel_ml > 0.3:
                whole = mask_from_library(np.random.default_rng(seed), head, library, scan.positions)
                return np.asarray(whole * (parenchyma > 0.3))
    side = float(rng.choice([-1.0, 1.0]))
    median, sigma = scan.ranges.core_ml_log
    volume_ml = float(median * np.exp(rng.normal(0, sigma))) * _covered(grid)
    return grown(rng, grid, parenchyma * (_one_side(grid, scan.parts, side) > 0.5), max(volume_ml, 0.05))


def _covered(grid: ScanGrid) -> float:
    """Part of the brain's height in the scan: a slab of a quarter shows about a quarter of a territory."""
    return min(1.0, grid.shape[0] * grid.spacing_mm[2] / 120.0)


def _hypoperfused_ml(rng: np.random.Generator, core: NDArray[np.bool_], grid: ScanGrid, ranges: CTPRanges) -> float:
    core_ml = float(core.sum() * np.prod(grid.spacing_mm)) / 1000
    ratio = float(np.exp(rng.uniform(*np.log(ranges.mismatch_ratio))))
    median, sigma = ranges.territory_ml_log
    territory = float(median * np.exp(rng.normal(0, sigma)))
    return (
        max(core_ml * ratio, territory * _covered(grid))
        if rng.random() < ranges.large_vessel_chance
        else core_ml * ratio
    )


def _depth(
    rng: np.random.Generator, grid: ScanGrid, parts: Tissues, core: NDArray[np.bool_], volume_ml: float
) -> Float:
    """Distance from the core, roughened, in parts of where the penumbra ends: 0 in the core, 1 at that border.

    It spreads within the core's own hemisphere, and on its own side of the tentorium.
    """
    step = np.array(grid.spacing_mm[::-1])
    # Found on a coarse grid: the field is smooth.
    sizes = [max(2, int(np.ceil(n * s / 3.0))) if s < 3.0 else n for n, s in zip(grid.shape, step, strict=True)]
    index = np.ix_(*[np.rint(np.linspace(0, n - 1, m)).astype(int) for n, m in zip(grid.shape, sizes, strict=True)])
    coarse_mm = step * (np.array(grid.shape) - 1) / np.maximum(np.array(sizes) - 1, 1)
    seed = core[index]
    if not seed.any():  # smaller than the coarse voxels
        middle = np.argwhere(core).mean(axis=0) / np.maximum(np.array(grid.shape) - 1, 1)
        seed[tuple(np.rint(middle * (np.array(sizes) - 1)).astype(int))] = True
    stretch_mm = coarse_mm * rng.uniform(0.75, 1.3, 3)
    distance = ndimage.distance_transform_edt(~seed, sampling=stretch_mm).astype(np.float32)
    shape = (sizes[0], sizes[1], sizes[2])
    i, j, k = (float(s) for s in coarse_mm[::-1])
    rough = fractal_field(rng, shape, (i, j, k), rng.uniform(20, 45))
    cost = distance * np.exp(rng.uniform(0.15, 0.45) * rough)
    x_mm = grid.head_mm[0][index] - _midline_mm(grid, parts)
    side = np.sign(np.median(x_mm[seed])) or 1.0
    cost += 8 * np.maximum(0, 3 - side * x_mm)  # nothing crosses the falx
    hindbrain = parts.hindbrain[index]
    cost += 60 * np.abs(hindbrain - np.float32(hindbrain[seed].mean() > 0.5))  # nor the tentorium
    inside = np.sort(cost[parts.parenchyma[index] > 0.5])
    if len(inside) == 0:
        return np.full(grid.shape, 9, np.float32)
    count = int(np.clip(volume_ml * 1000 / float(np.prod(coarse_mm)), 1, 0.42 * len(inside)))
    border = max(float(inside[count]), 2.0)
    return stretch(cost / np.float32(border), grid.shape)

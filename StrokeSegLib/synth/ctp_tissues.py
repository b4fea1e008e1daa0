"""A CT perfusion scan's grid over a head, and what each of its voxels averages over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.anatomy import BRAIN, PARENCHYMA, Head, Tissue
from StrokeSegLib.synth.compute import compute
from StrokeSegLib.synth.ctp_ranges import ARTERY, TISSUE_PERFUSION, VEIN, CTPRanges, Range
from StrokeSegLib.synth.ctp_vessels import with_vessels
from StrokeSegLib.synth.fields import Float, smooth_field
from StrokeSegLib.synth.placement import ScanGrid, place

WHITE = (Tissue.WHITE_MATTER, Tissue.CEREBELLUM_WHITE, Tissue.BRAINSTEM)
HINDBRAIN = (Tissue.CEREBELLUM_WHITE, Tissue.CEREBELLUM_GRAY, Tissue.BRAINSTEM)
_Draw = Callable[[Range], float]


@dataclass(frozen=True, eq=False)
class Tissues:
    """Averages over the sub-samples of each voxel; the last seven are parts 0..1."""

    cbf: Float
    cbv: Float
    vessel_cbf: Float
    vessel_cbv: Float
    ct_hu: Float
    parenchyma: Float
    white: Float
    hindbrain: Float
    csf: Float
    brain: Float
    artery: Float
    vein: Float


@dataclass(frozen=True, eq=False)
class Scan:
    """What the drawing of disease works on; ``positions``: where in the head each voxel's sub-samples lie, mm."""

    rng: np.random.Generator
    ranges: CTPRanges
    grid: ScanGrid
    positions: list[NDArray[np.float32]]
    parts: Tissues
    parameters: dict[str, float]

    def draw(self, bounds: Range) -> float:
        """A number within bounds."""
        return float(self.rng.uniform(*bounds))

    def field(self, scale_mm: float) -> Float:
        """A smooth random field on the scan's grid, zero mean and unit SD."""
        return smooth_field(self.rng, self.grid.shape, self.grid.spacing_mm, scale_mm)


def draw_grid(
    rng: np.random.Generator,
    head: Head,
    spacing_mm: tuple[float, float, float] | None,
    draw: _Draw,
    ranges: CTPRanges,
) -> ScanGrid:
    """The whole brain, or a slab of a few slices at or above the level of the basal ganglia."""
    slab = rng.random() < ranges.slab_chance
    if spacing_mm is None:
        side = draw(ranges.slab_in_plane_mm if slab else ranges.whole_in_plane_mm)
        spacing_mm = (side, side, draw(ranges.slab_slice_mm if slab else ranges.whole_slice_mm))
    grid = place(
        rng,
        head,
        spacing_mm,
        tilt_degrees=draw(ranges.tilt_degrees),
        scale=draw(ranges.scale),
        warp_mm=draw(ranges.warp_mm),
    )
    if not slab:
        return grid
    low, high = ranges.slab_slices
    count = min(round(float(np.exp(rng.uniform(np.log(low), np.log(high + 0.5))))), grid.shape[0])
    middle = rng.uniform(0.45, 0.72) * grid.shape[0]
    first = int(np.clip(round(middle - count / 2), 0, grid.shape[0] - count))
    origin = np.array(grid.origin) + grid.direction[:, 2] * first * spacing_mm[2]
    return ScanGrid(
        (count, grid.shape[1], grid.shape[2]),
        spacing_mm,
        grid.direction,
        (float(origin[0]), float(origin[1]), float(origin[2])),
        np.ascontiguousarray(grid.head_mm[:, first : first + count]),
    )


def average_tissues(
    rng: np.random.Generator, head: Head, positions: list[NDArray[np.float32]], draw: _Draw, ranges: CTPRanges
) -> Tissues:
    size = VEIN + 1
    cbf, cbv, ct_hu = (np.zeros(size, np.float32) for _ in range(3))
    cbf_gain, cbv_gain = draw(ranges.cbf_gain), draw(ranges.cbv_gain)
    for tissue, (flow, volume, density) in TISSUE_PERFUSION.items():
        cbf[tissue], cbv[tissue] = draw(flow) * cbf_gain, draw(volume) * cbv_gain
        ct_hu[tissue] = draw(density)
    vessel = np.isin(np.arange(size), (ARTERY, VEIN))
    groups = (PARENCHYMA, WHITE, HINDBRAIN, (Tissue.CSF,), (*BRAIN, ARTERY, VEIN), (ARTERY,), (VEIN,))
    flags = [np.isin(np.arange(size), group) for group in groups]
    tables = [cbf * ~vessel, cbv * ~vessel, cbf * vessel, cbv * vessel, ct_hu, *flags]
    painted = with_vessels(rng, head)
    sums = compute().table_sums(painted, positions, head.spacing_mm, np.stack(tables).astype(np.float32))
    return Tissues(*[total / len(positions) for total in sums])

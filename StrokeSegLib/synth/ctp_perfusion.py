"""The perfusion of one head with known core and penumbra, before any scanner: what maps and series are made of.

Flow (CBF), volume (CBV) and delay (Tmax) are drawn per tissue and changed by disease; MTT follows as 60 * CBV / CBF.
Around the core a depth ``u`` grows from 0 at its border to 1 at the penumbra's border and on: flow rises with it and
delay falls, through exactly 6 s at ``u`` = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.ctp_disease import PENUMBRA_TMAX_S, acute, normal_delay, old_infarct, white_matter_disease
from StrokeSegLib.synth.ctp_ranges import CTPRanges, Range
from StrokeSegLib.synth.ctp_tissues import Scan, average_tissues, draw_grid
from StrokeSegLib.synth.diffusion import sub_samples
from StrokeSegLib.synth.fields import Float
from StrokeSegLib.synth.lesions import LesionLibrary
from StrokeSegLib.synth.placement import ScanGrid

#: Values of the truth.
CORE, PENUMBRA = 1, 3


@dataclass(frozen=True, eq=False)
class Perfusion:
    """Truth on a scan's grid; arrays float32 ``(K, J, I)`` unless said otherwise.

    Attributes:
        grid: The scan's grid.
        cbf, cbv, tmax: Of the tissue alone (large vessels are not in them): mL/100 g/min, mL/100 g, s.
        vessel_cbf, vessel_cbv: What large vessels add to a voxel's CBF and CBV.
        artery, vein: Part of the voxel in a large artery or vein, 0..1.
        ct_hu: Density without contrast agent and noise.
        parenchyma, csf, brain: Parts of the voxel, 0..1.
        labels: uint8, 1 core, 3 penumbra.
        parameters: What was drawn, by name.
    """

    grid: ScanGrid
    cbf: Float
    cbv: Float
    tmax: Float
    vessel_cbf: Float
    vessel_cbv: Float
    artery: Float
    vein: Float
    ct_hu: Float
    parenchyma: Float
    csf: Float
    brain: Float
    labels: NDArray[np.uint8]
    parameters: dict[str, float]

    @property
    def mtt(self) -> Float:
        """Mean transit time of the tissue, s: 60 * CBV / CBF; 0 where nothing flows."""
        return transit_time(self.cbv, self.cbf)


def transit_time(cbv: Float, cbf: Float) -> Float:
    """MTT in s by the central volume theorem: ``60 * cbv / cbf``; 0 where CBF is 0."""
    result: Float = np.where(cbf > 0, 60 * cbv / np.maximum(cbf, np.float32(1e-6)), np.float32(0))
    return result


def draw_perfusion(
    rng: np.random.Generator,
    head: Head,
    library: LesionLibrary | None,
    *,
    ranges: CTPRanges,
    healthy: bool | None,
    spacing_mm: tuple[float, float, float] | None,
) -> Perfusion:
    """One head's perfusion; arguments as of ``ctp.make_ctp_case``."""

    def draw(bounds: Range) -> float:
        return float(rng.uniform(*bounds))

    grid = draw_grid(rng, head, spacing_mm, draw, ranges)
    positions = sub_samples(rng, grid, 3 if grid.spacing_mm[2] < 6 else 4)
    parts = average_tissues(rng, head, positions, draw, ranges)
    if healthy is None:
        healthy = bool(rng.random() < ranges.healthy_chance)
    parameters = {"healthy": float(healthy), "slices": float(grid.shape[0])}
    scan = Scan(rng, ranges, grid, positions, parts, parameters)

    texture = np.exp(draw(ranges.texture) * scan.field(rng.uniform(8, 30)))
    tmax = normal_delay(scan)
    maps = white_matter_disease(scan, (parts.cbf * texture, parts.cbv * texture ** np.float32(0.7), tmax, parts.ct_hu))
    core = np.zeros(grid.shape, bool)
    if not healthy:
        core, maps = acute(scan, head, library, maps)
    old, (cbf, cbv, tmax, ct_hu) = old_infarct(scan, maps)

    inside = (parts.parenchyma > 0.5) & ~old
    labels = np.zeros(grid.shape, np.uint8)
    labels[inside & (tmax > PENUMBRA_TMAX_S)] = PENUMBRA
    labels[inside & core] = CORE
    return Perfusion(
        grid=grid,
        cbf=cbf.astype(np.float32),
        cbv=cbv.astype(np.float32),
        tmax=tmax.astype(np.float32),
        vessel_cbf=parts.vessel_cbf,
        vessel_cbv=parts.vessel_cbv,
        artery=parts.artery,
        vein=parts.vein,
        ct_hu=ct_hu.astype(np.float32),
        parenchyma=parts.parenchyma,
        csf=parts.csf,
        brain=parts.brain,
        labels=labels,
        parameters=parameters,
    )

"""Age: sulci and ventricles widen at the cost of the tissue beside them, the cortex keeping its thickness."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.anatomy import Head, Tissue

Range = tuple[float, float]


@dataclass(frozen=True)
class AgingRanges:
    """Uniform ranges (low, high); lengths in mm."""

    #: Part of the heads that age at all; the others stay as young as their label map.
    chance: float = 0.6
    #: How far a sulcus' walls draw back on each side.
    sulcus_mm: Range = (0.0, 1.4)
    #: How far the lateral and third ventricles' walls draw back.
    ventricle_mm: Range = (0.0, 4.0)
    #: One region of the brain against another: factor on the first.
    uneven: Range = (0.4, 1.6)


AGING = AgingRanges()
#: Regions that age unevenly are about this wide, mm.
REGION_MM = 40.0


def aged(rng: np.random.Generator, head: Head, ranges: AgingRanges = AGING) -> Head:
    """The head some decades later, or as it is.

    Voxels change one layer after the other, each with the chance that makes the layers' mean thickness what was drawn:
    averaged over a scan's voxels that is a wall drawn back by a part of a voxel.

    Returns:
        A head of the same shape; CSF only grows, and only into brain.
    """
    if ranges.chance <= 0 or rng.random() >= ranges.chance:
        return head
    sulcus, ventricle = (rng.uniform(*each) / head.spacing_mm for each in (ranges.sulcus_mm, ranges.ventricle_mm))
    tissue = head.tissue.copy()
    uneven = rng.uniform(*ranges.uneven, [max(1, round(n * head.spacing_mm / REGION_MM)) for n in tissue.shape])
    for layer in range(int(np.ceil(sulcus))):
        part = min(1.0, sulcus - layer)
        _grow(rng, tissue, Tissue.CSF, (Tissue.CORTEX, Tissue.CEREBELLUM_GRAY), part, uneven)
        _grow(rng, tissue, Tissue.CORTEX, (Tissue.WHITE_MATTER,), part, uneven)
    for layer in range(int(np.ceil(ventricle))):
        # White matter touches no fluid but the ventricles'.
        _grow(rng, tissue, Tissue.CSF, (Tissue.WHITE_MATTER,), min(1.0, ventricle - layer), None)
    return replace(head, tissue=tissue)


def _grow(
    rng: np.random.Generator,
    tissue: NDArray[np.uint8],
    grows: Tissue,
    into: tuple[Tissue, ...],
    chance: float,
    uneven: NDArray[np.float64] | None,
) -> None:
    """One layer of a tissue grows into others that share a face with it, in place."""
    source = tissue == grows
    beside = np.zeros_like(source)
    for axis in range(3):
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        beside[tuple(low)] |= source[tuple(high)]
        beside[tuple(high)] |= source[tuple(low)]
    taken = np.zeros(256, bool)
    taken[list(into)] = True
    where = np.flatnonzero(beside & taken[tissue])
    chances = np.full(where.size, chance)
    if uneven is not None:
        regions = [
            index * size // full
            for index, size, full in zip(np.unravel_index(where, tissue.shape), uneven.shape, tissue.shape, strict=True)
        ]
        chances = chances * uneven[tuple(regions)]
    tissue.ravel()[where[rng.random(where.size) < chances]] = grows

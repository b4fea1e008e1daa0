"""Generated scans of real size, the same ones each time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from StrokeSegLib.preprocess.geometry import Grid, resample
from StrokeSegLib.preprocess.intensity import looks_like_ct
from StrokeSegLib.synth.procedural import procedural_head
from StrokeSegLib.synth.sources import find_maker
from StrokeSegLib.training.pool import MODALITY
from StrokeSegLib.volume import Volume

#: Around the head, Hounsfield units.
AIR_HU = -1000.0


@dataclass(frozen=True)
class ScanSize:
    """Voxels and their size along (i, j, k)."""

    size_ijk: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]


THIN_CT = ScanSize((512, 512, 200), (0.45, 0.45, 0.8))
#: As clinics acquire them: a thin-slice CT, a diffusion scan, a slab of perfusion maps.
REAL_SIZES = {
    "noncontrast-ct": THIN_CT,
    "three-projection": THIN_CT,
    "mri": ScanSize((192, 192, 60), (1.2, 1.2, 2.5)),
    "ct-perfusion": ScanSize((256, 256, 24), (0.85, 0.85, 5.0)),
}


def make_scan(system: str, roles: Sequence[str], scan_size: ScanSize) -> dict[str, Volume]:
    """A generated head with a lesion, by role, on a grid of the size that is asked for, in the scan's own place."""
    images = _whole_head(system)
    first = next(iter(images.values()))
    middle = first.ijk_to_lps(np.array([(np.array(first.size_ijk) - 1) / 2]))[0]
    half = (np.array(scan_size.size_ijk) - 1) / 2 * np.array(scan_size.spacing_mm)
    x, y, z = (float(v) for v in middle - half)
    grid = Grid(scan_size.size_ijk, scan_size.spacing_mm, (x, y, z), np.eye(3))
    result = {}
    for role in roles:
        if role in images:
            on_grid = resample(images[role], grid, outside=AIR_HU if role == "ct" else 0)
            # Scanners store whole numbers; CT and diffusion scans compress accordingly.
            whole = role in ("ct", "dwi", "adc", "flair", "t1", "t2")
            result[role] = on_grid.with_array(on_grid.array.round().astype(np.int16)) if whole else on_grid
    return result


def _whole_head(system: str) -> Mapping[str, Volume]:
    """The first generated case with air around the head: some have no skull, as public data sets come."""
    head, make = procedural_head(np.random.default_rng(0)), find_maker(MODALITY[system])
    for number in itertools.count():
        images = make(np.random.default_rng([1, number]), head, None, False).images
        if MODALITY[system] != "ct" or looks_like_ct(images["ct"].array):
            return images
    raise AssertionError("the numbers do not end")

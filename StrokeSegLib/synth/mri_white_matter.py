"""White-matter disease of small vessels on MRI: what is bright on FLAIR and T2 in old people and is no infarct.

It has its places (Fazekas et al., AJR 149, 1987): caps and bands along the ventricles, alike on both sides; patches of
the deep white matter that run together; and points of some mm, anywhere in it. An infarct is told from it by its place
and shape, so here it keeps to them.
"""

from __future__ import annotations

import numpy as np

from StrokeSegLib.synth.ct_anatomy import Landmarks, sample
from StrokeSegLib.synth.fields import Float, blur_mm, smooth_field
from StrokeSegLib.synth.placement import ScanGrid

#: The deep white matter lies about this far around the ventricles, mm.
DEEP_MM = 45.0


def white_matter_disease(rng: np.random.Generator, white: Float, grid: ScanGrid, marks: Landmarks) -> Float:
    """How diseased each voxel is, 0-1; from a thin band along the ventricles to all of the deep white matter.

    Args:
        white: White matter's part of each voxel.
        marks: Of the head on this grid.
    """
    ventricle = sample(marks.ventricle, marks.step_mm, grid.head_mm)
    field = smooth_field(rng, grid.shape, grid.spacing_mm, rng.uniform(6, 16))
    both_sides = (field + field[:, :, ::-1]) * np.float32(0.7)
    caps = np.clip(blur_mm(ventricle, grid.spacing_mm, rng.uniform(6, 26)) * 8 - rng.uniform(0.2, 1.5), 0, 1)
    caps *= np.clip(0.8 + 0.4 * both_sides, 0.2, 1)
    deep = np.clip(blur_mm(ventricle, grid.spacing_mm, DEEP_MM) * 10, 0, 1)
    patches = deep * np.clip((both_sides - rng.uniform(0.2, 2.2)) * 3, 0, 1)
    fine = smooth_field(rng, grid.shape, grid.spacing_mm, rng.uniform(3, 5))
    points = np.clip((fine - rng.uniform(2.6, 3.4)) * 2, 0, 1)
    return np.asarray(np.maximum(np.maximum(caps, patches), points) * np.clip(white * 4 - 2.6, 0, 1), np.float32)

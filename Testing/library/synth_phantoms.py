"""Heads so simple that they are the same on any machine."""

from __future__ import annotations

import numpy as np

from StrokeSegLib.synth.anatomy import Head, Tissue


def ball_head() -> Head:
    """Nested balls by whole-number arithmetic, the same on any machine: scalp, bone, CSF, cortex, white matter."""
    size = 44
    axis = np.arange(size) * 2 - (size - 1)
    distance = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2
    tissue = np.zeros((size,) * 3, np.uint8)
    for radius, kind in (
        (42, Tissue.SCALP),
        (40, Tissue.BONE),
        (36, Tissue.CSF),
        (34, Tissue.CORTEX),
        (28, Tissue.WHITE_MATTER),
        (8, Tissue.CSF),
    ):
        tissue[distance <= radius**2] = kind
    return Head(tissue, 4.0)

"""Coarse CT heads for tests that train: an ellipsoid of brain in bone, with a dark or a bright ball in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from StrokeSegLib.case_table import Case
from StrokeSegLib.io import write_image
from StrokeSegLib.volume import Volume

SHAPE_KJI, SPACING_MM = (24, 32, 32), (6.0, 6.0, 6.0)
AIR_HU, BONE_HU, BRAIN_HU, NOISE_HU = -1000.0, 1000.0, 35.0, 2.0
#: Label -> HU of the ball: an infarct, blood.
BALL_HU = {0: BRAIN_HU, 1: 18.0, 2: 65.0}


def ct_cases(folder: Path, labels: list[int]) -> list[Case]:
    """One patient a label; 0 is a healthy one. Images are written to the folder."""
    cases = []
    for number, label in enumerate(labels):
        rng = np.random.default_rng(number)
        k, j, i = np.indices(SHAPE_KJI) - (np.array(SHAPE_KJI).reshape(3, 1, 1, 1) - 1) / 2
        radius = np.sqrt((k / 11) ** 2 + (j / 14) ** 2 + (i / 12) ** 2)
        center = rng.uniform(-4, 4, 3)
        ball = np.sqrt((k - center[0]) ** 2 + (j - center[1]) ** 2 + (i - center[2]) ** 2) < 3.5
        hu = np.where(radius < 1, BONE_HU, AIR_HU)
        hu[radius < 0.85] = BRAIN_HU
        hu[ball] = BALL_HU[label]
        hu = (hu + rng.normal(0, NOISE_HU, SHAPE_KJI)).astype(np.float32)
        truth = (ball * label).astype(np.uint8)
        paths = [folder / f"{name}-{number}.nii.gz" for name in ("ct", "lesion")]
        for path, array in zip(paths, (hu, truth), strict=True):
            write_image(Volume(array, SPACING_MM), path)
        cases.append(Case(f"case-{number}", f"patient-{number}", {"ct": paths[0]}, paths[1]))
    return cases

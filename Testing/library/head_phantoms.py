"""Coarse heads for tests that train: an ellipsoid of brain with a ball of lesion in it, as each system reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.case_table import Case
from StrokeSegLib.io import write_image
from StrokeSegLib.volume import Volume

SHAPE_KJI, SPACING_MM = (24, 32, 32), (6.0, 6.0, 6.0)
AIR_HU, BONE_HU, BRAIN_HU, NOISE_HU = -1000.0, 1000.0, 35.0, 2.0
#: Label -> HU of the ball: an infarct, blood.
BALL_HU = {0: BRAIN_HU, 1: 18.0, 2: 65.0}
#: Role -> value of air, healthy brain and core.
DIFFUSION = {"dwi": (0.0, 300.0, 700.0), "adc": (0.0, 800.0, 400.0), "flair": (0.0, 200.0, 350.0)}
PERFUSION = {
    "ct": (AIR_HU, BRAIN_HU, 28.0),
    "cbf": (0.0, 50.0, 8.0),
    "cbv": (0.0, 4.0, 1.0),
    "mtt": (0.0, 5.0, 14.0),
    "tmax": (0.0, 1.0, 10.0),
}
Array: TypeAlias = NDArray[Any]
#: (label, radius, ball, random numbers) -> image by role.
Painter: TypeAlias = Callable[[int, Array, Array, np.random.Generator], Mapping[str, Array]]


def ct_cases(folder: Path, labels: list[int], spacing_mm: tuple[float, float, float] = SPACING_MM) -> list[Case]:
    """One patient a label; 0 is a healthy one. Images are written to the folder."""
    return _cases(folder, labels, _ct, spacing_mm)


def mri_cases(folder: Path, labels: list[int]) -> list[Case]:
    """As ``ct_cases``, with DWI, ADC and FLAIR."""
    return _cases(folder, labels, lambda *of: _plain(DIFFUSION, *of))


def ctp_cases(folder: Path, labels: list[int]) -> list[Case]:
    """As ``ct_cases``, with CT and the four perfusion maps."""
    return _cases(folder, labels, lambda *of: _plain(PERFUSION, *of))


def _ct(label: int, radius: Array, ball: Array, rng: np.random.Generator) -> Mapping[str, Array]:
    hu = np.where(radius < 1, BONE_HU, AIR_HU)
    hu[radius < 0.85] = BRAIN_HU
    hu[ball] = BALL_HU[label]
    return {"ct": hu + rng.normal(0, NOISE_HU, SHAPE_KJI)}


def _plain(
    values: Mapping[str, tuple[float, float, float]], label: int, radius: Array, ball: Array, rng: np.random.Generator
) -> Mapping[str, Array]:
    """Air, brain and core, with noise of a fiftieth within the head."""
    images = {}
    for role, (air, brain, core) in values.items():
        image = np.where(radius < 0.85, brain, air)
        image[ball] = core if label else brain
        if role == "ct":
            image[(radius >= 0.85) & (radius < 1)] = BONE_HU
        images[role] = image + (radius < 0.85) * rng.normal(0, brain / 50, SHAPE_KJI)
    return images


def _cases(
    folder: Path, labels: list[int], paint: Painter, spacing_mm: tuple[float, float, float] = SPACING_MM
) -> list[Case]:
    cases = []
    for number, label in enumerate(labels):
        rng = np.random.default_rng(number)
        k, j, i = np.indices(SHAPE_KJI) - (np.array(SHAPE_KJI).reshape(3, 1, 1, 1) - 1) / 2
        radius = np.sqrt((k / 11) ** 2 + (j / 14) ** 2 + (i / 12) ** 2)
        center = rng.uniform(-4, 4, 3)
        ball = np.sqrt((k - center[0]) ** 2 + (j - center[1]) ** 2 + (i - center[2]) ** 2) < 3.5
        arrays = {**paint(label, radius, ball, rng), "lesion": (ball * label).astype(np.uint8)}
        paths = {role: folder / f"{role}-{number}.nii.gz" for role in arrays}
        for role, array in arrays.items():
            write_image(Volume(array if role == "lesion" else array.astype(np.float32), spacing_mm), paths[role])
        lesion = paths.pop("lesion")
        cases.append(Case(f"case-{number}", f"patient-{number}", paths, lesion))
    return cases

"""A head out of formulas: brain, ventricles, sulci, gray and white matter, skull, scalp, eyes; needs no data.

Places and sizes follow common atlas anatomy, in mm of the MNI space: origin at the anterior commissure, here with x to
the left, y to the front, z up. Both sides are drawn from ``|x|``; a smooth warp makes them differ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.anatomy import Head, Tissue
from StrokeSegLib.synth.fields import Float, smooth_field
from StrokeSegLib.synth.procedural_brain import Points, fill_brain
from StrokeSegLib.synth.shapes import ellipsoid_depth, sigmoid

#: Voxel size of a procedural head, mm.
SPACING_MM = 1.25
SPACING_3_MM = (SPACING_MM, SPACING_MM, SPACING_MM)
#: The box, mm (left-right, front-back, bottom-top), and the anterior commissure in it.
BOX_MM = (176.0, 216.0, 190.0)
ORIGIN_MM = (88.0, 90.0, 100.0)


def procedural_head(rng: np.random.Generator) -> Head:
    """One head, different for each state of ``rng``; axes along LPS, front (anterior) at small ``j``."""
    size = rng.uniform(0.90, 1.0) * rng.uniform(0.97, 1.03, 3)
    age = rng.uniform(0, 1)  # wider ventricles and sulci
    x, y, z = _atlas_points(rng, size)
    tissue = np.zeros(x.shape, np.uint8)
    wobble = smooth_field(rng, (x.shape[0], x.shape[1], x.shape[2]), SPACING_3_MM, 22.0)
    skull = _inner_skull_depth(np.abs(x), y, z)
    _outer_head(tissue, skull, (np.abs(x), y, z), wobble)
    inside = skull > 0
    points = Points(*[axis[inside] for axis in (x, y, z, skull, wobble)])
    tissue[inside] = fill_brain(rng, points, age)
    return Head(tissue, SPACING_MM)


def _atlas_points(rng: np.random.Generator, size: NDArray[np.float64]) -> tuple[Float, Float, Float]:
    """x, y, z: where each voxel lies in the atlas: scaled, and bent by about 2 mm over 45 mm."""
    shape = (int(BOX_MM[2] / SPACING_MM), int(BOX_MM[1] / SPACING_MM), int(BOX_MM[0] / SPACING_MM))
    k, j, i = np.meshgrid(*[np.arange(n, dtype=np.float32) * SPACING_MM for n in shape], indexing="ij", sparse=True)
    ideal = ((i - ORIGIN_MM[0]) / size[0], (ORIGIN_MM[1] - j) / size[1], (k - ORIGIN_MM[2]) / size[2])
    x, y, z = (axis.astype(np.float32) + 1.6 * smooth_field(rng, shape, SPACING_3_MM, 45.0) for axis in ideal)
    return x, y, z


def _inner_skull_depth(x: Float, y: Float, z: Float) -> Float:
    """Depth (mm, roughly) under the inner table of the skull; positive where brain and CSF lie."""
    p = np.float32(2.3)
    radius = (x / 70) ** p + (np.abs(y + 17) / 90) ** p + (np.abs(z - 10) / 70) ** p
    vault = 66 * (1 - radius ** (1 / p))
    # The skull base from front to back: orbital roofs, middle fossae beside the sella, clivus, posterior fossa.
    front = -21 + 5 * np.exp(-(((x - 28) / 12) ** 2)) - 6 * np.exp(-((x / 9) ** 2))
    central = sigmoid((17 - x) / 2.5)
    middle = central * (-19) + (1 - central) * (-43 + 0.010 * (x - 40) ** 2 + 0.03 * np.maximum(y, 0) ** 2)
    back = np.minimum(-66 + 0.010 * x**2 + 0.008 * (y + 55) ** 2, -24)
    clivus = -17 + 1.75 * np.minimum(y + 8, 0)
    behind = -y - (16 + 0.75 * np.maximum(x - 16, 0))  # behind the petrous ridge
    posterior = np.maximum(back, clivus)
    ridge = 13 * np.exp(-((behind / 5) ** 2)) * sigmoid((x - 20) / 3)
    floor = middle + sigmoid(behind / 2) * (posterior - middle) + ridge
    floor = floor + sigmoid((y - 19) / 2.5) * (front - floor)
    return np.asarray(np.minimum(vault, z - floor), np.float32)


def _outer_head(tissue: NDArray[np.uint8], skull: Float, at: tuple[Float, Float, Float], wobble: Float) -> None:
    """Skin and fat, muscle, bone with marrow, air cells and sinuses, eyes around the inner skull."""
    x, y, z = at
    face = ellipsoid_depth(x, y - 40, z + 62, (60, 52, 62))
    neck = ellipsoid_depth(x, y + 42, z / 2 + 50, (56, 52, 40))
    soft = np.maximum(face, neck)
    tissue[soft > 0] = Tissue.SCALP
    tissue[soft > 5] = Tissue.MUSCLE
    tissue[(skull > -12.5) & (soft < 5)] = Tissue.SCALP
    bone = 6.5 + 1.2 * wobble
    tissue[skull > -bone] = Tissue.BONE
    tissue[(skull > 2.2 - bone) & (skull < -2.0)] = Tissue.MARROW
    nose = (ellipsoid_depth(x, y - 52, z + 52, (17, 38, 20)) > 0) & (skull < -3)
    tissue[nose] = Tissue.AIR
    tissue[nose & (np.abs(((x + 2.5 * wobble) % 9) - 4.5) < 1.6)] = Tissue.MUCOSA
    # Sphenoid and frontal sinus, and the mastoid's many small cells.
    tissue[(ellipsoid_depth(x, y - 12, z + 28, (13, 15, 9)) > 0) & (skull < -1.5)] = Tissue.AIR
    tissue[(ellipsoid_depth(x, y - 72, z + 8, (16, 9, 11)) > 0) & (skull < -2) & (skull > -9)] = Tissue.AIR
    mastoid = (ellipsoid_depth(x - 52, y + 38, z + 42, (14, 18, 15)) > 0) & (skull < -1)
    tissue[mastoid] = Tissue.BONE
    tissue[mastoid & (np.sin(1.1 * x + wobble) + np.sin(1.2 * y) + np.sin(1.05 * z + wobble) > 0.2)] = Tissue.AIR
    tissue[ellipsoid_depth(x - 32, y - 58, z + 34, (12, 12, 12)) > 0] = Tissue.EYE

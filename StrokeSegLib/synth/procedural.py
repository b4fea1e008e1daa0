"""A head out of formulas: brain, ventricles, sulci, gray and white matter, skull, scalp, eyes; needs no data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.synth.anatomy import Head, Tissue
from StrokeSegLib.synth.fields import Float, smooth_field

#: Voxel size of a procedural head, mm.
SPACING_MM = 1.25
#: The box, mm (left-right, front-back, bottom-top), and the brain's center in it.
BOX_MM = (176.0, 216.0, 190.0)
BRAIN_CENTER_MM = (88.0, 106.0, 108.0)


def procedural_head(rng: np.random.Generator) -> Head:
    """One head, different for each state of ``rng``; axes along LPS, front (anterior) at small ``j``."""
    shape = _box_shape()
    z, y, x = np.meshgrid(*[np.arange(n, dtype=np.float32) * SPACING_MM for n in shape], indexing="ij", sparse=True)
    x, y, z = x - BRAIN_CENTER_MM[0], y - BRAIN_CENTER_MM[1], z - BRAIN_CENTER_MM[2]
    size = rng.uniform(0.94, 1.06)
    age = rng.uniform(0, 1)  # wider ventricles and sulci
    spacing = (SPACING_MM, SPACING_MM, SPACING_MM)
    wobble = 1.5 * _rounded(smooth_field(rng, shape, spacing, 40.0), 9.0)
    tissue = np.zeros(shape, np.uint8)

    # Depth under the surface of the brain's hull, mm; positive inside. The skull base steps down from front to back.
    hull = _depth(x, y + 4, z, (68 * size, 84 * size, 68 * size)) + wobble
    floor = 37 + 9 * np.tanh((y + 32) / 8) + 9 * np.tanh((y - 12) / 8)
    hull = np.minimum(hull, z + floor + wobble)
    _outer_head(tissue, hull, x, y, z)

    folds = _fold_distance(rng)
    sulcus = 0.9 + 1.6 * age
    cortex = rng.uniform(2.4, 3.2)
    # Sulci run up to 22 mm deep; the ribbon follows both them and the surface.
    depth_limit = 20 + 4 * _rounded(smooth_field(rng, shape, spacing, 25.0), 6.0)
    to_sulcus = np.where(hull < depth_limit, folds, 99.0)
    fissure = np.abs(x + 1.5 * wobble / 3) - (0.8 + 0.8 * age)
    fissure = np.where((z > -6) | (np.abs(y + 4) > 42), fissure, 99.0)  # the hemispheres join in the middle
    to_csf = np.minimum(np.minimum(hull - (1.5 + 1.5 * age), to_sulcus - sulcus), fissure)
    # The tentorium: behind and below it lies the cerebellum.
    cerebrum = (hull > 0) & ~((z < -14 - 0.12 * np.abs(x)) & (y > 14))
    tissue[cerebrum] = Tissue.WHITE_MATTER
    tissue[cerebrum & (to_csf < cortex)] = Tissue.CORTEX
    tissue[(hull > 0) & (to_csf < 0)] = Tissue.CSF
    tissue[(hull > 0) & ~cerebrum] = Tissue.CSF

    _deep_gray(tissue, x, y, z, wobble)
    _ventricles(tissue, x, y, z, 0.75 + 0.6 * age, wobble)
    _hindbrain(tissue, hull, x, y, z, wobble)
    return Head(tissue, SPACING_MM)


def _box_shape() -> tuple[int, int, int]:
    i, j, k = (int(side / SPACING_MM) for side in BOX_MM)
    return (k, j, i)


def _depth(x: Float, y: Float, z: Float, radii: tuple[float, float, float]) -> Float:
    """Approximate distance (mm) to the surface of an ellipsoid at the origin, positive inside."""
    r = np.sqrt((x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2)
    return np.asarray((1 - r) * min(radii), np.float32)


def _outer_head(tissue: NDArray[np.uint8], hull: Float, x: Float, y: Float, z: Float) -> None:
    """Skin and fat, muscle, bone with marrow, air sinus, eyes around the brain's hull."""
    face = _depth(x, y + 42, z + 62, (60, 58, 66))
    neck = _depth(x, y - 14, (z + 100) / 2, (56, 54, 40))
    soft = np.maximum(face, neck)
    tissue[soft > 0] = Tissue.SCALP
    tissue[soft > 5] = Tissue.MUSCLE
    tissue[(hull > -13) & (soft < 5)] = Tissue.SCALP
    tissue[hull > -7.5] = Tissue.BONE
    tissue[(hull > -5.5) & (hull < -3)] = Tissue.MARROW
    tissue[hull > -1.5] = Tissue.CSF
    tissue[(_depth(x, y + 62, z + 58, (15, 34, 20)) > 0) & (hull < -4)] = Tissue.AIR  # nose and sinuses
    tissue[(_depth(x, y + 66, z + 62, (7, 30, 18)) > 0) & (hull < -4)] = Tissue.MUCOSA
    for side in (-1, 1):
        tissue[_depth(x - side * 32, y + 84, z + 32, (12, 12, 12)) > 0] = Tissue.EYE
        tissue[(_depth(x - side * 52, y - 12, z + 46, (9, 14, 8)) > 0) & (hull < -1)] = Tissue.AIR  # mastoid cells


def _rounded(field: Float, sigma_mm: float) -> Float:
    """A field without the corners of its linear interpolation, of unit spread again."""
    smooth = ndimage.gaussian_filter(field, sigma_mm / SPACING_MM, mode="nearest", truncate=2.5)
    return np.asarray(smooth / smooth.std(), np.float32)


def _fold_distance(rng: np.random.Generator) -> Float:
    """Distance (mm, roughly) to the nearest sheet of a folded surface: the zero level of a smooth field."""
    field = smooth_field(rng, _box_shape(), (SPACING_MM, SPACING_MM, SPACING_MM), rng.uniform(12, 15))
    field = _rounded(field, 3.5)
    slope = np.sqrt(sum(g.astype(np.float32) ** 2 for g in np.gradient(field, SPACING_MM)))
    return np.asarray(np.abs(field) / np.maximum(slope, 0.03), np.float32)


def _deep_gray(tissue: NDArray[np.uint8], x: Float, y: Float, z: Float, wobble: Float) -> None:
    for side in (-1, 1):
        parts = (
            (Tissue.DEEP_GRAY, (11, 8, 2), (8.5, 14, 9)),  # thalamus
            (Tissue.DEEP_GRAY, (15, -22, 6), (6, 10, 11)),  # caudate head
            (Tissue.DEEP_GRAY, (27, -8, 0), (6.5, 16, 11)),  # putamen
            (Tissue.PALLIDUM, (20, -6, -1), (4.5, 9, 7)),
            (Tissue.DEEP_GRAY, (26, 16, -22), (6, 16, 6)),  # hippocampus
        )
        for kind, (cx, cy, cz), radii in parts:
            inside = _depth(x - side * cx, y - cy, z - cz, radii) + wobble / 2 > 0
            tissue[inside & (tissue != 0)] = kind


def _ventricles(tissue: NDArray[np.uint8], x: Float, y: Float, z: Float, width: float, wobble: Float) -> None:
    for side in (-1, 1):
        bend = 6 + 0.004 * y**2  # the bodies part towards front and back
        body = _depth(x - side * bend, y - 2, z - 16 + 0.006 * y**2, (5.5 * width, 40, 7 * width))
        horn = _depth(x - side * (24 + 0.05 * (z + 2)), y - 32 - 0.3 * (z - 6), z - 2, (5 * width, 9, 17))
        temporal = _depth(x - side * 31, y - 8, z + 18, (3 * width, 20, 3.5 * width))
        inside = np.maximum(np.maximum(body, horn), temporal) + wobble / 3 > 0
        tissue[inside & (tissue != 0)] = Tissue.CSF
        plexus = _depth(x - side * 23, y - 34, z - 4, (2.2, 4, 5)) > 0
        tissue[plexus & inside] = Tissue.CHOROID_PLEXUS
    tissue[_depth(x, y - 4, z + 2, (2.5 * width, 14, 10)) > 0] = Tissue.CSF  # third ventricle


def _hindbrain(tissue: NDArray[np.uint8], hull: Float, x: Float, y: Float, z: Float, wobble: Float) -> None:
    """Cerebellum with folia, brainstem, fourth ventricle, below the tentorium."""
    cerebellum = np.minimum(_depth(x, y - 38, z + 38, (56, 36, 26)), hull - 2) + wobble / 2
    folia = np.abs(((z + 0.25 * y + 2 * wobble) % 7.0) - 3.5)
    free = tissue == Tissue.CSF
    tissue[(cerebellum > 0) & free] = Tissue.CEREBELLUM_GRAY
    tissue[(cerebellum > 7) & free & (folia > 1.2)] = Tissue.CEREBELLUM_WHITE
    stem = 1 - np.sqrt((x / 15) ** 2 + ((y - 8 - 0.12 * (z + 20)) / 13) ** 2)
    stem = np.where((z < -6) & (z > -92), stem, -1.0)
    thin = np.abs(x) < 15 - np.clip(-(z + 50), 0, 8)  # medulla
    tissue[(stem > -0.35) & (z < -16) & (tissue != Tissue.CEREBELLUM_GRAY)] = Tissue.CSF
    tissue[(stem > 0) & thin] = Tissue.BRAINSTEM
    tissue[_depth(x, y - 25, z + 36, (5, 4, 9)) > 0] = Tissue.CSF

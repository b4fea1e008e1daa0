"""Measuring: a label map becomes a list of lesions with volume, place, size, side and mean probability.

A lesion is one 26-connected component of one label. All positions are physical, so that rotated, oblique and
left-handed grids give the same numbers as upright ones.

The side is told by the mid-sagittal plane of the head, ``x = a + b*y + c*z`` (mm, LPS): the plane in which the brain
mask is most like its own mirror image. A plane through the middles between its left and right edges would not do: in a
turned ellipsoid they hardly leave the grid's own middle. Three real brains turned by 14 degrees measured 5 at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import least_squares
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from StrokeSegLib.errors import InputError
from StrokeSegLib.io.box import box_of
from StrokeSegLib.volume import Volume

#: Voxels that share a face, an edge or a corner belong to one lesion.
CONNECTIVITY_26 = np.ones((3, 3, 3), dtype=bool)
#: A lesion is on the side that holds at least this part of its voxels; with less on either side it is "midline".
SIDE_FRACTION = 0.75
#: The mid-sagittal plane is fitted on the brain mask sampled about this finely.
PLANE_STEP_MM = 4.0
#: A mask narrower than this from left to right, or with fewer surface samples, is too small to show its symmetry.
PLANE_MIN_WIDTH_MM = 50.0
PLANE_MIN_SAMPLES = 50
#: A head is turned or tilted by less than this against the scanner (35 degrees).
PLANE_MAX_SLOPE = 0.7
#: Surface distances beyond this count as bites and bumps of the mask rather than as a wrong plane.
PLANE_ROBUST_MM = 4.0
#: A mask that is less deep than this along y (or z) leaves the plane's slope along y (or z) at 0.
PLANE_MIN_DEPTH_MM = 30.0
#: Shifts from the center of mass and slopes of the planes from which the best is taken to start the fit.
PLANE_START_SHIFTS_MM = (0.0, -6.0, 6.0)
PLANE_START_SLOPES = (0.0, -0.12, 0.12, -0.24, 0.24, -0.36, 0.36)
#: About so many points of the surface tell which of these is best.
PLANE_START_SAMPLES = 1000
#: Up to this many points, comparing all pairs is quicker than a convex hull.
HULL_MIN_POINTS = 200


@dataclass(frozen=True)
class Lesion:
    """One lesion.

    Attributes:
        label: Value in the label map (1 ischemic lesion or core, 2 hemorrhage, 3 penumbra).
        volume_ml: Voxel count times voxel volume, mL.
        centroid_ras_mm: Mean of the voxel centers, mm, RAS.
        max_diameter_mm: Largest distance between two voxel centers, mm. For a lesion of one voxel, where that would be
            0: the middle one of the three voxel spacings, which is the in-plane extent where slices are thickest.
        side: "left", "right" (the patient's) or "midline".
        mean_probability: Mean of the label's probability over the lesion's voxels, 0-1; None without a probability.
        probability: That this is a lesion at all, 0-1, where the model's card can tell.
        mean_value: Mean of an image over the lesion's voxels, such as HU or ADC (see ``lesion_value``); None without.
    """

    label: int
    volume_ml: float
    centroid_ras_mm: tuple[float, float, float]
    max_diameter_mm: float
    side: str
    mean_probability: float | None
    probability: float | None = None
    mean_value: float | None = None


def measure_lesions(
    labels: Volume,
    probability: Mapping[int, Volume] | None = None,
    brain: Volume | None = None,
    *,
    plane: NDArray[np.float64] | None = None,
    image: Volume | None = None,
    image_scale: float = 1.0,
) -> list[Lesion]:
    """Measures every lesion of a label map.

    Args:
        labels: Label map, integer or bool; 0 is background.
        probability: Per label its probability (0-1) on the same grid. A label without one has mean_probability None.
        brain: Brain mask (non-zero is brain) on the same grid, from which left and right are told.
        plane: The mid-sagittal plane where it is known already; then ``brain`` is not looked at for it.
        image: On the same grid; its mean over each lesion is the lesion's ``mean_value``.
        image_scale: The mean times this is in the unit that people read.

    Returns:
        Lesions by label, and within a label the largest first. Empty for an empty label map.

    Raises:
        InputError: A probability, the brain mask or the image lies on another grid than the labels.
    """
    probability = dict(probability or {})
    probabilities = [(f"probability of label {value}", volume) for value, volume in probability.items()]
    for name, other in [("brain mask", brain), ("image", image), *probabilities]:
        if other is not None and not labels.same_grid(other):
            raise InputError(
                f"the {name} has the grid {other.size_ijk} (i, j, k), the label map {labels.size_ijk}; "
                "both need the same shape, spacing, origin and direction; resample one to the other"
            )
    parts = list(_components(labels.array))
    if not parts:
        return []
    if plane is None:
        no_mask = labels.with_array(np.broadcast_to(np.False_, labels.array.shape))
        plane = midsagittal_plane(no_mask if brain is None else brain)
    lesions = [
        replace(
            _measure(value, ijk, labels, probability.get(value), plane),
            mean_value=None if image is None else _mean(image, ijk) * image_scale,
        )
        for value, ijk in parts
    ]
    return sorted(lesions, key=lambda lesion: (lesion.label, -lesion.volume_ml))


def midsagittal_plane(brain: Volume) -> NDArray[np.float64]:
    """The plane ``x = a + b*y + c*z`` (mm, LPS) between the left and the right half of a brain mask.

    The plane of best mirror symmetry of the mask's surface, found by robust least squares; a mask too small to show one
    gives the sagittal plane through its center of mass, an empty mask the one through the center of the volume.

    Args:
        brain: Mask, non-zero is brain.

    Returns:
        ``(a, b, c)``: mm, and two slopes between -0.7 and 0.7.
    """
    coarse = _coarse(brain)
    points = coarse.ijk_to_lps(np.argwhere(coarse.array)[:, ::-1])
    if len(points) == 0 and brain.array.any():
        # What the coarse sampling lost is small enough to be looked at voxel by voxel.
        points = brain.ijk_to_lps(np.argwhere(brain.array)[:, ::-1])
    if len(points) == 0:
        points = brain.ijk_to_lps([(np.array(brain.size_ijk) - 1) / 2])
    # The edge of the field of view is not the brain's surface: border_value keeps a cut slab from counting as one.
    surface = np.argwhere(coarse.array & ~ndimage.binary_erosion(coarse.array, border_value=1))[:, ::-1]
    if np.ptp(points[:, 0]) < PLANE_MIN_WIDTH_MM or len(surface) < PLANE_MIN_SAMPLES:
        return np.array([points[:, 0].mean(), 0.0, 0.0])
    return _fit_mirror_plane(coarse, coarse.ijk_to_lps(surface), points.mean(axis=0))


def _fit_mirror_plane(
    coarse: Volume, surface_mm: NDArray[np.float64], center: NDArray[np.float64]
) -> NDArray[np.float64]:
    inside, sampling = coarse.array, coarse.spacing_mm[::-1]
    depth_mm = ndimage.distance_transform_edt(inside, sampling) - ndimage.distance_transform_edt(~inside, sampling)
    depth_mm = depth_mm.astype(np.float32)
    own_depth = depth_mm[tuple(np.rint(coarse.lps_to_ijk(surface_mm)).astype(int).T[::-1])]
    centered = surface_mm - center

    def mismatch(plane: NDArray[np.float64], step: int = 1) -> NDArray[np.float64]:
        normal = np.array([1.0, -plane[1], -plane[2]])
        distance = (centered[::step] @ normal - plane[0]) / (normal @ normal)
        mirrored = coarse.lps_to_ijk(surface_mm[::step] - 2 * distance[:, None] * normal)
        depth = ndimage.map_coordinates(depth_mm, mirrored.T[::-1], order=1, mode="nearest")
        return np.asarray(depth - own_depth[::step])

    # A mask that is thin along y or z (a single slice) says nothing about the plane's slope along it.
    deep = np.ptp(surface_mm[:, 1:], axis=0) >= PLANE_MIN_DEPTH_MM
    most = np.array([np.inf, *np.where(deep, PLANE_MAX_SLOPE, 1e-9)])
    # An upright plane is often a resting place of the fit for a turned head: start at the best of a fan of planes.
    fan = np.array(list(product(PLANE_START_SHIFTS_MM, PLANE_START_SLOPES, PLANE_START_SLOPES))).clip(-most, most)
    some = max(1, len(surface_mm) // PLANE_START_SAMPLES)
    start = min(fan, key=lambda plane: float(np.abs(mismatch(plane, some)).clip(max=2 * PLANE_ROBUST_MM).sum()))
    fit = least_squares(mismatch, start, bounds=(-most, most), loss="soft_l1", f_scale=PLANE_ROBUST_MM, diff_step=1e-3)
    a, b, c = fit.x
    return np.array([a + center[0] - b * center[1] - c * center[2], b, c])


def _coarse(mask: Volume) -> Volume:
    """The mask as bool, sampled about every PLANE_STEP_MM, inner holes filled."""
    strides = [max(1, round(PLANE_STEP_MM / s)) for s in mask.spacing_mm]
    i, j, k = strides
    inside = ndimage.binary_fill_holes(mask.array[::k, ::j, ::i] != 0)
    spacing = (mask.spacing_mm[0] * i, mask.spacing_mm[1] * j, mask.spacing_mm[2] * k)
    return Volume(inside, spacing, mask.origin, mask.direction)


def _components(array: NDArray[Any]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Each lesion's label and voxel indices, shape ``(n, 3)``, ``(i, j, k)``. Works in boxes: volumes can be large."""
    whole = box_of(array)
    if whole is None:
        return
    values = array[whole].view(np.uint8) if array.dtype == np.bool_ else array[whole]
    for value, box in enumerate(ndimage.find_objects(values), start=1):
        if box is None:
            continue
        numbered, _ = ndimage.label(values[box] == value, CONNECTIVITY_26)
        corner = np.array([w.start + s.start for w, s in zip(whole, box, strict=True)])
        for number, part in enumerate(ndimage.find_objects(numbered), start=1):
            kji = np.argwhere(numbered[part] == number) + corner + [s.start for s in part]
            yield value, kji[:, ::-1]


def _measure(
    value: int, ijk: NDArray[np.intp], grid: Volume, probability: Volume | None, plane: NDArray[np.float64]
) -> Lesion:
    right, anterior, superior = grid.ijk_to_ras(ijk.mean(axis=0)).tolist()
    mean = None if probability is None else _mean(probability, ijk)
    return Lesion(
        label=value,
        volume_ml=len(ijk) * grid.voxel_volume_ml,
        centroid_ras_mm=(right, anterior, superior),
        max_diameter_mm=_max_diameter_mm(ijk, grid.spacing_mm),
        side=_side(ijk, grid, plane),
        mean_probability=mean,
    )


def _mean(volume: Volume, ijk: NDArray[np.intp]) -> float:
    return float(volume.array[tuple(ijk.T[::-1])].mean(dtype=np.float64))


def _side(ijk: NDArray[np.intp], grid: Volume, plane: NDArray[np.float64]) -> str:
    normal = np.array([1.0, -plane[1], -plane[2]])
    # The distance to the plane is linear in the indices: no need to place millions of voxels in the patient.
    to_the_left = ijk @ (normal @ grid.direction * grid.spacing_mm) + (normal @ grid.origin - plane[0])
    if np.mean(to_the_left > 0) >= SIDE_FRACTION:
        return "left"
    return "right" if np.mean(to_the_left < 0) >= SIDE_FRACTION else "midline"


def _max_diameter_mm(ijk: NDArray[np.intp], spacing_mm: tuple[float, float, float]) -> float:
    if len(ijk) == 1:
        return sorted(spacing_mm)[1]
    points = _hull_points(_row_ends(ijk) * np.array(spacing_mm))
    return max(float(cdist(points[n : n + 512], points).max()) for n in range(0, len(points), 512))


def _row_ends(ijk: NDArray[np.intp]) -> NDArray[np.intp]:
    """First and last voxel of each row along i: no other voxel can be a corner of the lesion's hull.

    The voxels come row by row (as np.argwhere lists them), so a row ends where j or k changes.
    """
    j, k = ijk[:, 1], ijk[:, 2]
    new_row = (j[1:] != j[:-1]) | (k[1:] != k[:-1])
    ends: NDArray[np.intp] = ijk[np.append(True, new_row) | np.append(new_row, True)]
    return ends


def _hull_points(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the convex hull, in the point set's own dimension: Qhull refuses flat and straight sets."""
    if len(points) <= HULL_MIN_POINTS:
        return points
    centered = points - points.mean(axis=0)
    _, extent, axes = np.linalg.svd(centered, full_matrices=False)
    rank = int(np.count_nonzero(extent > 1e-6 * extent[0]))
    along = centered @ axes[:rank].T
    corners = [along[:, 0].argmin(), along[:, 0].argmax()] if rank == 1 else ConvexHull(along).vertices
    return np.asarray(points[corners])

"""System ``noncontrast-ct``: early ischemia on non-contrast CT with a residual SE 3D U-Net, window by window (S2).

The paper's preset: ``{"brain": "components", "norm": "zscore_minmax_grey", "in_plane_mm": null, "min_slice_mm": 0}``
on 1 mm slices as they come, windows of 128 voxels at 25% overlap. Ours, the defaults: a brain mask that also finds a
brain without skull or in a tilted head, pixels of 1 mm, slices of 3 mm or more as they come and thinner ones averaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from StrokeSegLib.errors import InputError
from StrokeSegLib.measure import midsagittal_plane
from StrokeSegLib.preprocess.ct_brain import brain_doubts, component_brain_mask, ct_brain_mask
from StrokeSegLib.preprocess.ct_edge import resampled_ct
from StrokeSegLib.preprocess.ct_level import leveled
from StrokeSegLib.preprocess.geometry import Grid, to_axial, working_grid
from StrokeSegLib.preprocess.mirror import mirrored
from StrokeSegLib.preprocess.normalize import minmax_brain, zscore, zscore_minmax_grey
from StrokeSegLib.systems.base import Prepared, System
from StrokeSegLib.volume import Volume

#: Clamped before anything else, HU.
CLAMP_HU = (0.0, 80.0)
#: The published network saw slices of 1 mm only; beyond this it is out of its domain, mm.
THICK_SLICE_MM = 6.0
#: Unit and limit of the difference to the other side: early infarcts lose 2 to 10 HU.
SIDE_HU, SIDE_LIMIT = 10.0, 2.0

NORMS = {"minmax_brain": minmax_brain, "zscore_minmax_grey": zscore_minmax_grey, "zscore": zscore}


def prepare(
    inputs: Mapping[str, Volume],
    *,
    brain: Literal["robust", "components", "none"] = "robust",
    norm: Literal["minmax_brain", "zscore_minmax_grey", "zscore"] = "zscore",
    in_plane_mm: float | None = 1.0,
    min_slice_mm: float = 3.0,
    tissue_hu: float | None = None,
    other_side: bool = False,
) -> Prepared:
    """The CT as the network sees it: one channel, or two with the difference to the other side.

    Args:
        inputs: ``ct`` in Hounsfield units, any orientation, with or without skull.
        brain: ``robust`` is ours, ``components`` the paper's; ``none`` leaves skull and table in (its ablation).
        norm: A function of ``preprocess.normalize``.
        in_plane_mm: Pixel of the working grid; None keeps the image's.
        min_slice_mm: Slices nearer than this are averaged; 0 keeps all.
        tissue_hu: The brain's tissue is brought to this median, and the bright rim under the bone with it (see
            ``preprocess.ct_level``); None leaves the HU as they are.
        other_side: Adds how much brighter each voxel of the brain is than its mirror image, in units of
            ``SIDE_HU``, -2 to 2; 0 where the mirror image is no brain. An early infarct shows by its other side.

    Raises:
        InputError: The image shows no brain; an unknown setting.
    """
    if norm not in NORMS:
        raise InputError(f"unknown norm {norm!r}; known: {', '.join(NORMS)}")
    axial = to_axial(inputs["ct"])
    grid = working_grid(axial, axial.spacing_mm[0] if in_plane_mm is None else in_plane_mm, min_slice_mm)
    hu = resampled_ct(axial, grid)
    mask = find_brain(hu, grid.spacing_mm, brain)
    warnings = [] if brain == "none" else list(brain_doubts(hu, mask, grid.spacing_mm))
    if tissue_hu is not None:
        hu = leveled(hu, mask, grid.spacing_mm, tissue_hu)
    clamped = np.clip(hu, *CLAMP_HU)
    if grid.spacing_mm[2] > THICK_SLICE_MM:
        warnings.append(f"slices are {grid.spacing_mm[2]:.1f} mm apart: lesions smaller than that may be missed")
    channels = [NORMS[norm](clamped, mask)]
    if other_side:
        channels.append(side_difference(clamped, mask, grid))
    return Prepared(np.stack(channels), grid, mask, {}, tuple(warnings))


def side_difference(hu: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
    """Each voxel of the brain less its mirror image, in ``SIDE_HU``, clipped; 0 where either is no brain."""
    whole = Volume(brain.astype(np.uint8), grid.spacing_mm, grid.origin, grid.direction)
    plane = midsagittal_plane(whole)
    there = mirrored(whole.with_array(np.where(brain, hu, np.nan).astype(np.float32)), plane, order=1)
    difference = (hu - there) / SIDE_HU
    both = brain & np.isfinite(there)
    return np.where(both, np.clip(difference, -SIDE_LIMIT, SIDE_LIMIT), 0).astype(np.float32)


def find_brain(hu: np.ndarray, spacing_mm: tuple[float, float, float], how: str) -> np.ndarray:
    """The brain mask of a head CT, by one of the two methods.

    Raises:
        InputError: No brain; an unknown method.
    """
    if how == "robust":
        mask = ct_brain_mask(hu, spacing_mm)
    elif how == "components":
        mask = component_brain_mask(np.clip(hu, *CLAMP_HU), CLAMP_HU[1])
    elif how == "none":
        mask = np.ones(hu.shape, bool)
    else:
        raise InputError(f"unknown brain mask {how!r}; known: robust, components, none")
    if not mask.any():
        raise InputError("ct shows no brain (soft tissue inside bone, or alone); needed a head CT in Hounsfield units")
    return mask


NONCONTRAST_CT = System(
    name="noncontrast-ct",
    title="Early ischemia (non-contrast CT)",
    required=("ct",),
    optional=(),
    minimum_inputs=1,
    network="residual-se-unet3d",
    labels={1: "ischemic lesion"},
    way="windows",
    activation="sigmoid",
    neighbors=0,
    size_divisor=8,
    window=(32, 192, 192),
    overlap=0.5,
    prepare=prepare,
    citation="Dobshik et al., arXiv 2301.06793, 2023",
)

"""System ``three-projection``: ischemia and hemorrhage on non-contrast CT, DPN92-UNets of three planes, fused (S4).

Networks of the axial plane look at the slices as they come; those of the coronal and the sagittal plane at slices cut
from an isotropic grid, which needs thin series. The planes meet in ``inference.projections``; the published constants
are in ``dpn92_constants``. The paper's preset: ``{"slice_pixels": 512, "in_plane_mm": null, "min_slice_mm": 0}``; ours,
the defaults, runs on pixels of 1 mm. A slice is one channel; networks that take three get it three times (see
``repeat`` in ``inference.settings``), or three windows (``{"windows_hu": [[0, 80], [15, 55], [-20, 180]]}``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from StrokeSegLib.preprocess.ct_beside_bone import beside_bone
from StrokeSegLib.preprocess.ct_brain import brain_doubts
from StrokeSegLib.preprocess.ct_edge import resampled_ct
from StrokeSegLib.preprocess.ct_level import leveled
from StrokeSegLib.preprocess.geometry import (
    Grid,
    cropped_or_padded,
    grid_of,
    isotropic_grid,
    to_axial,
    working_grid,
)
from StrokeSegLib.systems.base import Prepared, System
from StrokeSegLib.systems.dpn92_constants import PAPER
from StrokeSegLib.systems.noncontrast_ct import find_brain
from StrokeSegLib.volume import Volume


def prepare(  # noqa: PLR0913 (settings of a model card, by name)
    inputs: Mapping[str, Volume],
    *,
    windows_hu: Sequence[Sequence[float]] = (PAPER.window_hu,),
    brain: Literal["robust", "components"] = "robust",
    in_plane_mm: float | None = 1.0,
    min_slice_mm: float = 1.0,
    slice_pixels: int | None = None,
    plane_spacing_mm: float = PAPER.plane_spacing_mm,
    max_slice_mm: float = PAPER.max_slice_mm,
    tissue_hu: float | None = None,
    marks_beside_bone: bool = True,
) -> Prepared:
    """The CT as the networks see it: one channel a window, each 0 to 1.

    Args:
        inputs: ``ct`` in Hounsfield units, any orientation.
        windows_hu: Low and high HU of each channel.
        brain: How the brain is found: ``robust`` is ours, ``components`` that of the non-contrast CT paper.
        in_plane_mm: Pixel of the axial slices; None keeps the image's.
        min_slice_mm: Slices nearer than this are averaged; 0 keeps all.
        slice_pixels: Axial slices are cropped or padded to this square about their middle; None leaves them.
        plane_spacing_mm: Of the isotropic grid for the coronal and the sagittal plane.
        max_slice_mm: Slices further apart than this leave only the axial plane.
        tissue_hu: The brain's tissue is brought to this median, and the bright rim under the bone with it (see
            ``preprocess.ct_level``); None leaves the HU as they are.
        marks_beside_bone: False marks nothing right below and above bone (see ``preprocess.ct_beside_bone``).

    Raises:
        InputError: The image shows no brain.
    """
    axial = to_axial(inputs["ct"])
    grid = working_grid(axial, axial.spacing_mm[0] if in_plane_mm is None else in_plane_mm, min_slice_mm)
    if slice_pixels is not None:
        grid = cropped_or_padded(grid, (slice_pixels, slice_pixels, grid.size_ijk[2]))
    settings = (windows_hu, brain, tissue_hu, marks_beside_bone)
    on_axial = _prepared(axial, grid, *settings, doubts=True)
    if axial.spacing_mm[2] > max_slice_mm or axial.size_ijk[2] == 1:
        return on_axial
    iso = isotropic_grid(grid_of(axial), plane_spacing_mm)
    same = (
        iso.size_ijk == grid.size_ijk
        and np.allclose(iso.origin, grid.origin)
        and np.allclose(iso.spacing_mm, grid.spacing_mm)
    )
    return Prepared(
        on_axial.channels,
        grid,
        on_axial.brain,
        warnings=on_axial.warnings,
        isotropic=on_axial if same else _prepared(axial, iso, *settings, doubts=False),
    )


def _prepared(
    axial: Volume,
    grid: Grid,
    windows_hu: Sequence[Sequence[float]],
    brain: str,
    tissue_hu: float | None,
    marks_beside_bone: bool,
    *,
    doubts: bool,
) -> Prepared:
    hu = resampled_ct(axial, grid)
    mask = find_brain(hu, grid.spacing_mm, brain)
    warnings = brain_doubts(hu, mask, grid.spacing_mm) if doubts else ()
    beside = None if marks_beside_bone else beside_bone(hu)
    if tissue_hu is not None:
        hu = leveled(hu, mask, grid.spacing_mm, tissue_hu)
    if beside is not None:
        mask &= ~beside
    channels = np.stack([np.clip((hu - low) / np.float32(high - low), 0, 1) for low, high in windows_hu])
    return Prepared(channels.astype(np.float32, copy=False), grid, mask, warnings=warnings)


THREE_PROJECTION = System(
    name="three-projection",
    title="Ischemia and hemorrhage (non-contrast CT)",
    required=("ct",),
    optional=(),
    minimum_inputs=1,
    network="dpn92-unet",
    labels={1: "ischemic lesion", 2: "hemorrhage"},
    way="projections",
    activation="sigmoid",
    neighbors=0,
    size_divisor=32,
    window=(),
    overlap=0.0,
    prepare=prepare,
    citation="DPN92-UNet in three projections with a three-way classifier, 2020",
)

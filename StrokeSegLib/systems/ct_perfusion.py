"""System ``ct-perfusion``: the core on perfusion maps with a dilated 3D U-Net, the penumbra by Tmax > 6 s (S1).

Channels are CT, CBF, CBV, MTT and Tmax, clipped, then standardized. The paper's preset: ``{"size": [32, 128, 128],
"stats": {...}}`` resizes each slab to 32 slices of 128x128 and standardizes with the mean and SD of the training fold;
ours, the defaults, keeps the slices (2 to 22 of them, which resizing would invent tissue between), puts pixels of 2 mm
and standardizes each case by its own percentiles. The penumbra is a rule of the clinic, no network's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.io.box import box_of
from StrokeSegLib.preprocess.geometry import grid_of, resample, resized_grid, to_axial, working_grid
from StrokeSegLib.preprocess.perfusion_maps import perfusion_brain, time_divisor, to_seconds
from StrokeSegLib.systems.base import Prepared, System
from StrokeSegLib.volume import Volume

#: A map has a value above this part of its bright ones (percentile 95).
NO_VALUE_PART = 1e-3
#: Channels in order; ``ct`` may be missing and is zeros then.
CHANNELS = ("ct", "cbf", "cbv", "mtt", "tmax")
MAPS = CHANNELS[1:]
#: Each channel is clipped to this first (HU, s); a high end of None is the brain's 99.5th percentile.
CLIP: dict[str, tuple[float, float | None]] = {
    "ct": (0.0, 100.0),
    "cbf": (0.0, None),
    "cbv": (0.0, None),
    "mtt": (0.0, 20.0),
    "tmax": (0.0, 25.0),
}
CORE, PENUMBRA = 1, 3
#: Tissue that waits longer for contrast is at risk, s (DEFUSE 3, EXTEND-IA).
PENUMBRA_TMAX_S = 6.0
#: Smaller pieces of penumbra are noise of the deconvolution, mL.
SMALLEST_PENUMBRA_ML = 1.0
#: Standardized values beyond this are artifacts.
STANDARD_CLIP = 5.0


def prepare(
    inputs: Mapping[str, Volume],
    *,
    clip: Mapping[str, Sequence[float | None]] = {},  # read only
    stats: Mapping[str, Sequence[float]] = {},  # read only
    size: Sequence[int] | None = None,
    in_plane_mm: float | None = 2.0,
) -> Prepared:
    """The maps as the network sees them: five channels, 0 outside the brain.

    Args:
        inputs: ``cbf`` (mL/100 g/min), ``cbv`` (mL/100 g), ``mtt`` and ``tmax`` (s, 0.1 s or ms: told by their range),
            optionally ``ct`` (HU); 0 or NaN where there is no value. Any orientation, one slice or more.
        clip: Role -> low and high, in place of those of ``CLIP``.
        stats: Role -> mean and SD after clipping, such as those of the training fold; roles that are not there are
            standardized by their own percentiles (``standardized``).
        size: Resized to this ``(k, j, i)``, as published; None keeps the slices.
        in_plane_mm: Pixel where ``size`` is None; None keeps the image's.

    Raises:
        InputError: The maps show no brain.
    """
    axial = {role: _without_nan(to_axial(inputs[role])) for role in CHANNELS if role in inputs}
    reference = axial["tmax"]
    if size is None:
        grid = working_grid(reference, reference.spacing_mm[0] if in_plane_mm is None else in_plane_mm, 0)
    else:
        grid = resized_grid(grid_of(reference), (int(size[2]), int(size[1]), int(size[0])))
    on_grid = {role: resample(volume, grid).array for role, volume in axial.items()}
    shown = _has_values(axial["cbf"].array) | _has_values(axial["cbv"].array)
    part = resample(axial["cbf"].with_array(shown.astype(np.float32)), grid).array
    for role in MAPS:
        # At the brain's edge the mean with the zeros around it would look like a rim without blood.
        on_grid[role] /= np.clip(part, 0.5, 1)
    brain = perfusion_brain(part, on_grid.get("ct"), grid.spacing_mm)
    on_grid, notes, warnings = to_seconds(on_grid, brain)
    channels = np.zeros((len(CHANNELS), *brain.shape), np.float32)
    for index, role in enumerate(CHANNELS):
        if role in on_grid:
            channels[index] = _channel(on_grid[role], brain, clip.get(role, CLIP[role]), stats.get(role))
    if "ct" not in on_grid:
        warnings.append("no ct was given: the network sees the perfusion maps only")
    return Prepared(channels, grid, brain, notes, tuple(warnings))


def _has_values(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a map is more than what calculation leaves of 0: resampling alone makes 1e-12 of it."""
    above = image[image > 0]
    return np.asarray(image > (NO_VALUE_PART * float(np.percentile(above, 95)) if above.size else 0.0), bool)


def _channel(
    image: NDArray[np.float32],
    brain: NDArray[np.bool_],
    clip: Sequence[float | None],
    stats: Sequence[float] | None,
) -> NDArray[np.float32]:
    values = image[brain]
    low, high = clip
    values = np.clip(values, low, float(np.percentile(values, 99.5)) if high is None else high)
    result = np.zeros(image.shape, np.float32)
    result[brain] = standardized(values) if stats is None else (values - stats[0]) / max(stats[1], 1e-6)
    return np.clip(result, -STANDARD_CLIP, STANDARD_CLIP)


def standardized(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distances from the median in SD, both by percentiles (5 to 95), so that a large infarct moves them little."""
    low, middle, high = np.percentile(values, [5, 50, 95])
    sd = (high - low) / 3.29 or float(values.std())
    return np.asarray((values - middle) / max(sd, 1e-6), np.float32)


def delayed(inputs: Mapping[str, Volume], brain: Volume) -> Volume:
    """Where Tmax is above 6 s in the brain, core or not.

    Args:
        inputs: As for ``prepare``, all on the grid of ``brain``.
        brain: Boolean mask.

    Returns:
        A boolean mask on that grid.
    """
    tmax = np.nan_to_num(inputs["tmax"].array.astype(np.float32))
    divisor, _ = time_divisor(tmax[brain.array] if brain.array.any() else tmax.ravel())
    return brain.with_array((tmax > PENUMBRA_TMAX_S * divisor) & brain.array)


def add_penumbra(late: Volume, labels: Volume) -> Volume:
    """Marks the penumbra: delayed tissue outside the core, in pieces of 1 mL or more.

    Args:
        late: As ``delayed`` tells it.
        labels: The label map with the core, on the same grid.
    """
    core = labels.array == CORE
    box = box_of((late.array != 0) | core)
    if box is None:
        return labels
    result = labels.array.copy()
    here = late.array[box] != 0
    # Pieces are told together with the core, so that a rim around it is not lost piece by piece.
    pieces, count = ndimage.label(here | core[box], np.ones((3, 3, 3), bool))
    sizes_ml = np.bincount(pieces.ravel(), minlength=count + 1) * labels.voxel_volume_ml
    keep = sizes_ml >= SMALLEST_PENUMBRA_ML
    keep[0] = False
    result[box][here & keep[pieces] & (result[box] == 0)] = PENUMBRA
    return labels.with_array(result)


def _without_nan(volume: Volume) -> Volume:
    return volume.with_array(np.nan_to_num(volume.array.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0))


CT_PERFUSION = System(
    name="ct-perfusion",
    title="Core and penumbra (CT perfusion)",
    required=MAPS,
    optional=("ct",),
    minimum_inputs=4,
    network="dilated-unet3d",
    labels={CORE: "ischemic core"},
    way="windows",
    activation="sigmoid",
    neighbors=0,
    size_divisor=16,
    window=(32, 128, 128),
    overlap=0.5,
    prepare=prepare,
    citation="Omarov et al., Computers, Materials & Continua 71(3), 2022",
    rule_labels={PENUMBRA: "penumbra"},
    rule_region=delayed,
    rule=add_penumbra,
)

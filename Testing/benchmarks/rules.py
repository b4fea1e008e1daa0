"""The simple rules that a network has to beat: one a finding, no network in any of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.inference.predict import restore
from StrokeSegLib.measure import midsagittal_plane
from StrokeSegLib.preprocess.ct_brain import ct_brain_mask
from StrokeSegLib.preprocess.geometry import to_axial
from StrokeSegLib.preprocess.intensity import channel_values
from StrokeSegLib.preprocess.mirror import mirrored
from StrokeSegLib.systems.ct_perfusion import CT_PERFUSION
from StrokeSegLib.systems.mri import prepare
from StrokeSegLib.volume import Volume

Mask = NDArray[np.bool_]

#: Diffusion: ADC under 0.62 um2/ms where DWI is over 1.4 times the brain's median.
RULE_ADC_UM2_PER_MS, RULE_DWI = 0.62, 1.4
#: Hemorrhage: above this in the brain, and well inside it, since partial volume with bone is bright too.
BLOOD_HU, BONE_MARGIN_MM = 50.0, 3.0
#: Infarct on CT: so much darker than the mirrored place, HU, both smoothed over so many mm; fluid is left out.
SIDE_DIFFERENCE_HU, SMOOTHING_MM, FLUID_HU = 4.0, 6.0, 16.0
#: Core: CBF under this part of the brain's median.
CORE_RELATIVE_CBF = 0.30


def rule_mask(system: str, label: int, images: Mapping[str, Volume]) -> Mask | None:
    """Where the rule for a label finds it, on the first image's grid; None where no rule fits the images."""
    if system == "mri":
        return acute_infarct(images["dwi"], images["adc"]) if {"dwi", "adc"} <= set(images) else None
    if system == "ct-perfusion":
        return perfusion_core(images)
    return hemorrhage(images["ct"]) if label == 2 else side_difference(images["ct"])


def acute_infarct(dwi: Volume, adc: Volume) -> Mask:
    """ADC under 0.62 um2/ms and bright DWI, in the brain."""
    prepared = prepare({"dwi": dwi, "adc": adc})
    ratio, diffusion = channel_values(prepared.channels)
    hit = (diffusion < RULE_ADC_UM2_PER_MS) & (diffusion > 0) & (ratio > RULE_DWI) & prepared.brain
    return restore(hit.astype(np.float32), prepared, dwi).array > 0.5


def hemorrhage(ct: Volume) -> Mask:
    """Over 50 HU in the brain."""
    axial = to_axial(ct)
    brain = ct_brain_mask(axial.array, axial.spacing_mm)
    depth_mm = ndimage.distance_transform_edt(brain, sampling=axial.spacing_mm[::-1])
    hit = (axial.array > BLOOD_HU) & (depth_mm > BONE_MARGIN_MM)
    return _back(hit, axial, ct)


def side_difference(ct: Volume) -> Mask:
    """Darker than the mirrored place on the other side of the brain's own plane of symmetry."""
    axial = to_axial(ct)
    brain = ct_brain_mask(axial.array, axial.spacing_mm)
    if not brain.any():
        return np.zeros(ct.array.shape, bool)
    sigma = [SMOOTHING_MM / 2.355 / s for s in axial.spacing_mm[::-1]]
    inside = brain & (axial.array > FLUID_HU) & (axial.array < 80)
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(np.where(inside, axial.array, 0).astype(np.float32), sigma)
    smooth /= np.maximum(weight, 1e-3)
    seen = axial.with_array(np.where(weight > 0.3, smooth, np.nan))
    other_side = mirrored(seen, midsagittal_plane(axial.with_array(brain)))
    hit = brain & (weight > 0.3) & (other_side - smooth > SIDE_DIFFERENCE_HU)
    return _back(hit, axial, ct)


def perfusion_core(images: Mapping[str, Volume]) -> Mask:
    """CBF under 30% of the brain's median, where Tmax is late: the clinic's rule."""
    prepared = CT_PERFUSION.prepare(images)
    cbf, tmax = (to_axial(images[role]) for role in ("cbf", "tmax"))
    brain = restore(prepared.brain.astype(np.float32), prepared, cbf).array > 0.5
    if not brain.any():
        return np.zeros(images["cbf"].array.shape, bool)
    flow = ndimage.gaussian_filter(np.nan_to_num(cbf.array.astype(np.float32)), (0, 1, 1))
    hit = brain & (flow < CORE_RELATIVE_CBF * np.median(flow[brain])) & (tmax.array > 6)
    return _back(hit, cbf, images["cbf"])


def _back(hit: Mask, axial: Volume, image: Volume) -> Mask:
    """A mask on the axial view's grid, on the image's own."""
    from StrokeSegLib.preprocess.geometry import grid_of, resample

    return resample(axial.with_array(hit.astype(np.float32)), grid_of(image)).array > 0.5

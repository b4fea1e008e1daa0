"""System ``mri``: acute infarcts on DWI and ADC with a ResNet50-UNet, slice by slice with its neighbors (S3).

The published network reads one slice of one sequence, replicated to three channels. Here each slice comes with its two
neighbors of both sequences (six channels, "2.5D stacked"), because an acute infarct is defined by the pair: bright on
DWI and dark on ADC; and because EPI artifacts give themselves away in the neighboring slices.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from StrokeSegLib.preprocess.brain import brain_mask
from StrokeSegLib.preprocess.geometry import Grid, resample, to_axial, working_grid
from StrokeSegLib.preprocess.intensity import dwi_scale, find_adc_unit, network_channels
from StrokeSegLib.systems.base import Prepared, System
from StrokeSegLib.volume import Volume

#: In-plane pixel of the working grid, mm. Finer than most DWI (1.2-2 mm), because the network's finest skip is at half.
IN_PLANE_MM = 1.25
#: Slices nearer than this are averaged, mm; thicker ones stay as they are.
MIN_SLICE_MM = 2.0
#: Slices further apart than this make small lesions invisible: said in the result, mm.
THICK_SLICE_MM = 7.0


def prepare(inputs: Mapping[str, Volume], *, grid: Grid | None = None) -> Prepared:
    """DWI and ADC as the network sees them.

    Args:
        inputs: ``dwi`` and ``adc`` on one grid, any orientation, NaN-free. ADC in any power-of-ten unit.
        grid: The working grid; found from the DWI when None.

    Raises:
        InputError: The pair shows no brain, or the ADC map's values fit no unit.
    """
    axial = {role: to_axial(inputs[role]) for role in ("dwi", "adc")}
    if grid is None:
        grid = working_grid(axial["dwi"], IN_PLANE_MM, MIN_SLICE_MM)
    dwi = resample(axial["dwi"], grid).array
    adc = resample(axial["adc"], grid).array
    unit = find_adc_unit(adc, dwi)
    adc *= np.float32(10.0**unit.power)
    scale = dwi_scale(dwi, adc)
    brain = brain_mask(dwi, adc)
    warnings = []
    if grid.spacing_mm[2] > THICK_SLICE_MM:
        warnings.append(f"slices are {grid.spacing_mm[2]:.1f} mm apart: lesions smaller than that may be missed")
    notes = {"adc_unit": unit.name}
    return Prepared(network_channels(dwi, adc, scale), grid, brain, notes, tuple(warnings))


MRI = System(
    name="mri",
    title="Acute infarct (DWI + ADC)",
    required=("dwi", "adc"),
    optional=(),
    network="resnet50-unet",
    labels={1: "ischemic lesion"},
    neighbors=1,
    size_divisor=32,
    prepare=prepare,
    citation="Aboudi et al., IJCSNS International Journal of Computer Science and Network Security 22(11), 2022",
)

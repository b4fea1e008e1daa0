"""CT perfusion maps of a head with known core and penumbra, as vendors' software writes them, and the CT beneath.

Flow and volume are averaged and smoothed, and MTT is computed from the two (60 * CBV / CBF); then come noise,
saturation, rounding and masks. The 4D series behind such maps is made by ``ctp_series.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.ctp_perfusion import Perfusion, draw_perfusion, transit_time
from StrokeSegLib.synth.ctp_ranges import CTP_RANGES, CTPRanges, Range
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.synth.fields import Float, blur_mm, gaussian
from StrokeSegLib.synth.lesions import LesionLibrary
from StrokeSegLib.volume import Volume

#: CBF under which transit times are not told apart, mL/100 g/min.
LEAST_CBF = 2.0


def make_ctp_case(
    rng: np.random.Generator,
    head: Head,
    library: LesionLibrary | None = None,
    *,
    ranges: CTPRanges = CTP_RANGES,
    healthy: bool | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
) -> SyntheticCase:
    """Perfusion maps of a head: ``ct`` (HU), ``cbf`` (mL/100 g/min), ``cbv`` (mL/100 g), ``mtt`` and ``tmax`` (s).

    Args:
        library: Real lesion shapes for the core; procedural ones when None.
        healthy: No acute ischemia when True, some for sure when False; drawn when None.
        spacing_mm: The scan's voxel size ``(i, j, k)``; drawn when None.

    Returns:
        Images and truth on one grid; truth is 1 in the core and 3 in the penumbra (true Tmax over 6 s, no core).
    """
    perfusion = draw_perfusion(rng, head, library, ranges=ranges, healthy=healthy, spacing_mm=spacing_mm)
    return render_maps(rng, perfusion, ranges)


def render_maps(rng: np.random.Generator, perfusion: Perfusion, ranges: CTPRanges = CTP_RANGES) -> SyntheticCase:
    """The maps that one vendor's software would show of a head's perfusion."""

    def draw(bounds: Range) -> float:
        return float(rng.uniform(*bounds))

    grid = perfusion.grid
    in_plane = draw(ranges.psf_mm) / 2.355 / grid.spacing_mm[0]
    fwhm_voxel = draw(ranges.noise_fwhm_voxel)

    def smooth(image: Float) -> Float:
        return np.asarray(gaussian(image, (0, in_plane, in_plane), truncate=2.5))

    def noise(sd: float) -> Float:
        return np.float32(sd) * _grain(rng, grid.shape, fwhm_voxel)

    vessel = np.clip(perfusion.artery + perfusion.vein, 0, 1)
    cbf = smooth(perfusion.cbf + perfusion.vessel_cbf)
    cbv = smooth(perfusion.cbv + perfusion.vessel_cbv)
    vessel_tmax = np.minimum(perfusion.tmax, 0.5) * perfusion.artery + 4.0 * perfusion.vein
    tmax = smooth(perfusion.tmax * (1 - vessel) + vessel_tmax)
    cbf = np.maximum(cbf + noise(draw(ranges.cbf_noise)), 0)
    cbv = np.maximum(cbv + noise(draw(ranges.cbv_noise)), 0)
    # The lower the flow, the flatter the curve, and the less sure its peak.
    uncertain = np.sqrt(np.clip(40 / np.maximum(cbf, 4), 0.5, 10)).astype(np.float32)
    tmax = np.maximum(tmax + noise(draw(ranges.tmax_noise_s)) * uncertain, 0)
    mtt = transit_time(cbv, np.maximum(cbf, np.float32(LEAST_CBF)))

    maps = {"cbf": cbf, "cbv": cbv, "mtt": mtt, "tmax": tmax}
    maps = _post_process(rng, perfusion, maps, vessel, ranges)
    images = {"ct": _baseline_ct(rng, perfusion, ranges), **maps}

    def volume(array: NDArray[np.generic]) -> Volume:
        return Volume(array, grid.spacing_mm, grid.origin, grid.direction)

    return SyntheticCase(
        {role: volume(image.astype(np.float32)) for role, image in images.items()},
        volume(perfusion.labels),
        dict(perfusion.parameters),
    )


def _grain(rng: np.random.Generator, shape: tuple[int, int, int], fwhm_voxel: float) -> Float:
    """Noise of unit SD that is correlated within the slices."""
    sigma = fwhm_voxel / 2.355
    grain = gaussian(rng.standard_normal(shape, dtype=np.float32), (0, sigma, sigma), truncate=3)
    return np.asarray(grain / np.float32(grain.std() + 1e-6))


def _post_process(
    rng: np.random.Generator, perfusion: Perfusion, maps: dict[str, Float], vessel: Float, ranges: CTPRanges
) -> dict[str, Float]:
    """Saturation, rounding, and zeros outside of what the software takes for tissue."""
    limits = {
        "cbf": ranges.cbf_limit,
        "cbv": ranges.cbv_limit,
        "mtt": ranges.mtt_limit_s,
        "tmax": ranges.tmax_limit_s,
    }
    steps = {"cbf": 1.0, "cbv": 0.1, "mtt": 0.1, "tmax": float(rng.choice([0.1, 0.5, 1.0]))}
    quantized = rng.random() < ranges.quantized_chance
    keep = np.ones(perfusion.grid.shape, bool)
    if rng.random() < ranges.maps_stripped_chance:
        keep &= blur_mm(perfusion.brain, perfusion.grid.spacing_mm, 3.0) > rng.uniform(0.3, 0.75)
    else:  # air has no flow, whatever is stripped
        keep &= perfusion.ct_hu > -300
    if rng.random() < ranges.csf_masked_chance:
        keep &= perfusion.csf < rng.uniform(0.35, 0.8)
    if rng.random() < ranges.vessels_masked_chance:
        keep &= vessel < rng.uniform(0.2, 0.6)
    result = {}
    for role, image in maps.items():
        shown = np.clip(image, 0, rng.uniform(*limits[role]))
        if quantized:
            shown = np.rint(shown / steps[role]) * np.float32(steps[role])
        result[role] = np.where(keep, shown, np.float32(0))
    return result


def _baseline_ct(rng: np.random.Generator, perfusion: Perfusion, ranges: CTPRanges) -> Float:
    """The CT before contrast agent: noisy, moved a little against the maps, skull kept or not."""
    spacing = perfusion.grid.spacing_mm
    image = gaussian(perfusion.ct_hu, (0, 0.5, 0.5), truncate=3)
    image = image + np.float32(rng.uniform(*ranges.ct_noise_hu)) * _grain(rng, perfusion.grid.shape, 1.5)
    if rng.random() < ranges.ct_stripped_chance:
        image = np.where(blur_mm(perfusion.brain, spacing, 3.0) > rng.uniform(0.35, 0.65), image, np.float32(0))
    if rng.random() < ranges.motion_chance:
        moved = rng.normal(0, rng.uniform(*ranges.motion_mm), 2) / np.array(spacing[1::-1])
        image = ndimage.shift(image, (0.0, moved[0], moved[1]), order=1, mode="nearest")
    return np.asarray(np.clip(image, -1024, 3071))

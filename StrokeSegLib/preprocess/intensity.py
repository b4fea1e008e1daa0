"""Intensities: ADC units, the scale of DWI, and whether an image is what its role says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.preprocess.brain import PARENCHYMA_ADC_UM2_PER_MS, foreground
from StrokeSegLib.preprocess.padding import border_value
from StrokeSegLib.preprocess.padding import evenly as _sample

#: Median ADC of a whole brain, CSF's partial volume included, um2/ms: where powers of ten are compared with.
TYPICAL_BRAIN_ADC_UM2_PER_MS = 0.9
#: A power of ten fits when the median lies within this factor of the typical value (log10).
UNIT_TOLERANCE_LOG10 = 0.4
#: CSF's, um2/ms, with some noise.
FLUID_ADC_UM2_PER_MS = 3.4
#: Names of the units in use, by the factor to um2/ms.
ADC_UNITS = {0: "10⁻³ mm²/s", 3: "mm²/s", -3: "10⁻⁶ mm²/s"}
#: Network inputs are clipped here: DWI in multiples of the brain's median, ADC in um2/ms.
DWI_MAX, ADC_MAX = 6.0, 4.0
#: HU below which a voxel is air, and the part of an image's voxels that must be air for it to count as CT.
CT_AIR_HU, CT_AIR_FRACTION = -500.0, 0.2
#: An ADC map in 10⁻⁶ mm²/s whose air is not masked holds noise instead: much of it (as a part of what is below air's
#: limit) between the limit and fat, where a CT has little, and as much above as below.
BETWEEN_AIR_AND_FAT_HU, NOISE_BETWEEN, NOISE_ABOVE = (-500.0, -150.0), 0.2, 0.7
#: Where a CT's air lies, HU: a constant there is air, any other around the head is padding.
AIR_HU = (-1100.0, -900.0)
#: Padding of a CT is not lower, HU.
LOWEST_PADDING_HU = -4000.0
#: A skull-stripped CT with zeros around it: so much of it lies at the values of brain, fluid and blood, HU. The rest is
#: what the stripping left of bone and scalp.
CT_BRAIN_HU, CT_BRAIN_FRACTION = (-20.0, 120.0), 0.85
#: A CT that was saved through a display window: the ends of such windows, HU, the least part of the image at each, and
#: the least part of what is not air that lies between them.
WINDOW_HU, WINDOW_END_FRACTIONS, WINDOW_TISSUE_FRACTION = (-200.0, 400.0), (0.1, 0.01), 0.4
#: A CT that is cut to the head: some air (sinuses, corners), and soft tissue in a good part, 0 to 100 HU.
CUT_CT_AIR_FRACTION, CUT_CT_TISSUE_FRACTION = 0.005, 0.25
#: A CT whose field of view lies inside the head: no air, but fat or what partial volume makes of it, HU and part of the
#: voxels, and brain's tissue, HU and part.
INNER_CT_FAT_HU, INNER_CT_FAT_FRACTION = (-200.0, -10.0), 0.002
INNER_CT_BRAIN_HU, INNER_CT_BRAIN_FRACTION = (5.0, 65.0), 0.4
#: A CT whose air and fat became 0: bone, HU, the parts of what is not 0 that are bone and at least brain's tissue.
CLIPPED_CT_BONE_HU, CLIPPED_CT_BONE_FRACTION, CLIPPED_CT_TISSUE_FRACTION = (300.0, 1000.0), (0.05, 0.4), 0.4
#: Brain's tissue, HU, and how much of a stripped brain has it: a picture of 8 bits puts bone and skin there instead.
TISSUE_HU, STRIPPED_TISSUE_FRACTION = (8.0, 75.0), 0.5
#: What scanners add to HU to store them without a sign, the part of the image that is then not air, and the part of
#: that which is brain's.
STORED_OFFSETS, STORED_FRACTION, STORED_BRAIN_FRACTION = (1024.0, 1000.0), 0.1, 0.2
#: Negative HU read as numbers without a sign: air and fat lie between these, and are so much of the image.
UNSIGNED_AIR, UNSIGNED_AIR_FRACTION = (65536.0 - 1100.0, 65536.0), 0.05
#: A picture of 8 bits holds no more than this.
LARGEST_BYTE = 255.0
#: Roles whose maps are computed from a CT or an MR series, so that DICOM may call them either.
MAP_ROLES = ("cbf", "cbv", "mtt", "tmax")


@dataclass(frozen=True)
class AdcUnit:
    """The unit of an ADC map: ``value * 10**power`` is in um2/ms (which is 1e-3 mm2/s)."""

    power: int

    @property
    def name(self) -> str:
        """How people write it."""
        return ADC_UNITS.get(self.power, f"10⁻³ mm²/s times 10^{-self.power}")


def find_adc_unit(adc: NDArray[np.float32], dwi: NDArray[np.float32]) -> AdcUnit:
    """The unit of an ADC map, from the median over the bright part of the DWI: healthy brain is known in um2/ms.

    In an old head fluid may be the greater part of that. It is darker on DWI than brain, so where the median fits no
    unit, that of the brightest quarter is looked at; all together must then lie between it and fluid.

    Raises:
        InputError: No power of ten brings the median near a brain's.
    """
    usable = foreground(dwi) & (adc > 0)
    values, signal = adc[usable], dwi[usable]
    if values.size == 0:
        raise InputError("adc has no positive value inside the brain; needed an ADC map; check the roles of the inputs")
    median, of_brightest = np.median(values), np.median(values[signal >= np.percentile(signal, 75)])
    power = _fitting_power(float(median))
    if power is not None:
        return AdcUnit(power)
    power = _fitting_power(float(of_brightest))
    if power is not None and of_brightest <= median <= FLUID_ADC_UM2_PER_MS * 10.0**-power:
        return AdcUnit(power)
    raise InputError(
        f"adc has a median of {median:.3g} in the brain, which fits no ADC unit (about 0.9 in 10⁻³ mm²/s, 0.0009 in "
        "mm²/s, 900 in 10⁻⁶ mm²/s); check that adc is an ADC map and dwi the b≈1000 image"
    )


def _fitting_power(median: float) -> int | None:
    exact = np.log10(TYPICAL_BRAIN_ADC_UM2_PER_MS / median)
    power = round(exact)
    return power if abs(exact - power) <= UNIT_TOLERANCE_LOG10 else None


def dwi_scale(dwi: NDArray[np.float32], adc_um2_per_ms: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
    """Median DWI signal of parenchyma: dividing by it makes scanners alike.

    Args:
        dwi, adc_um2_per_ms: The pair.
        brain: Of ``brain_mask``.

    Raises:
        InputError: Nothing in the pair looks like brain.
    """
    low, high = PARENCHYMA_ADC_UM2_PER_MS
    # Muscle and scalp are darker than brain in DWI, so the median of the inner mask is brain's.
    inside = brain & (adc_um2_per_ms > low) & (adc_um2_per_ms < high) & (dwi > 0)
    if not inside.any():
        raise InputError(
            "dwi and adc show no brain (bright DWI with an ADC of 0.2-1.6 10⁻³ mm²/s); check the roles of the inputs"
        )
    return float(np.median(dwi[inside]))


def network_channels(
    dwi: NDArray[np.float32], adc_um2_per_ms: NDArray[np.float32], scale: float
) -> NDArray[np.float32]:
    """DWI over its scale and ADC, both clipped, brought to about -1..1: shape ``(2, K, J, I)``."""
    channels = np.stack([np.clip(dwi / np.float32(scale), 0, DWI_MAX), np.clip(adc_um2_per_ms, 0, ADC_MAX)])
    channels -= 1
    channels[0] /= 1.5
    return channels.astype(np.float32, copy=False)


def channel_values(channels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """DWI over its scale and ADC in um2/ms again, from ``network_channels`` (what was clipped stays clipped)."""
    return channels[0] * 1.5 + 1, channels[1] + 1


def looks_like_ct(array: NDArray[Any]) -> bool:
    """True when a good part of the voxels lies at air's Hounsfield units, and not as noise does: no MRI has that."""
    sample = _sample(array)
    air, (low, high) = (sample < CT_AIR_HU).mean(), BETWEEN_AIR_AND_FAT_HU
    between, above = ((sample > low) & (sample < high)).mean(), (sample > -CT_AIR_HU).mean()
    noise = between > NOISE_BETWEEN * air and above > NOISE_ABOVE * air
    return bool(air > CT_AIR_FRACTION and not noise)


def _measured(array: NDArray[Any]) -> NDArray[Any]:
    """Evenly spread values of an image without its padding; a CT's air is none."""
    sample, padding = _sample(array), border_value(array)
    if padding is None or AIR_HU[0] < padding < AIR_HU[1] or bool((sample == padding).all()):
        return sample
    return np.asarray(sample[sample != padding])


def _looks_like_stripped_ct(array: NDArray[Any]) -> bool:
    """True where all but a rest of bone or scalp has the values of brain, CSF and blood; 0 may lie around it."""
    sample = _sample(array)
    brain = sample[sample != 0]
    if brain.size == 0:
        return False
    low, high = CT_BRAIN_HU
    mostly = bool(((brain > low) & (brain < high)).mean() > CT_BRAIN_FRACTION)
    tissue = bool(((brain > TISSUE_HU[0]) & (brain < TISSUE_HU[1])).mean() > STRIPPED_TISSUE_FRACTION)
    return mostly and tissue and 15 < float(np.median(brain)) < 60


def _looks_like_windowed_ct(array: NDArray[Any]) -> bool:
    """True where a CT was saved through a display window: air and bone lie at its two ends, brain between."""
    sample = _sample(array)
    low, high = float(sample.min()), float(sample.max())
    if not WINDOW_HU[0] <= low < 15 or not 60 < high <= WINDOW_HU[1]:
        return False
    ends = min((sample == low).mean() / WINDOW_END_FRACTIONS[0], (sample == high).mean() / WINDOW_END_FRACTIONS[1])
    between = sample[(sample > low) & (sample < high)]
    mostly = between.size > WINDOW_TISSUE_FRACTION * max(1, int((sample > low).sum()))
    return bool(ends >= 1 and mostly and 15 < float(np.median(between)) < 60)


def _looks_like_cut_ct(array: NDArray[Any]) -> bool:
    """True where there is hardly air around the head, but some, and soft tissue's values are common."""
    sample = _sample(array)
    air, tissue = (sample < CT_AIR_HU).mean(), ((sample > 0) & (sample < 100)).mean()
    return bool(air > CUT_CT_AIR_FRACTION and tissue > CUT_CT_TISSUE_FRACTION)


def _looks_like_inner_ct(array: NDArray[Any]) -> bool:
    """True where the field of view lies inside the head: brain's values are common, fat's occur, no air."""
    sample = _sample(array)
    (low, high), (dark, bright) = INNER_CT_FAT_HU, INNER_CT_BRAIN_HU
    fat, brain = ((sample > low) & (sample < high)).mean(), ((sample > dark) & (sample < bright)).mean()
    return bool(INNER_CT_FAT_FRACTION < fat < brain and brain > INNER_CT_BRAIN_FRACTION)


def _looks_like_clipped_ct(array: NDArray[Any]) -> bool:
    """True where all below 0 became 0: a bright skull, and little between it and the brain's narrow range."""
    sample = _sample(array)
    head = sample[sample > 0]
    if sample.min() < 0 or head.size == 0 or head.size > 0.9 * sample.size:
        return False
    bone, between = (head > CLIPPED_CT_BONE_HU[0]).mean(), ((head > 100) & (head < CLIPPED_CT_BONE_HU[0])).mean()
    tissue = ((head > TISSUE_HU[0]) & (head < TISSUE_HU[1])).mean()
    skull = CLIPPED_CT_BONE_FRACTION[0] < bone < CLIPPED_CT_BONE_FRACTION[1] and head.max() > CLIPPED_CT_BONE_HU[1]
    return bool(skull and between < bone and tissue > CLIPPED_CT_TISSUE_FRACTION)


def _looks_like_other_ct(array: NDArray[Any]) -> bool:
    """How a CT may look that has no fifth of air: told from MRI only where somebody says that it is CT.

    What lies around the head may be 0 or anything else, so some are also looked for in what was measured alone.
    """
    anywhere = (_looks_like_stripped_ct, _looks_like_cut_ct, _looks_like_inner_ct)
    windowed = (_looks_like_windowed_ct, _looks_like_clipped_ct)
    measured = _measured(array)
    return any(looks(array) for looks in (*anywhere, *windowed)) or any(looks(measured) for looks in anywhere)


def _no_hounsfield(array: NDArray[Any], other: str) -> str:
    """What a CT's values look like instead of HU, and the cure; empty where nothing speaks against HU.

    Args:
        array: The image.
        other: What else a picture of 8 bits may be, as words before "a picture".
    """
    sample = _sample(array)
    low, high = float(sample.min()), float(sample.max())
    if offset := _stored_offset(sample):
        return f"CT numbers stored with {offset:.0f} added; @; subtract {offset:.0f} from all values"
    if low < 0 or looks_like_ct(array) or _looks_like_other_ct(array):
        return ""
    if high <= LARGEST_BYTE:
        kind = "a picture scaled to 0-1" if high <= 1 else "a picture of 8 bits"
        return f"{other}{kind} (values from {low:.3g} to {high:.3g}); @; give the original CT, no export or screenshot"
    if ((sample > UNSIGNED_AIR[0]) & (sample < UNSIGNED_AIR[1])).mean() > UNSIGNED_AIR_FRACTION:
        return "CT numbers read without their sign (values near 64536 are air); @; save them as signed 16 bit"
    return ""


def _stored_offset(sample: NDArray[Any]) -> float:
    """What was added to HU, 0 where nothing was: then hardly anything but bone is so bright.

    Padding may lie below 0, and noise; what is clipped at the top is no tissue.
    """
    head = sample[(sample > min(STORED_OFFSETS) - 200) & (sample < sample.max())]
    if head.size < STORED_FRACTION * sample.size:
        return 0.0
    share = {offset: ((head > offset + 20) & (head < offset + 50)).mean() for offset in STORED_OFFSETS}
    offset = max(share, key=lambda one: share[one])
    return offset if share[offset] > STORED_BRAIN_FRACTION else 0.0


def _is_ct(array: NDArray[Any], wants_ct: bool) -> bool:
    """By the values alone; padding far below 0 is air to a CT, and none to an MRI."""
    if wants_ct:
        return looks_like_ct(array) or _looks_like_other_ct(array)
    if not looks_like_ct(array):
        return False
    measured = _measured(array)
    stripped = _sample(array).min() > LOWEST_PADDING_HU and _looks_like_stripped_ct(measured)
    return looks_like_ct(measured) or bool(stripped)


def check_modality(array: NDArray[Any], modality: str | None, role: str) -> None:
    """Refuses CT given as MRI and MRI given as CT, by the DICOM tag when there is one, else by the values; and a CT
    whose values are no Hounsfield units.

    Raises:
        InputError: The image is of the other kind, or of another unit.
    """
    wants_ct = role == "ct"
    if modality in ("CT", "MR") and role not in MAP_ROLES:
        is_ct, why = modality == "CT", f"its DICOM modality is {modality}"
    else:
        is_ct = _is_ct(array, wants_ct)
        why = "values near -1000 are air in Hounsfield units" if is_ct else "it has no air near -1000 HU"
    if is_ct and role in MAP_ROLES:
        raise InputError(
            f"{role} looks like CT ({why}); needed a perfusion map with 0 where it has no value; give the {role} map, "
            "or set what lies outside of the brain to 0"
        )
    if is_ct and not wants_ct:
        raise InputError(f"{role} looks like CT ({why}); needed an MRI; give the {role} image, or choose a CT model")
    other = "" if modality == "CT" else "MRI or "
    if wants_ct and modality != "MR" and (what := _no_hounsfield(array, other)):
        raise InputError(f"ct looks like {what}".replace("@", "needed Hounsfield units (air -1000, brain 20 to 40)"))
    if wants_ct and not is_ct:
        raise InputError(
            f"ct looks like MRI ({why}); needed CT in Hounsfield units; give the CT, or choose an MRI model"
        )

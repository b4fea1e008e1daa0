"""Which volume plays which role, guessed from DICOM tags, names and values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from StrokeSegApp.volume_facts import VolumeFacts
from StrokeSegLib.preprocess.intensity import looks_like_ct

#: Every role that a model may ask for; StrokeSeg.ui has a row for each and the panel shows those of the chosen model.
ROLES = ("dwi", "adc", "flair", "t1", "t2", "ct", "cbf", "cbv", "mtt", "tmax")
#: An image weighted at least this strongly shows infarcts as DWI does, s/mm2.
DWI_B_VALUE = 500.0
#: Median and largest value of a diffusion map in mm2/s; no other MR image has values as small as these.
ADC_MM2_PER_S = (1e-4, 5e-3)
#: What a volume speaks of that is an image of another kind: never guessed, not even where it is the active one.
NO_INPUT = "none"

#: First match wins: an ADC map is often called "DWI_ADC", a FLAIR "T2 FLAIR".
_PATTERNS = (
    ("adc", r"adc|apparent"),
    ("flair", r"flair|dark.?fluid"),
    ("tmax", r"tmax"),
    ("mtt", r"mtt"),
    ("cbf", r"cbf"),
    ("cbv", r"cbv"),
    ("dwi", r"dwi|dti|diff|trace|b.?=?.?1000"),
    ("t1", r"(?<![a-z0-9])t1(?![0-9])|mprage"),
    ("t2", r"(?<![a-z0-9])t2(?![0-9])"),
    ("ct", r"(?<![a-z0-9])(nc|vp)?ct[ap]?(?![a-z])"),
)
#: Other images that share a role's words, tags or values. Contrast is bright as blood is, and so is a b0's fluid.
_OTHERS = {
    "adc": r"(?<![a-z])e-?adc|exponential",
    "dwi": r"(?<![a-z])(col(ou?r)?)?fa(?![a-z])|anisotropy|tensor|low.?b(?![a-z])",
    "ct": r"cta(?![a-z])|angio|arter|veno|delay|contrast|iodine|bolus|vpct|ctp(?![a-z])|perf|dynamic"
    r"|(?<![a-z0-9])(4d|mip|ttp|pbv)(?![a-z])|topogram|scout|locali[sz]er|surview",
}
_WITHOUT_CONTRAST = r"(non?|without|w/?o|sans|sin|ohne|pre)[ _-]*(iv[ _-]*)?contrast"
_B_VALUES = r"(?:(?<![a-z])|(?<=dwi)|(?<=diff))b(?:.?val(?:ue)?s?)?[ _=-]*(\d+(?:[ _,/-]+\d+)*)"
_IMAGE_TYPES_OF_OTHERS = {"FA", "TENSOR", "TENSOR_B0"}


def roleTitle(role: str) -> str:
    """What people call a role."""
    titles = {
        "dwi": _("DWI"),
        "adc": _("ADC map"),
        "flair": _("FLAIR"),
        "t1": _("T1"),
        "t2": _("T2"),
        "ct": _("CT"),
        "cbf": _("Blood flow (CBF)"),
        "cbv": _("Blood volume (CBV)"),
        "mtt": _("Transit time (MTT)"),
        "tmax": _("Tmax"),
    }
    return titles.get(role, role)


def roleOf(facts: VolumeFacts, array: Any = None) -> str | None:
    """The role that a volume's DICOM tags, else its name, else its values speak of.

    Args:
        facts: What DICOM says of the volume, and its name.
        array: Its voxels; None leaves the values out.

    Returns:
        None when all are silent, ``NO_INPUT`` when they speak of an image that no role is for.
    """
    role = _checked(_roleOfTags(facts) or roleOfName(facts.name), facts.modality) or roleOfValues(array)
    if role is None:  # a weak b-value says little where words say T1: some scanners write 0 into every image
        return NO_INPUT if _weighting(facts) == "weak" else None
    return NO_INPUT if _isOther(role, facts) else role


def _weighting(facts: VolumeFacts) -> str:
    """How strongly an image is weighted by diffusion: ``strong``, ``weak`` or nothing where it is not known."""
    if facts.b_value is None:
        return ""
    return "strong" if facts.b_value >= DWI_B_VALUE else "weak"


def _roleOfTags(facts: VolumeFacts) -> str | None:
    kinds = facts.imageType.upper().split("\\")
    if "ADC" in kinds:
        return "adc"
    if not _IMAGE_TYPES_OF_OTHERS.isdisjoint(kinds):
        return NO_INPUT
    spoken = roleOfName(facts.description)
    if spoken is not None:
        return spoken
    return "dwi" if _weighting(facts) == "strong" else None


def _isOther(role: str, facts: VolumeFacts) -> bool:
    """Whether tags or words deny the role that a volume speaks of."""
    if role == "dwi" and _weighting(facts) == "weak":
        return True
    if role == "ct" and facts.contrast:
        return True
    return _isNamedOther(role, f"{facts.description} {facts.name}".lower())


def _isNamedOther(role: str, lower: str) -> bool:
    if role == "dwi":
        b_values = [int(each) for found in re.findall(_B_VALUES, lower) for each in re.findall(r"\d+", found)]
        if b_values and max(b_values) < DWI_B_VALUE:
            return True
    words = re.sub(_WITHOUT_CONTRAST, "", lower)
    return role in _OTHERS and re.search(_OTHERS[role], words) is not None


def _checked(role: str | None, modality: str) -> str | None:
    """A CT is no MR sequence, whatever its name; perfusion maps may be of either."""
    if modality == "CT":
        return role if role in ("cbf", "cbv", "mtt", "tmax", NO_INPUT) else "ct"
    return None if modality == "MR" and role == "ct" else role


def roleOfValues(array: Any) -> str | None:
    """``ct`` where a good part is air in HU, ``adc`` where the values are a diffusion coefficient in mm2/s."""
    if array is None:
        return None
    if looks_like_ct(array):
        return "ct"
    sample = np.asarray(array).ravel()[:: max(1, np.asarray(array).size // 100_000)]
    positive = sample[sample > 0]
    if positive.size and ADC_MM2_PER_S[0] <= np.median(positive) and positive.max() <= 2 * ADC_MM2_PER_S[1]:
        return "adc"
    return None


def roleOfName(name: str) -> str | None:
    """The role that a volume's name speaks of, ``NO_INPUT`` where it is another image, None when it says nothing."""
    lower = name.lower()
    role = next((role for role, pattern in _PATTERNS if re.search(pattern, lower)), None)
    return NO_INPUT if role is not None and _isNamedOther(role, lower) else role


def chooseInputs(roles: Sequence[str], spoken: Sequence[str | None], active: int | None = None) -> dict[str, int]:
    """Guess an index into ``spoken`` for as many roles as possible.

    Args:
        roles: Roles to fill, the most important first.
        spoken: The role that each volume of the scene speaks of; each volume is used at most once.
        active: Index of the volume that the user looks at: taken for the role it speaks of, or for the first role when
            it speaks of none. One that speaks of a role that is not wanted is not taken.
    """
    chosen: dict[str, int] = {}
    if active is not None and spoken[active] in roles:
        chosen[str(spoken[active])] = active
    for role in roles:
        if role not in chosen and role in spoken:
            chosen[role] = spoken.index(role)
    if active is not None and spoken[active] is None and roles and roles[0] not in chosen:
        chosen[roles[0]] = active
    return chosen
